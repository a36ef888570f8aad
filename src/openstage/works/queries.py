"""Reading works: the one list of columns, and the rows as typed records."""

from typing import Any, Final

from psycopg.rows import class_row

from openstage.database.engine import Connection
from openstage.works.models import Picture, Rendition, Segment, Work

_COLUMNS: Final = """
    work.id, file_id, slug, app_id, user_id, state, review, reason, title, description, tags, category, described_at,
    file_size, duration_ms, step, percent, play_count, pending, last_fault, run, created_at, changed_at, published_at,
    deleted_at, purged_at, array(select kind from picture where work_id = work.id order by kind) as pictures
    """
"""Columns of a `Work`, in the order of its fields."""
# One text per query, whatever the parameters: psycopg then prepares it after a few uses.
_SELECT: Final = f"select {_COLUMNS} from work where "
BY_FILE_ID: Final = f"""
    select asked.number, {_COLUMNS}
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
    """Return the whole renditions of a work, the widest bandwidth last."""
    async with connection.cursor(row_factory=class_row(Rendition)) as cursor:
        await cursor.execute(
            """
            select id, kind, quality, complete, width, height, frame_rate, codecs, bandwidth, average_bandwidth,
                   duration_ms, byte_size, key
            from rendition where work_id = %s order by kind, bandwidth, quality
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
    """Return the pictures of a work."""
    async with connection.cursor(row_factory=class_row(Picture)) as cursor:
        await cursor.execute(
            "select kind, width, height, byte_size, key from picture where work_id = %s order by kind", (work_id,)
        )
        return await cursor.fetchall()
