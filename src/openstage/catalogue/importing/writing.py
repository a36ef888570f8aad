"""Rows into the database, thousands at a time: COPY into a temporary table, then what is new and what has changed."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from psycopg import sql

from openstage.catalogue.importing.rows import OfferName, Row
from openstage.catalogue.models import CategoryKind
from openstage.database.engine import Connection

KINDS: Final[dict[str, CategoryKind]] = {"genres": "genre", "moods": "mood", "instruments": "instrument"}
ALIASES: Final = "|"
"""Between the name of a category and other names for it."""
# Column of a row: column of the table.
_FIELDS: Final = {
    "title": "title",
    "artist": "artist",
    "description": "description",
    "supplier": "supplier",
    "genres": "genre_ids",
    "moods": "mood_ids",
    "instruments": "instrument_ids",
    "bpm": "given_bpm",
    "duration": "given_duration_ms",
    "key": "given_key",
    "level": "level_id",
    "vhifun": "vhifun",
    "heat": "heat",
    "created_at": "created_at",
}
_DEFAULTS: Final = {"supplier": "'签约供应商'", "vhifun": "false", "created_at": "now()"}
_STAGING: Final = """
    create temporary table if not exists importing (
        external_id text, audio_id bigint, digest bytea, given text[], offers jsonb,
        title text, artist text, description text, supplier text, genre_ids bigint[], mood_ids bigint[],
        instrument_ids bigint[], given_bpm real, given_duration_ms integer, given_key text, level_id integer,
        vhifun boolean, heat integer, created_at timestamptz
    ) on commit delete rows
    """
_COLUMNS: Final = ["external_id", "audio_id", "digest", "given", "offers", *_FIELDS.values()]


class Writer:
    """Writes rows; remembers the numbers of categories, levels and offers."""

    def __init__(self) -> None:
        self._categories: dict[tuple[CategoryKind, str], int] = {}
        self._levels: dict[str, int] = {}
        self._offers: dict[str, int] = {}

    async def prepare(self, connection: Connection) -> None:
        """Read what categories, levels and offers there are; again after a transaction that was rolled back."""
        rows = await (await connection.execute("select kind, name, aliases, id from category")).fetchall()
        self._categories = {(kind, name): number for kind, name, aliases, number in rows for name in (*aliases, name)}
        self._categories |= {(kind, str(number)): number for kind, _, _, number in rows}
        levels = await (await connection.execute("select id, name from level")).fetchall()
        self._levels = {name: number for number, text in levels for name in (text, str(number))}
        offers = await (await connection.execute("select id, name from offer where retired_at is null")).fetchall()
        self._offers = {name: number for number, text in offers for name in (str(number), text)}

    def refusal(self, row: Row) -> str | None:
        """Return why a row can't be written, as far as its names tell; None if it can."""
        level = row.values.get("level")
        if level and level not in self._levels:
            return f"there is no level {level!r}; there are {', '.join(self._levels)}"
        for offer in row.values.get("offers", []):
            if offer.name not in self._offers and offer.price is None:
                return f"there is no offer {offer.name!r}: make it (`openstage catalogue offer create`) or add “=PRICE”"
        return None

    async def settle_numbers(self, connection: Connection, rows: Sequence[Row]) -> dict[int, str]:
        """Find the tracks of rows known by their number alone; returns why others can't have theirs, by row."""
        asked = [row.audio_id for row in rows if row.audio_id is not None]
        if not asked:
            return {}
        cursor = await connection.execute("select id, external_id from track where id = any(%s)", (asked,))
        known: dict[int, str] = dict(await cursor.fetchall())
        refused: dict[int, str] = {}
        for row in rows:
            taken = known.get(row.audio_id) if row.audio_id is not None else None
            if taken is not None and row.external_id == f"audio:{row.audio_id}":
                row.external_id = taken
            elif taken is not None and taken != row.external_id:
                refused[row.number] = f"audio_id {row.audio_id} is the track with the external_id {taken!r}"
        return refused

    async def write(self, connection: Connection, rows: Sequence[Row]) -> tuple[int, int]:
        """Write rows inside a transaction; of several with one external_id the last counts.

        Returns:
            How many tracks are new, and how many have changed.

        """
        latest = list({row.external_id: row for row in rows}.values())
        await self._make_categories(connection, latest)
        await self._make_offers(connection, latest)
        await connection.execute(_STAGING)
        copied = sql.SQL("copy importing ({}) from stdin").format(sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)))
        async with connection.cursor() as cursor, cursor.copy(copied) as copy:
            for row in latest:
                await copy.write_row(self._cells(row))
        changed = await connection.execute(_UPDATE.encode())
        added = await connection.execute(_INSERT.encode())
        await connection.execute(_NO_LONGER_OFFERED.encode())
        await connection.execute(_OFFERED.encode())
        await connection.execute("truncate importing")
        if any(row.audio_id for row in latest):
            await connection.execute(_NEXT_NUMBER)
        return added.rowcount, changed.rowcount

    def _cells(self, row: Row) -> list[Any]:
        values = dict(row.values)
        for column, kind in KINDS.items():
            if column in values:
                values[column] = [self._categories[kind, _parts_of(name)[0]] for name in values[column]]
        if values.get("level"):
            values["level"] = self._levels[values["level"]]
        elif "level" in values:
            values["level"] = None
        offers = None
        if "offers" in values:
            each: list[OfferName] = values["offers"]
            offers = (
                "{"
                + ",".join(f'"{self._offers[o.name]}": {"null" if o.price is None else o.price}' for o in each)
                + "}"
            )
        cells = [values.get(column) for column in _FIELDS]
        return [row.external_id, row.audio_id, row.digest, list(values), offers, *cells]

    async def _make_categories(self, connection: Connection, rows: Iterable[Row]) -> None:
        wanted = {
            (kind, name)
            for row in rows
            for column, kind in KINDS.items()
            for name in row.values.get(column, [])
            if any((kind, part) not in self._categories for part in _parts_of(name))
        }
        for kind, text in sorted(wanted):
            name, *aliases = _parts_of(text)
            cursor = await connection.execute(
                """
                insert into category (kind, name, aliases) values (%s, %s, %s)
                on conflict (kind, name) do update
                    set aliases = array(select distinct unnest(category.aliases || excluded.aliases)) returning id
                """,
                (kind, name, aliases),
            )
            row = await cursor.fetchone()
            assert row is not None
            self._categories |= {(kind, each): row[0] for each in (*aliases, name)}

    async def _make_offers(self, connection: Connection, rows: Iterable[Row]) -> None:
        wanted = {
            offer.name: offer.price
            for row in rows
            for offer in row.values.get("offers", [])
            if offer.name not in self._offers
        }
        for name, price in sorted(wanted.items()):
            cursor = await connection.execute(
                """
                insert into offer (name, price) values (%s, %s)
                on conflict (name) do update set retired_at = null returning id
                """,
                (name, price),
            )
            row = await cursor.fetchone()
            assert row is not None
            self._offers[name] = row[0]


