"""The import of a path, from reading to rows: it can be broken off anywhere and goes on when it is started again."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from openstage.catalogue.importing.audio import AudioFiles, Fingerprint, digest_of, enter_file, known_file
from openstage.catalogue.importing.rows import BadRow, OfferName, Row, parse_row
from openstage.catalogue.importing.rows import digest_of as digest_of_row
from openstage.catalogue.importing.sources import Metadata, Rejected, Source
from openstage.catalogue.importing.tags import read_tags
from openstage.catalogue.importing.writing import Writer
from openstage.database.engine import Database
from openstage.media.errors import TookTooLong, Unplayable
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore

CHUNK: Final = 20_000
"""Rows of metadata that are written in one transaction."""
AT_ONCE: Final = 2
"""Audio files that are worked on at once; ffmpeg has threads of its own."""


@dataclass(slots=True)
class Report:
    """How an import went.

    Attributes:
        added: tracks that are new; likewise those that changed, and those that were as the source has them.
        files: audio files that were measured and stored.
        skipped: rows that an earlier run that was broken off had done.
        rejected: rows that weren't imported.
        ignored: columns of the source that mean nothing here.

    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    files: int = 0
    skipped: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: `done` of `total` units of work, and how many tracks that are."""

    done: float
    total: float
    tracks: int


OnProgress = Callable[[Progress], None]


class Importer:
    """Imports one path."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        settings: Settings,
        *,
        metadata_only: bool = False,
        offers: list[OfferName] | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        """Prepare an import.

        Args:
            database: where to.
            store: for originals, previews and waveforms.
            settings: of previews and media tools.
            metadata_only: leave audio alone, even where rows name files.
            offers: under which tracks are sold whose rows don't say.
            on_progress: hears how far it has come.

        """
        self._database = database
        self._audio = AudioFiles(settings, store)
        self._metadata_only = metadata_only
        self._offers = offers
        self._on_progress = on_progress
        self._writer = Writer()
        self._report = Report()
        self._tracks = 0

    async def run(self, path: Path) -> Report:
        """Import what a path holds.

        Raises:
            BadSource: it can't be read as a whole.
            Unavailable: database, store, disk or a media tool is away; start it again later.

        """
        source = await asyncio.to_thread(Source.at, path)
        async with self._database.connection() as connection:
            await self._writer.prepare(connection)
        named: set[Path] = set()
        for file in source.metadata:
            if self._metadata_only:
                await self._bulk(Metadata(file))
            else:
                named |= await self._with_audio(source, Metadata(file))
        if not self._metadata_only:
            await self._folder(source, [file for file in source.audio if file.resolve() not in named])
        return self._report

    # --- metadata only ----------------------------------------------------------------------------------------
    async def _bulk(self, metadata: Metadata) -> None:
        fingerprint = await asyncio.to_thread(metadata.fingerprint)
        done = await self._done(metadata.path, fingerprint)
        self._report.skipped += done
        rows = metadata.rows()
        await asyncio.to_thread(_skip, rows, done)
        while chunk := await asyncio.to_thread(_take, rows):
            await self._write_chunk(metadata, fingerprint, done + len(chunk), chunk)
            done += len(chunk)
            self._tracks += len(chunk)
            self._on_progress(Progress(metadata.read, metadata.size, self._tracks))
        self._report.ignored |= metadata.ignored
        async with self._database.connection() as connection:
            await connection.execute(
                "update catalogue_import set finished_at = now() where path = %s", (_name(metadata.path),)
            )

    async def _done(self, path: Path, fingerprint: str) -> int:
        """How many rows of this very file an earlier run has written before it was broken off."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "select rows_done from catalogue_import where path = %s and fingerprint = %s and finished_at is null",
                (_name(path), fingerprint),
            )
            row = await cursor.fetchone()
            if row is None:
                await connection.execute(
                    """
                    insert into catalogue_import (path, fingerprint) values (%s, %s)
                    on conflict (path) do update set fingerprint = excluded.fingerprint, rows_done = 0, rejected = 0,
                        finished_at = null, changed_at = now()
                    """,
                    (_name(path), fingerprint),
                )
        return int(row[0]) if row else 0

    async def _write_chunk(self, metadata: Metadata, fingerprint: str, done: int, chunk: list[Row | Rejected]) -> None:
        rejected = [each for each in chunk if isinstance(each, Rejected)]
        rows = []
        for row in chunk:
            if isinstance(row, Row):
                self._complete(row)
                reason = self._writer.refusal(row)
                if reason is None:
                    rows.append(row)
                else:
                    rejected.append(Rejected(_place(metadata.path, row), reason))
        async with self._database.transaction() as connection:
            refused = await self._writer.settle_numbers(connection, rows)
            rejected += [
                Rejected(_place(metadata.path, row), refused[row.number]) for row in rows if row.number in refused
            ]
            rows = [row for row in rows if row.number not in refused]
            added, changed = await self._writer.write(connection, rows)
            await connection.execute(
                """
                update catalogue_import set rows_done = %s, rejected = rejected + %s, changed_at = now()
                where path = %s and fingerprint = %s
                """,
                (done, len(rejected), _name(metadata.path), fingerprint),
            )
        self._count(added, changed, len(rows))
        self._report.rejected += rejected

    def _count(self, added: int, changed: int, rows: int) -> None:
        self._report.added += added
        self._report.changed += changed
        self._report.unchanged += rows - added - changed

    def _complete(self, row: Row) -> None:
        if self._offers is not None and "offers" not in row.values:
            row.values["offers"] = self._offers
            row.digest = digest_of_row(row)

    # --- with audio -------------------------------------------------------------------------------------------
    async def _with_audio(self, source: Source, metadata: Metadata) -> set[Path]:
        """Import the rows of a file with the audio that they name; returns which audio that is."""
        rows = await asyncio.to_thread(lambda: list(metadata.rows()))
        self._report.ignored |= metadata.ignored
        work: list[tuple[str, Row, Path | None]] = []
        for row in rows:
            if isinstance(row, Rejected):
                self._report.rejected.append(row)
                continue
            audio = source.locate(row.file) if row.file else None
            if row.file and audio is None:
                self._report.rejected.append(
                    Rejected(_place(metadata.path, row), f"there is no file {row.file!r} in the folder")
                )
                continue
            work.append((_place(metadata.path, row), row, audio))
        await self._each(work)
        return {audio for _, _, audio in work if audio}

    async def _folder(self, source: Source, files: list[Path]) -> None:
        """Import audio that no row names, by its tags."""
        work: list[tuple[str, Row, Path | None]] = []
        for number, path in enumerate(files, 1):
            name = path.relative_to(source.folder).as_posix()
            place = name.encode(errors="surrogateescape").decode(errors="replace")
            try:
                tags = await asyncio.to_thread(read_tags, path)
                work.append((place, parse_row(number, tags | {"file": name}), path))
            except BadRow as reason:
                self._report.rejected.append(Rejected(place, str(reason)))
        await self._each(work)

    async def _each(self, work: list[tuple[str, Row, Path | None]]) -> None:
        waiting = iter(work)
        finished = 0

        async def worker() -> None:
            nonlocal finished
            for place, row, audio in waiting:
                try:
                    await self._one(row, audio)
                except (BadRow, Unplayable, TookTooLong) as reason:
                    self._report.rejected.append(Rejected(place, str(reason)))
                except OSError as error:
                    self._report.rejected.append(Rejected(place, f"it can't be read: {error.strerror}"))
                finished += 1
                self._tracks += 1
                self._on_progress(Progress(finished, len(work), self._tracks))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(work))):
                    group.create_task(worker())
        except BaseExceptionGroup as failed:  # one is enough to tell what is away
            raise failed.exceptions[0] from failed

    async def _one(self, row: Row, audio: Path | None) -> None:
        self._complete(row)
        if (refused := self._writer.refusal(row)) is not None:
            raise BadRow(refused)
        if audio is not None:
            row.digest = digest_of_row(row, str(await asyncio.to_thread(Fingerprint.of, audio)))
        if await self._unchanged(row):
            self._count(0, 0, 1)
            return
        sha256 = await asyncio.to_thread(digest_of, audio) if audio is not None else ""
        file = None
        if audio is not None and not await self._has(row, sha256):
            file = await self._audio.prepare(audio, sha256)
            self._report.files += 1
        async with self._database.transaction() as connection:
            refused_numbers = await self._writer.settle_numbers(connection, [row])
            if refused_numbers:
                raise BadRow(refused_numbers[row.number])
            added, changed = await self._writer.write(connection, [row])
            if file is not None:
                await enter_file(connection, row.external_id, file)
            elif sha256:
                await known_file(connection, row.external_id, sha256)
        self._count(added, changed, 1)

    async def _unchanged(self, row: Row) -> bool:
        return await self._exists(
            "select 1 from track where external_id = %(id)s and source_digest = %(digest)s and removed_at is null",
            {"id": row.external_id, "digest": row.digest},
        )

    async def _has(self, row: Row, sha256: str) -> bool:
        return await self._exists(
            """
            select 1 from track_file join track on track.id = track_id
            where external_id = %(id)s and sha256 = %(sha)s
            """,
            {"id": row.external_id, "sha": sha256},
        )

    async def _exists(self, query: str, parameters: dict[str, object]) -> bool:
        return await self._database.fetch_one(query, parameters) is not None


def _name(path: Path) -> str:
    return str(path.resolve())


def _place(path: Path, row: Row) -> str:
    return f"{path.name}, row {row.number}"


def _take(rows: Iterator[Row | Rejected]) -> list[Row | Rejected]:
    taken: list[Row | Rejected] = []
    for row in rows:
        taken.append(row)
        if len(taken) == CHUNK:
            break
    return taken


def _skip(rows: Iterator[Row | Rejected], count: int) -> None:
    for _ in range(count):
        if next(rows, None) is None:
            return
