"""What a run has made, as rows: renditions that grow or are whole, pictures, and what goes with them.

All functions are part of the caller's transaction. None asks whether the run is still wanted: who calls them holds the
task that does (`publishing.tasks`). Only the rows of the run that is in force (`work.run`) are ever shown.
"""

from collections.abc import Sequence

from openstage.database.engine import Connection
from openstage.works.models import (
    Completed,
    Extra,
    Grown,
    Loudness,
    NewRendition,
    Picture,
    Segment,
    Storyboard,
)

SOURCE_QUALITY = "s"
"""Quality of a first rendition that is the source's own stream and too fat for a rung: offered until one is whole."""


_TABLES = ("rendition", "picture", "extra", "storyboard", "loudness")


async def add_rendition(connection: Connection, work_id: int, run: str, made: NewRendition) -> None:
    """Enter a rendition with the segments it has: whole, or growing from here on."""
    row = await (
        await connection.execute(
            """
            insert into rendition (work_id, run, kind, quality, complete, width, height, frame_rate, codecs, bandwidth,
                                   average_bandwidth, duration_ms, byte_size, key)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id
            """,
            (
                work_id,
                run,
                made.kind,
                made.quality,
                made.complete,
                made.width,
                made.height,
                made.frame_rate,
                made.codecs,
                made.bandwidth,
                made.average_bandwidth,
                made.duration_ms,
                made.byte_size,
                made.key,
            ),
        )
    ).fetchone()
    assert row is not None  # an insert that returns gives a row
    await _insert_segments(connection, row[0], made.segments)


async def append_segments(
    connection: Connection, work_id: int, run: str, quality: str, segments: Sequence[Segment]
) -> None:
    """Add segments to a growing rendition, and their duration and size to its own; those it has already are left."""
    row = await (
        await connection.execute(
            """
            select id from rendition
            where work_id = %s and run = %s and kind in ('hls_video', 'hls_audio') and quality = %s and not complete
            for update
            """,
            (work_id, run, quality),
        )
    ).fetchone()
    assert row is not None, f"there is no growing rendition {quality}"
    added = await _insert_segments(connection, row[0], segments)
    await connection.execute(
        """
        update rendition
        set byte_size = byte_size + %(size)s,
            duration_ms = (select coalesce(sum(duration_us), 0) / 1000 from segment where rendition_id = %(id)s)
        where id = %(id)s
        """,
        {"id": row[0], "size": added},
    )


async def complete_renditions(connection: Connection, work_id: int, run: str, finished: Sequence[Completed]) -> None:
    """Turn growing renditions whole, together: picture and sound of one first rendition end at once."""
    for each in finished:
        cursor = await connection.execute(
            """
            update rendition set complete = true, bandwidth = %s, average_bandwidth = %s
            where work_id = %s and run = %s and kind = %s and quality = %s
            """,
            (each.bandwidth, each.average_bandwidth, work_id, run, each.kind, each.quality),
        )
        assert cursor.rowcount == 1, f"there is no {each.kind} {each.quality}"


async def grown(connection: Connection, work_id: int, run: str) -> list[Grown]:
    """Return the HLS renditions of a run, growing and whole ones, with their segments: where a next try goes on."""
    rows = await (
        await connection.execute(
            """
            select id, kind, quality, complete, key from rendition
            where work_id = %s and run = %s and kind in ('hls_video', 'hls_audio') order by id
            """,
            (work_id, run),
        )
    ).fetchall()
    found = []
    for rendition_id, kind, quality, complete, key in rows:
        segments = await (
            await connection.execute(
                "select number, duration_us, byte_size, key from segment where rendition_id = %s order by number",
                (rendition_id,),
            )
        ).fetchall()
        found.append(Grown(kind, quality, complete, key, tuple(Segment(*segment) for segment in segments)))
    return found


async def discard_growing(connection: Connection, work_id: int, run: str) -> None:
    """Take back what has grown of a run and isn't whole: it can't be gone on with."""
    await connection.execute("delete from rendition where work_id = %s and run = %s and not complete", (work_id, run))


async def retire_source(connection: Connection, work_id: int, run: str) -> bool:
    """List the source's own stream no longer once a rung is whole; who plays it already can go on for a while.

    Returns:
        Whether it was listed until now, and isn't any more.

    """
    cursor = await connection.execute(
        """
        update rendition set retired_at = now()
        where work_id = %(work)s and run = %(run)s and kind = 'hls_video' and quality = %(source)s
          and complete and retired_at is null
          and exists (select from rendition r where r.work_id = %(work)s and r.run = %(run)s and r.kind = 'hls_video'
                                                and r.quality <> %(source)s and r.complete)
        """,
        {"work": work_id, "run": run, "source": SOURCE_QUALITY},
    )
    return cursor.rowcount == 1


