"""Songs, as recordings name them, and which of them somebody may like to sing.

There is no library of songs here: a song is what recordings give as `song_id`, and its name is what most of them call
it. Only recordings that everybody may hear count, but for a person's own.
"""

from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg.rows import class_row

from openstage.database.engine import Database
from openstage.identity.models import Caller
from openstage.works.listing import HEARD


@dataclass(frozen=True, slots=True)
class Song:
    """A song.

    Attributes:
        song_id: as apps number songs.
        name: what most of its best-known recordings call it.
        kind: their most frequent `song_type`.
        plays: of its best-known recordings (200 at most), together.

    """

    song_id: str
    name: str
    kind: int
    plays: int


# Every step is bounded, so that the cost hangs neither on how much somebody has sung nor on how many sing a song.
_PICKED: Final[LiteralString] = f"""
    with latest as (
        select id from work where app_id = %(app)s and user_id = %(user)s and deleted_at is null
        order by created_at desc, id desc limit 500
    ), mine as materialized (
        select song_id, max(work_id) as latest from recording join latest on latest.id = work_id where song_id <> ''
        group by song_id order by latest desc limit 50
    ), neighbours as materialized (
        select singing.user_id, count(distinct mine.song_id) as songs_in_common
        from mine cross join lateral (
            select user_id from recording join work on work.id = work_id
            where recording.song_id = mine.song_id and {HEARD} order by heat desc, work_id desc limit 100
        ) singing
        where singing.user_id <> %(user)s group by singing.user_id order by songs_in_common desc, user_id limit 100
    ), theirs as (
        select song_id, sum(songs_in_common) as weight from neighbours cross join lateral (
            select distinct song_id from (
                select song_id from work join recording on recording.work_id = work.id
                where user_id = neighbours.user_id and {HEARD} order by created_at desc, id desc limit 50
            ) sung
        ) songs group by song_id
    ), hot as (
        select song_id, count(*) as weight from (
            select song_id from recording join work on work.id = work_id
            where {HEARD} order by heat desc, work_id desc limit 1000
        ) hottest group by song_id
    ), picked as (
        select distinct on (song_id) song_id, rank, weight from (
            select song_id, 0 as rank, latest as weight from mine
            union all select song_id, 1, weight from theirs
            union all select song_id, 2, weight from hot
        ) found where song_id <> '' order by song_id, rank
    )
    select song_id, about.name, about.kind, about.plays
    from picked cross join lateral (
        select coalesce(mode() within group (order by nullif(song_name, '')), '') as name,
               mode() within group (order by song_type) as kind,
               coalesce(sum(play_count) filter (where heard), 0)::bigint as plays
        from (
            select song_name, song_type, play_count, {HEARD} as heard from recording join work on work.id = work_id
            where recording.song_id = picked.song_id and ({HEARD} or (user_id = %(user)s and deleted_at is null))
            order by heat desc, work_id desc limit 200
        ) best_known
    ) about
    order by rank = 0, rank, weight desc, song_id limit %(limit)s
    """


class Songs:
    """Picks songs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def picked_for(self, caller: Caller, limit: int) -> list[Song]:
        """Return songs that a caller may like to sing, the most fitting first.

        First what those sing who sang the same songs, then what is hot here, then what they have sung themselves.
        """
        values = {"app": caller.app_id, "user": caller.user_id, "limit": limit}
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Song)) as rows:
            await rows.execute(_PICKED, values)
            return await rows.fetchall()