def _parts_of(text: str) -> list[str]:
    """The name of a category and the other names behind it."""
    return [part.strip() for part in text.split(ALIASES) if part.strip()] or [text]


def _kept_or(column: str, field: str) -> str:
    empty = _DEFAULTS.get(column)
    given = f"coalesce(importing.{field}, {empty})" if empty else f"importing.{field}"
    return f"{field} = case when '{column}' = any(given) then {given} else track.{field} end"


_UPDATE: Final = f"""
    update track set source_digest = digest, removed_at = null,
        {", ".join(_kept_or(column, field) for column, field in _FIELDS.items())}
    from importing
    where track.external_id = importing.external_id
      and (source_digest is distinct from digest or removed_at is not null)
    """
_FILLED: Final = {"title": "importing.external_id", "artist": "''", "description": "''", "given_key": "''"} | {
    _FIELDS[column]: empty for column, empty in _DEFAULTS.items()
}
_FILLED_LISTS: Final = dict.fromkeys(("genre_ids", "mood_ids", "instrument_ids"), "'{}'")
_INSERTED: Final = [
    f"coalesce(importing.{field}, {(_FILLED | _FILLED_LISTS)[field]})"
    if field in _FILLED | _FILLED_LISTS
    else f"importing.{field}"
    for field in _FIELDS.values()
]
_INSERT: Final = f"""
    insert into track (id, external_id, source_digest, {", ".join(_FIELDS.values())})
    select coalesce(audio_id, nextval(pg_get_serial_sequence('track', 'id'))), importing.external_id, digest,
           {", ".join(_INSERTED)}
    from importing
    where not exists (select from track where track.external_id = importing.external_id)
    """
_NEXT_NUMBER: Final = """
    select setval(name, greatest(nextval(name), (select max(id) + 1 from track)), false)
    from pg_get_serial_sequence('track', 'id') as name
    """
_NO_LONGER_OFFERED: Final = """
    delete from track_offer using importing join track using (external_id)
    where track_id = track.id and offers is not null and not offers ? offer_id::text
    """
_OFFERED: Final = """
    insert into track_offer (track_id, offer_id, price)
    select track.id, offer.id, nullif(value::numeric, offer.price)
    from importing join track using (external_id), jsonb_each_text(offers) join offer on offer.id = key::bigint
    on conflict (track_id, offer_id) do update set price = excluded.price
    where track_offer.price is distinct from excluded.price
    """