async def add_pictures(connection: Connection, work_id: int, run: str, pictures: Sequence[Picture]) -> None:
    """Enter pictures, or put others in their place."""
    for picture in pictures:
        await connection.execute(
            """
            insert into picture (work_id, run, kind, width, height, byte_size, key)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (work_id, run, kind) do update
            set width = excluded.width, height = excluded.height, byte_size = excluded.byte_size, key = excluded.key
            """,
            (work_id, run, picture.kind, picture.width, picture.height, picture.byte_size, picture.key),
        )


async def add_extras(connection: Connection, work_id: int, run: str, extras: Sequence[Extra]) -> None:
    """Enter further objects, or put others in their place."""
    for extra in extras:
        await connection.execute(
            """
            insert into extra (work_id, run, name, content_type, byte_size, key) values (%s, %s, %s, %s, %s, %s)
            on conflict (work_id, run, name) do update
            set content_type = excluded.content_type, byte_size = excluded.byte_size, key = excluded.key
            """,
            (work_id, run, extra.name, extra.content_type, extra.byte_size, extra.key),
        )


async def set_storyboard(connection: Connection, work_id: int, run: str, board: Storyboard) -> None:
    """Enter how the storyboard is laid out; its sheets are extras."""
    await connection.execute("delete from storyboard where work_id = %s and run = %s", (work_id, run))
    await connection.execute(
        """
        insert into storyboard (work_id, run, interval_ms, tile_width, tile_height, columns, rows, tiles)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            work_id,
            run,
            board.interval_ms,
            board.tile_width,
            board.tile_height,
            board.columns,
            board.rows,
            board.tiles,
        ),
    )


async def set_loudness(connection: Connection, work_id: int, run: str, loudness: Loudness) -> None:
    """Enter the measured loudness."""
    await connection.execute("delete from loudness where work_id = %s and run = %s", (work_id, run))
    await connection.execute(
        "insert into loudness (work_id, run, integrated_lufs, range_lu, true_peak_dbtp) values (%s, %s, %s, %s, %s)",
        (work_id, run, loudness.integrated_lufs, loudness.range_lu, loudness.true_peak_dbtp),
    )


async def keys(connection: Connection, work_id: int, run: str) -> set[str]:
    """Return the objects that the rows of a run name."""
    rows = await (
        await connection.execute(
            """
            with mine as (select id, key from rendition where work_id = %(work)s and run = %(run)s)
            select key from mine
            union all select s.key from segment s join mine on mine.id = rendition_id
            union all select key from picture where work_id = %(work)s and run = %(run)s
            union all select key from extra where work_id = %(work)s and run = %(run)s
            """,
            {"work": work_id, "run": run},
        )
    ).fetchall()
    return {row[0] for row in rows}


async def remove(connection: Connection, work_id: int, *, but: str = "") -> None:
    """Remove the rows of a work's runs.

    Args:
        connection: the caller's transaction.
        work_id: the work.
        but: the run whose rows stay.

    """
    for table in _TABLES:
        await connection.execute(f"delete from {table} where work_id = %s and run <> %s".encode(), (work_id, but))


async def remove_runs(connection: Connection, runs: Sequence[str]) -> None:
    """Remove all rows of runs that are known (`production_run`)."""
    for table in _TABLES:
        await connection.execute(
            f"""
            delete from {table} made using production_run r
            where made.work_id = r.work_id and made.run = r.name and r.name = any(%s)
            """.encode(),
            (list(runs),),
        )


async def _insert_segments(connection: Connection, rendition_id: int, segments: Sequence[Segment]) -> int:
    """Add segments in one statement (a two-hour work has 1,800 in each rung); return the bytes of the new ones."""
    row = await (
        await connection.execute(
            """
            with new as (
                insert into segment (rendition_id, number, duration_us, byte_size, key)
                select %s, * from unnest(%s::int[], %s::bigint[], %s::bigint[], %s::text[])
                on conflict do nothing returning byte_size
            )
            select coalesce(sum(byte_size), 0) from new
            """,
            (
                rendition_id,
                [segment.number for segment in segments],
                [segment.duration_us for segment in segments],
                [segment.byte_size for segment in segments],
                [segment.key for segment in segments],
            ),
        )
    ).fetchone()
    return int(row[0]) if row else 0
