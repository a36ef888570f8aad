"""Reading what delivery needs, by SQL over the tables of the works domain."""

from typing import Final, LiteralString

import msgspec
from psycopg.rows import class_row

from openstage.database.engine import Database
from openstage.database.lookups import SharedLookup
from openstage.delivery.models import (
    Extra,
    FileKind,
    Ladder,
    PictureKind,
    Rendition,
    Segment,
    StoredObject,
    Storyboard,
    rendition_name,
)
from openstage.works.visibility import EVERYBODY, SEEN, Audience

_VISIBLE: Final[LiteralString] = "work.deleted_at is null and (work.state = 'published' or asked.reviewer) and " + SEEN


def _asked(*further: tuple[LiteralString, LiteralString]) -> LiteralString:
    """Make the part of a shared lookup that reads slugs, audiences and further columns (name and type each)."""
    names: LiteralString = "".join([f", {name}" for name, _ in further])
    arrays: LiteralString = "".join([f", %s::{kind}[]" for _, kind in further])
    return f"""
        from unnest(%s::text[], %s::bigint[], %s::boolean[], %s::boolean[]{arrays})
            with ordinality as asked (slug, person, owner, reviewer{names}, number) join work using (slug)
        """


# What a run's first rendition is stands in its plan: rungs made from it grew before they were whole. A plan may have
# tens of kilobytes, so it is taken apart once for each work, not for each rendition.
_RENDITIONS: Final[LiteralString] = f"""
    with wanted as materialized (
        select asked.number, work.id, work.run, work.duration_ms,
               (plan->'ladder'->'stands_for')::text as stands_for, plan->'first' as first
        {_asked()} left join production_run on production_run.name = work.run where {_VISIBLE}
    )
    select wanted.number, stands_for, wanted.duration_ms,
           kind, quality, complete, width, height, frame_rate, codecs, bandwidth, average_bandwidth,
           rendition.duration_ms, byte_size, key,
           not complete or coalesce(
               case kind when 'hls_audio' then first->>'sound' is not null
                         when 'hls_video' then quality = first->'video'->>'quality' end, false),
           coalesce((first->'video'->>'copy')::boolean, false), retired_at is not null
    from wanted join rendition on rendition.work_id = wanted.id and rendition.run = wanted.run
    """
_SEGMENT: Final[LiteralString] = f"""
    select asked.number, rendition.key, segment.key, segment.byte_size
    {_asked(("quality", "text"), ("segment", "bigint"))}
    join rendition on rendition.work_id = work.id and rendition.run = work.run and rendition.quality = asked.quality
    join segment on segment.rendition_id = rendition.id and segment.number = asked.segment
    where kind in ('hls_video', 'hls_audio') and {_VISIBLE}
    """
_FILE: Final[LiteralString] = f"""
    select asked.number, rendition.key, rendition.byte_size {_asked(("kind", "text"), ("quality", "text"))}
    join rendition on rendition.work_id = work.id and rendition.run = work.run
         and rendition.kind = asked.kind and rendition.quality = asked.quality
    where complete and {_VISIBLE}
    """
_PICTURE: Final[LiteralString] = f"""
    select asked.number, picture.key, picture.byte_size {_asked(("kind", "text"))}
    join picture on picture.work_id = work.id and picture.run = work.run and picture.kind = asked.kind
    where {_VISIBLE}
    """
_EXTRA: Final[LiteralString] = f"""
    select asked.number, extra.run, content_type, extra.key, extra.byte_size {_asked(("name", "text"))}
    join extra on extra.work_id = work.id and extra.run = work.run and extra.name = asked.name where {_VISIBLE}
    """
_STORYBOARD: Final[LiteralString] = f"""
    select asked.number, storyboard.run, interval_ms, tile_width, tile_height, columns, rows, tiles,
           coalesce(work.duration_ms, 0)
    {_asked()} join storyboard on storyboard.work_id = work.id and storyboard.run = work.run where {_VISIBLE}
    """
_read: Final = msgspec.json.Decoder(dict[str, str]).decode


class Repository:
    """Rows of works that an audience may see: published ones, and for reviewers the others too; never deleted ones.

    What is seen is what the run in force made (`work.run`): a rerun under way is invisible.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._renditions = SharedLookup(database, _RENDITIONS)
        self._segment = SharedLookup(database, _SEGMENT)
        self._file = SharedLookup(database, _FILE)
        self._picture = SharedLookup(database, _PICTURE)
        self._extra = SharedLookup(database, _EXTRA)
        self._storyboard = SharedLookup(database, _STORYBOARD)

    async def ladder(self, slug: str, audience: Audience = EVERYBODY) -> Ladder:
        """Return all renditions of a work; none if it may not be seen.

        Raises:
            Unavailable: the database is away.

        """
        found = await self._renditions.rows(slug, *audience.key)
        if not found:
            return Ladder()
        stands_for, duration = found[0][:2]
        renditions = [Rendition(*values) for _, _, *values in found]
        return Ladder(renditions, _read(stands_for or "{}"), duration or max(each.duration_ms for each in renditions))

    async def segments(self, slug: str, rendition: Rendition) -> list[Segment]:
        """Return the segments of an HLS rendition in order.

        Raises:
            Unavailable: the database is away.

        """
        query: LiteralString = (
            "select number, duration_us from segment join rendition on rendition.id = rendition_id"
            " join work on work.id = work_id where slug = %(slug)s and rendition.key = %(key)s order by number"
        )
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(Segment)) as cursor,
        ):
            return await (await cursor.execute(query, {"slug": slug, "key": rendition.key})).fetchall()

    async def segment(
        self, slug: str, quality: str, number: int, audience: Audience
    ) -> tuple[str, StoredObject] | None:
        """Find a segment: the name of its rendition, and its object.

        Raises:
            Unavailable: the database is away.

        """
        row = await self._segment.row(slug, *audience.key, quality, number)
        return (rendition_name(quality, row[0]), StoredObject(row[1], row[2])) if row else None

    async def file(self, slug: str, kind: FileKind, quality: str, audience: Audience) -> StoredObject | None:
        """Find a whole mp4 or mp3 file of a work.

        Raises:
            Unavailable: the database is away.

        """
        row = await self._file.row(slug, *audience.key, kind, quality)
        return StoredObject(*row) if row else None

    async def picture(self, slug: str, kind: PictureKind, audience: Audience = EVERYBODY) -> StoredObject | None:
        """Find a picture of a work.

        Raises:
            Unavailable: the database is away.

        """
        row = await self._picture.row(slug, *audience.key, kind)
        return StoredObject(*row) if row else None

    async def additional(self, slug: str, name: str, audience: Audience) -> Extra | None:
        """Find the waveform (`waveform.json`, `waveform.png`) or a sheet of the storyboard (`storyboard/0.jpg`).

        Raises:
            Unavailable: the database is away.

        """
        row = await self._extra.row(slug, *audience.key, name)
        return Extra(row[0], row[1], StoredObject(row[2], row[3])) if row else None

    async def storyboard(self, slug: str, audience: Audience) -> Storyboard | None:
        """Return how a work's storyboard is laid out, if it has one.

        Raises:
            Unavailable: the database is away.

        """
        row = await self._storyboard.row(slug, *audience.key)
        return Storyboard(*row) if row else None
