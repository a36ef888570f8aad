"""Reading what delivery needs, by SQL over the tables of the works domain."""

from typing import Final, LiteralString

from psycopg.rows import class_row

from openstage.database.engine import Database
from openstage.database.lookups import SharedLookup
from openstage.delivery.models import PictureKind, Rendition, Segment, StoredObject, rendition_name

_VISIBLE: Final[LiteralString] = (
    "work.slug = %(slug)s and work.deleted_at is null and (work.state = 'published' or %(review)s)"
)
_RENDITIONS: Final[LiteralString] = """
    select asked.number, work.state = 'published', kind, quality, complete, width, height, frame_rate, codecs,
           bandwidth, average_bandwidth, rendition.duration_ms, byte_size, key
    from unnest(%s::text[]) with ordinality as asked (slug, number)
    join work using (slug) join rendition on rendition.work_id = work.id
    where work.deleted_at is null
    """


class Repository:
    """Rows of works that may be seen: published ones, and for reviewers the others too; never deleted ones."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._renditions = SharedLookup(database, _RENDITIONS)

    async def renditions(self, slug: str, *, review: bool = False) -> list[Rendition]:
        """Return all renditions of a work; none if it may not be seen.

        Raises:
            Unavailable: the database is away.

        """
        found = await self._renditions.rows(slug)
        return [Rendition(*row) for published, *row in found if published or review]

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

    async def segment(self, slug: str, quality: str, number: int, *, review: bool) -> tuple[str, StoredObject] | None:
        """Find a segment: the name of its rendition, and its object.

        Raises:
            Unavailable: the database is away.

        """
        query: LiteralString = (
            "select rendition.key, segment.key, segment.byte_size from work"
            " join rendition on rendition.work_id = work.id join segment on segment.rendition_id = rendition.id"
            " where kind in ('hls_video', 'hls_audio') and quality = %(quality)s and number = %(number)s and "
            + _VISIBLE
        )
        values = {"slug": slug, "quality": quality, "number": number, "review": review}
        row = await self._database.fetch_one(query, values)
        return (rendition_name(quality, row[0]), StoredObject(row[1], row[2])) if row else None

    async def mp4(self, slug: str, quality: str, *, review: bool) -> StoredObject | None:
        """Find a whole mp4 file of a work.

        Raises:
            Unavailable: the database is away.

        """
        query: LiteralString = (
            "select rendition.key, rendition.byte_size from work join rendition on rendition.work_id = work.id"
            " where kind = 'mp4' and quality = %(quality)s and complete and " + _VISIBLE
        )
        row = await self._database.fetch_one(query, {"slug": slug, "quality": quality, "review": review})
        return StoredObject(*row) if row else None

    async def picture(self, slug: str, kind: PictureKind, *, review: bool = False) -> StoredObject | None:
        """Find a picture of a work.

        Raises:
            Unavailable: the database is away.

        """
        query: LiteralString = (
            "select picture.key, picture.byte_size from work join picture on picture.work_id = work.id"
            " where picture.kind = %(kind)s and " + _VISIBLE
        )
        row = await self._database.fetch_one(query, {"slug": slug, "kind": kind, "review": review})
        return StoredObject(*row) if row else None
