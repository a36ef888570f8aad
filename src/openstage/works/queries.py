"""Reading works: the one list of columns, and the rows as typed records."""

from typing import Any, Final

from psycopg.rows import class_row

from openstage.database.engine import Connection
from openstage.works.models import Extra, Loudness, Picture, Rendition, Segment, Storyboard, Work

COLUMNS: Final = """
    work.id, file_id, slug, app_id, user_id, state, review, reason, title, description, tags, category, described_at,
    file_size, duration_ms, step, percent, play_count, pending, last_fault, work.run, created_at, changed_at,
    published_at, deleted_at, purged_at,
    array(select kind from picture p where p.work_id = work.id and p.run = work.run order by kind) as pictures,
    notice, claim, access
    """
"""Columns of a `Work`, in the order of its fields."""
# One text per query, whatever the parameters: psycopg then prepares it after a few uses.
_SELECT: Final = f"select {COLUMNS} from work where "
BY_FILE_ID: Final = f"""
    select asked.number, {COLUMNS}
    from unnest(%s::text[]) with ordinality as asked (file_id, number) join work using (file_id)
    where deleted_at is null
    """
"""Query of a lookup: a work by its file_id."""


async def select(connection: Connection, where: str, parameters: dict[str, Any]) -> list[Work]:
    """Return the works for which `where` (and what follows it: order, limit) holds."""
    async with connection.cursor(row_factory=class_row(Work)) as cursor:
        return await (await cursor.execute((_SELECT + where).encode(), parameters)).fetchall()


async def select_one(connection: Connection, where: str, parameters: dict[str, Any]) -> Work | None:
    """Return the one work for which `where` holds, if any."""
    found = await select(connection, where, parameters)
    return found[0] if found else None


async def renditions(connection: Connection, work_id: int) -> list[Rendition]:
    """Return the listed renditions of the run in force, the widest bandwidth last."""
    async with connection.cursor(row_factory=class_row(Rendition)) as cursor:
        await cursor.execute(
            """
            select rendition.id, kind, quality, complete, width, height, frame_rate, codecs, bandwidth,
                   average_bandwidth, rendition.duration_ms, byte_size, key
            from rendition join work on work.id = work_id and work.run = rendition.run
            where work_id = %s and retired_at is null order by kind, bandwidth, quality
            """,
            (work_id,),
        )
        return await cursor.fetchall()


async def segments(connection: Connection, rendition_id: int) -> list[Segment]:
    """Return the media segments of an HLS rendition in order."""
    async with connection.cursor(row_factory=class_row(Segment)) as cursor:
        await cursor.execute(
            "select number, duration_us, byte_size, key from segment where rendition_id = %s order by number",
            (rendition_id,),
        )
        return await cursor.fetchall()


async def pictures(connection: Connection, work_id: int) -> list[Picture]:
    """Return the pictures of the run in force."""
    async with connection.cursor(row_factory=class_row(Picture)) as cursor:
        await cursor.execute(
            """
            select kind, picture.width, picture.height, byte_size, key
            from picture join work on work.id = work_id and work.run = picture.run where work_id = %s order by kind
            """,
            (work_id,),
        )
        return await cursor.fetchall()


async def extras(connection: Connection, work_id: int) -> list[Extra]:
    """Return the further objects of the run in force."""
    async with connection.cursor(row_factory=class_row(Extra)) as cursor:
        await cursor.execute(
            """
            select name, content_type, byte_size, key
            from extra join work on work.id = work_id and work.run = extra.run where work_id = %s order by name
            """,
            (work_id,),
        )
        return await cursor.fetchall()


async def storyboard(connection: Connection, work_id: int) -> Storyboard | None:
    """Return the storyboard of the run in force, if it has one."""
    async with connection.cursor(row_factory=class_row(Storyboard)) as cursor:
        await cursor.execute(
            """
            select interval_ms, tile_width, tile_height, columns, rows, tiles
            from storyboard join work on work.id = work_id and work.run = storyboard.run where work_id = %s
            """,
            (work_id,),
        )
        return await cursor.fetchone()


async def loudness(connection: Connection, work_id: int) -> Loudness | None:
    """Return the loudness that the run in force measured, if it did."""
    async with connection.cursor(row_factory=class_row(Loudness)) as cursor:
        await cursor.execute(
            """
            select integrated_lufs, range_lu, true_peak_dbtp
            from loudness join work on work.id = work_id and work.run = loudness.run where work_id = %s
            """,
            (work_id,),
        )
        return await cursor.fetchone()
