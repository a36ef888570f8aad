"""Backups: database, objects, staging files and keys in a folder, consistent with each other, while the server works.

The database comes first, in one snapshot; then the files which that snapshot names. Objects are immutable, and while
the backup holds its lock none is removed for good, so what was named is still there as it was. Of an unfinished upload
the recorded ranges are never written again, so a later copy of its staging file holds at least what the snapshot says.
"""

import asyncio
import contextlib
import datetime as dt
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

import openstage
from openstage.database import dump, locks, migrate
from openstage.database.embedded import running_database
from openstage.publishing.originals import original_key
from openstage.server import files
from openstage.server.errors import BackupRefused
from openstage.settings import Settings
from openstage.storage.errors import ObjectMissing
from openstage.storage.objects import ObjectStore, open_store

FORMAT = 1
AT_ONCE = 4
"""Files that are copied at once."""
PATIENCE = "60s"
"""Time to wait for removals under way, or for another backup."""

OBJECTS = """
    select r.key from rendition r join work w on w.id = r.work_id where w.purged_at is null
    union all
    select s.key from segment s join rendition r on r.id = s.rendition_id join work w on w.id = r.work_id
    where w.purged_at is null
    union all
    select p.key from picture p join work w on w.id = p.work_id where w.purged_at is null
    union all
    select e.key from extra e join work w on w.id = e.work_id where w.purged_at is null
    union all
    select distinct unnest(array[object_key, preview_key, waveform_json_key, waveform_png_key]) from track_file
    union all
    select c.key from certificate c where c.key is not null
"""
FILES = """
    select u.file_id, u.stored from upload u left join work w on w.file_id = u.file_id
    where u.state in ('open', 'finished') and w.purged_at is null
"""

Progress = Callable[[int, int], None]
"""Called with the number of files done, and of all."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is. Written last: a folder without it is no backup."""

    format: int
    openstage: str
    """Version of the program that made it."""
    schema: str
    made_at: str
    """When the snapshot was taken, ISO 8601."""
    objects: int
    staging: int
    size: int
    """Bytes of objects and staging files."""
    missing: list[str]
    """Objects and staging files that the database names but that weren't there."""


def make_backup(settings: Settings, folder: Path, progress: Progress = lambda _, __: None) -> Manifest:
    """Back everything up into a new or empty folder.

    Args:
        settings: what to back up; its server may run, here or elsewhere.
        folder: where to.
        progress: told how far it is.

    Returns:
        What was written.

    Raises:
        BackupRefused: the folder holds something, or another backup is being made.
        SchemaMismatch: the database's schema isn't this program's.
        DumpFailed: pg_dump failed.
        Unavailable: database or store don't answer.

    """
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise BackupRefused(f"{folder} is not empty: a backup goes into a new folder.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with running_database(settings) as address:
        migrate.check(address)
        return asyncio.run(_Backup(settings, address, folder, progress).run())


class _Backup:
    def __init__(self, settings: Settings, address: str, folder: Path, progress: Progress) -> None:
        self._settings = settings
        self._address = address
        self._folder = folder
        self._progress = progress
        self._store = open_store(settings)
        self._objects = self._staging = self._size = 0
        self._missing: list[str] = []

    async def run(self) -> Manifest:
        async with self._nothing_is_removed():
            made_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            with (self._folder / "objects.txt").open("w") as listing:
                uploads = await self._dump(listing.write)
            await asyncio.to_thread(self._copy_keys)
            await self._copy_all(uploads)
        manifest = Manifest(
            format=FORMAT,
            openstage=openstage.__version__,
            schema=migrate.head(),
            made_at=made_at,
            objects=self._objects,
            staging=self._staging,
            size=self._size,
            missing=sorted(self._missing),
        )
        await asyncio.to_thread(os.sync)  # a manifest promises that the rest is on the disk
        (self._folder / "manifest.json").write_text(json.dumps(asdict(manifest), indent=2) + "\n")
        await asyncio.to_thread(os.sync)
        return manifest

    @contextlib.asynccontextmanager
    async def _nothing_is_removed(self) -> AsyncIterator[None]:
        async with await psycopg.AsyncConnection.connect(self._address, autocommit=True) as connection:
            await connection.execute(f"set lock_timeout = '{PATIENCE}'")
            try:
                await connection.execute("select pg_advisory_lock(%s)", (locks.BACKUP,))
            except psycopg.errors.LockNotAvailable as error:
                raise BackupRefused("Another backup of this server is being made.") from error
            yield  # the lock ends with the connection

    async def _dump(self, note: Callable[[str], object]) -> list[tuple[str, bool]]:
        """Dump the database, note the objects it names, and return its unpurged uploads."""
        async with await psycopg.AsyncConnection.connect(self._address) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            row = await (await connection.execute("select pg_export_snapshot()")).fetchone()
            assert row is not None
            await asyncio.to_thread(dump.dump, self._address, self._folder / "database.dump", snapshot=row[0])
            async with connection.cursor(name="objects") as cursor:
                await cursor.execute(OBJECTS.encode())
                async for (key,) in cursor:
                    note(f"{key}\n")
            return [(file_id, stored) for file_id, stored in await (await connection.execute(FILES)).fetchall()]

    def _copy_keys(self) -> None:
        for file in (self._settings.folder / "keys").glob("*.key"):
            files.copy(file, self._folder / "keys" / file.name)
            (self._folder / "keys" / file.name).chmod(0o600)

    async def _copy_all(self, uploads: list[tuple[str, bool]]) -> None:
        with (self._folder / "objects.txt").open() as listing:
            total = len(uploads) + sum(1 for _ in listing)
            listing.seek(0)
            work: Iterator[tuple[str, str, bool]] = _each(listing, uploads)
            done = 0

            async def copier() -> None:
                nonlocal done
                for key, file_id, stored in work:
                    await (self._copy_object(key) if key else self._copy_upload(file_id, stored=stored))
                    done += 1
                    self._progress(done, total)

            await asyncio.gather(*(copier() for _ in range(AT_ONCE)))

    async def _copy_upload(self, file_id: str, *, stored: bool) -> None:
        # On its way from the staging folder to the store: look there first, then where it goes.
        if not stored and await self._copy_staging(file_id):
            return
        key = original_key(file_id)
        if stored or await _is_there(self._store, key):
            await self._copy_object(key)
        # An unfinished upload that has gone, or that nothing came for yet, has no file; a restore knows.

    async def _copy_staging(self, file_id: str) -> bool:
        source = self._settings.staging_folder / file_id
        try:
            # Not `+= await`: that would read the sum before the other copiers add to it.
            copied = await asyncio.to_thread(files.copy, source, self._folder / "staging" / file_id)
        except FileNotFoundError:
            return False
        self._size += copied
        self._staging += 1
        return True

    async def _copy_object(self, key: str) -> None:
        target = self._folder / "objects" / key
        try:
            if (local := self._store.local_path(key)) is not None:
                copied = await asyncio.to_thread(files.copy, local, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                await self._store.download(key, target)
                copied = target.stat().st_size
        except (FileNotFoundError, ObjectMissing):
            self._missing.append(key)
        else:
            self._size += copied
            self._objects += 1


def _each(keys: Iterator[str], uploads: list[tuple[str, bool]]) -> Iterator[tuple[str, str, bool]]:
    for key in keys:
        yield key.rstrip("\n"), "", False
    for file_id, stored in uploads:
        yield "", file_id, stored


async def _is_there(store: ObjectStore, key: str) -> bool:
    try:
        await store.stat(key)
    except ObjectMissing:
        return False
    return True
