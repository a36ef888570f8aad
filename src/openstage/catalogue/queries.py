"""Reading tracks, offers and categories inside a caller's transaction."""

from collections.abc import Sequence
from typing import Any, Final

from psycopg.rows import class_row

from openstage.catalogue.models import BpmBand, Categories, Category, Level, Offer, Track, TrackFile
from openstage.database.engine import Connection

_FILE: Final = """
    file.id, file.track_id, file.sha256, file.byte_size, file.content_type, file.file_name, file.object_key,
    file.duration_ms, file.measured_bpm::numeric::float8, file.measured_key, file.loudness_lufs::numeric::float8,
    file.true_peak_dbtp::numeric::float8, file.preview_key,
    file.waveform_json_key, file.waveform_png_key, file.created_at
    """
"""Columns of a `TrackFile`, in the order of its fields; tempi and levels as they are written, in either format."""
_FILE_FIELDS: Final = _FILE.count(",") + 1
_BPM: Final = "coalesce(given_bpm, measured_bpm)::numeric::float8"
_TRACK: Final = f"""
    track.id, external_id, title, artist, description, supplier, genre_ids, mood_ids, instrument_ids, level_id, vhifun,
    heat, {_BPM}, coalesce(given_duration_ms, file.duration_ms, 0),
    coalesce(nullif(given_key, ''), measured_key, ''), track.created_at, changed_at, removed_at, {_FILE}
    """
"""Columns of a `Track`, in the order of its fields."""
_TRACKS: Final = f"select {_TRACK} from track left join track_file file on file.id = track.file_id "
OFFERS: Final = f"""
    select offer.id, track.id, name, coalesce(track_offer.price, offer.price) as price, type,
           coalesce(given_duration_ms, file.duration_ms, 0), {_BPM}
    from track_offer join offer on offer.id = offer_id join track on track.id = track_id
    left join track_file file on file.id = track.file_id
    where track.id = any(%s) and retired_at is null order by track.id, price, offer.id
    """


def track_of(row: Sequence[Any]) -> Track:
    """Return the track of a row of `_TRACK`'s columns."""
    own, file = row[:-_FILE_FIELDS], row[-_FILE_FIELDS:]
    values = [*own, TrackFile(*file) if file[0] is not None else None]
    return Track(*values)


async def track(connection: Connection, track_id: int, *, removed: bool = False) -> Track | None:
    """Return a track, with `removed` also one that has been taken out of the catalogue."""
    also = "" if removed else " and removed_at is null"
    cursor = await connection.execute((_TRACKS + "where track.id = %s" + also).encode(), (track_id,))
    row = await cursor.fetchone()
    return track_of(row) if row else None


async def select(connection: Connection, where: str, parameters: dict[str, Any]) -> list[Track]:
    """Return the tracks for which `where` (and what follows it: order, limit) holds."""
    cursor = await connection.execute((_TRACKS + "where " + where).encode(), parameters)
    return [track_of(row) for row in await cursor.fetchall()]


async def track_file(connection: Connection, file_id: int) -> TrackFile | None:
    """Return one file of a track, the one sold now or an earlier one."""
    async with connection.cursor(row_factory=class_row(TrackFile)) as cursor:
        await cursor.execute(f"select {_FILE} from track_file file where id = %s".encode(), (file_id,))
        return await cursor.fetchone()


async def offers(connection: Connection, track_ids: Sequence[int]) -> list[Offer]:
    """Return under which offers tracks are sold, by track, the cheapest first."""
    cursor = await connection.execute(OFFERS, (list(track_ids),))
    return [Offer(*row) for row in await cursor.fetchall()]


async def categories(connection: Connection) -> Categories:
    """Return all categories, bands and levels."""
    async with connection.cursor(row_factory=class_row(Category)) as cursor:
        await cursor.execute("select id, kind, name, aliases, position from category order by position, id")
        each = await cursor.fetchall()
    async with connection.cursor(row_factory=class_row(BpmBand)) as bands_cursor:
        await bands_cursor.execute("select id, name, low, high from bpm_band order by low, id")
        bands = await bands_cursor.fetchall()
    async with connection.cursor(row_factory=class_row(Level)) as levels_cursor:
        await levels_cursor.execute("select id, name from level order by id")
        levels = await levels_cursor.fetchall()
    return Categories(
        genres=[category for category in each if category.kind == "genre"],
        moods=[category for category in each if category.kind == "mood"],
        instruments=[category for category in each if category.kind == "instrument"],
        bpms=bands,
        levels=levels,
    )
