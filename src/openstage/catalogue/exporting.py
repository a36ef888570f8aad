"""The catalogue as a file that an import takes again."""

import csv
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, TextIO

from openstage.catalogue.importing.rows import COLUMNS, SEPARATOR
from openstage.database.engine import Database
from openstage.storage.objects import ObjectStore

_BATCH: Final = 2000
_QUERY: Final = """
    select track.id, external_id, object_key, file_name, title, artist, description, supplier,
           array(select name from unnest(genre_ids) as id join category using (id)),
           array(select name from unnest(mood_ids) as id join category using (id)),
           array(select name from unnest(instrument_ids) as id join category using (id)),
           given_bpm, given_duration_ms, given_key, level_id, vhifun, heat,
           array(select offer.name || coalesce('=' || track_offer.price, '') from track_offer
                 join offer on offer.id = offer_id where track_id = track.id and retired_at is null order by offer.id),
           track.created_at
    from track left join track_file file on file.id = track.file_id
    where track.removed_at is null and track.id > %s order by track.id limit %s
    """


class Exporter:
    """Writes all tracks; given values only, so that what was measured is measured again where it is imported."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def run(self, out: TextIO, *, as_csv: bool, files: Path | None = None) -> int:
        """Write the catalogue.

        Args:
            out: to where.
            as_csv: CSV instead of JSON lines.
            files: folder to which originals are copied as well; the rows then name them, relative to its parent.

        Returns:
            How many tracks there are.

        Raises:
            StorageUnavailable, ObjectMissing: an original can't be read.

        """
        if files is not None:
            files.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a command line waits for it anyway
        writer = csv.DictWriter(out, list(COLUMNS), lineterminator="\n")
        if as_csv:
            writer.writeheader()
        count = 0
        async for row, object_key, file_name in self._rows():
            if files is not None and object_key:
                name = f"{row['audio_id']}{_suffix(file_name)}"
                await self._store.download(object_key, files / name)
                row["file"] = f"{files.name}/{name}"
            if as_csv:
                writer.writerow({name: _cell(value) for name, value in row.items()})
            else:
                out.write(
                    json.dumps({n: v for n, v in row.items() if v not in (None, "", [])}, ensure_ascii=False) + "\n"
                )
            count += 1
        return count

    async def _rows(self) -> AsyncIterator[tuple[dict[str, Any], str | None, str]]:
        last = 0
        while True:
            async with self._database.connection() as connection:
                rows = await (await connection.execute(_QUERY, (last, _BATCH))).fetchall()
            if not rows:
                return
            for number, external_id, key, file_name, *values in rows:
                row = dict(
                    zip(
                        [name for name in COLUMNS if name not in {"external_id", "audio_id", "file"}],
                        values,
                        strict=True,
                    )
                )
                row["duration"] = None if row["duration"] is None else row["duration"] / 1000
                row["vhifun"] = int(row["vhifun"])
                row["created_at"] = row["created_at"].isoformat()
                yield {"external_id": external_id, "audio_id": number, "file": None, **row}, key, file_name or ""
            last = rows[-1][0]


def _cell(value: Any) -> Any:
    return SEPARATOR.join(value) if isinstance(value, list) else value


def _suffix(file_name: str) -> str:
    suffix = Path(file_name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
