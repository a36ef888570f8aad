"""Lists of recordings.

A page begins where the page before ended (keyset paging): its place is the sort key of the last recording that was
given, so whatever is added or deleted meanwhile, no page skips or repeats one that stays. Each list walks an index
(`0005_recordings.sql`), so a page costs the same however long the list is.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from msgspec import Struct

from openstage.database.engine import Database
from openstage.database.lookups import SharedLookup
from openstage.database.text import storable
from openstage.identity.models import Caller
from openstage.works.errors import UnknownSinger
from openstage.works.models import Work
from openstage.works.queries import COLUMNS
from openstage.works.recordings import RECORDING_COLUMNS, Recording, recorded_work_of

Place = tuple[int, ...]
"""Where a page ended: two numbers that mean something to the list that gave them, the second a work's."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_LAST: Final = 2**62


class Singer(Struct, frozen=True):
    """Who makes recordings.

    Attributes:
        user_id: the end user of the app by which they come.
        account_id: the person's account; None: the app alone knows who it is.
        name: what others see: the account's name, else the nick that the app gave.
        uid: what the app calls them: their openid, or a name of its own.

    """

    user_id: int
    account_id: int | None
    name: str
    uid: str


class ListedRecording(Struct, frozen=True):
    """A recording as lists show it: with its work and its singer."""

    work: Work
    recording: Recording
    singer: Singer


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the place where it ends; None: nothing follows."""

    items: list[ListedRecording]
    end: Place | None


SUNG: Final[LiteralString] = "exists (select from recording where recording.work_id = work.id)"
HEARD: Final[LiteralString] = "work.state = 'published' and work.deleted_at is null and work.access = 'public'"
"""SQL: everybody may hear `work`."""
_SHOWN: Final[LiteralString] = "state = 'published' and deleted_at is null and access <> 'private'"
_OLDER: Final[LiteralString] = "(created_at, id) < (coalesce(%(key)s, 'infinity'::timestamptz), %(tie)s)"
_NEWEST_FIRST: Final[LiteralString] = "order by created_at desc, id desc limit %(limit)s"

_MINE: Final[LiteralString] = (
    "app_id = %(app)s and user_id = %(user)s and deleted_at is null"
    " and state in ('publishing', 'reviewing', 'published', 'refused', 'failed') and " + SUNG
)
_OWN: Final[LiteralString] = f"""
    select created_at as key, id as tie from work where {_MINE} and {_OLDER} {_NEWEST_FIRST}
    """
_OF_SINGER: Final[LiteralString] = f"""
    select created_at as key, id as tie from work
    where user_id = %(user)s and {_SHOWN} and (access = 'public' or %(in_circle)s) and {SUNG} and {_OLDER}
    {_NEWEST_FIRST}
    """
_OF_FRIENDS: Final[LiteralString] = f"""
    select latest.created_at as key, latest.id as tie
    from friendship join end_user maker on maker.account_id = friendship.friend_id cross join lateral (
        select created_at, id from work where user_id = maker.id and {_SHOWN} and {SUNG} and {_OLDER} {_NEWEST_FIRST}
    ) latest
    where friendship.account_id = %(person)s order by key desc, tie desc limit %(limit)s
    """
# `limit` keeps PostgreSQL from joining the whole tables: each recording's work is looked at until there are enough.
_IF_HEARD: Final[LiteralString] = (
    f"join lateral (select from work where id = work_id and {HEARD} limit 1) heard on true"
)
_HOTTEST: Final[LiteralString] = f"""
    select heat as key, work_id as tie from recording {_IF_HEARD}
    where (heat, work_id) < (coalesce(%(key)s, {_LAST}), %(tie)s)
    order by heat desc, work_id desc limit %(limit)s
    """
_HOTTEST_OF_SONG: Final[LiteralString] = f"""
    select heat as key, work_id as tie from recording {_IF_HEARD}
    where song_id = %(song)s and (heat, work_id) < (coalesce(%(key)s, {_LAST}), %(tie)s)
    order by heat desc, work_id desc limit %(limit)s
    """
_OF_CITY: Final[LiteralString] = f"""
    select work_id as key, work_id as tie from recording {_IF_HEARD}
    where city_id = %(city)s and work_id < %(tie)s order by work_id desc limit %(limit)s
    """
_SINGER: Final[LiteralString] = """
    select singer.id as singer_id, singer.account_id, coalesce(account.name, singer.nick) as singer_name, singer.uid
    from end_user singer left join account on account.id = singer.account_id
    """
_SHOWN_COLUMNS: Final[LiteralString] = (
    f"who.singer_id, who.account_id, who.singer_name, who.uid, {COLUMNS}, {RECORDING_COLUMNS}"
)
"""Columns of a `ListedRecording`, in the order that `_listed` reads."""
_AND_WHAT_IS_SHOWN: Final[LiteralString] = f"""
    join work on work.id = recording.work_id join lateral ({_SINGER} where singer.id = work.user_id) who on true
    where work.deleted_at is null
    """


def _lookup(column: LiteralString) -> LiteralString:
    return (
        f"select asked.number, {_SHOWN_COLUMNS} from unnest(%s::text[]) with ordinality as asked (name, number)"
        f" join recording on recording.{column} = asked.name {_AND_WHAT_IS_SHOWN}"
    )


class Listing:
    """Reads lists of recordings. Who may see what: `works.visibility`; these queries keep to it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_ugc_id = SharedLookup(database, _lookup("ugc_id"))
        self._by_share_id = SharedLookup(database, _lookup("share_id"))

    async def by_ugc_id(self, ugc_id: str) -> ListedRecording | None:
        """Return a recording, in whatever state, by the name that its singer's apps have for it."""
        row = await self._by_ugc_id.row(storable(ugc_id))
        return _listed(row) if row else None

    async def by_share_id(self, share_id: str) -> ListedRecording | None:
        """Return a recording, in whatever state, by the name in its share address."""
        row = await self._by_share_id.row(storable(share_id))
        return _listed(row) if row else None

    async def own(self, caller: Caller, after: Place | None, limit: int) -> Page:
        """Return a caller's recordings whose file has come, published or not, the newest first."""
        return await self._page(_OWN, _by_time(after), limit, app=caller.app_id, user=caller.user_id)

    async def count(self, caller: Caller) -> int:
        """Return how many recordings `own` lists."""
        row = await self._database.fetch_one(
            "select count(*) from work where " + _MINE, {"app": caller.app_id, "user": caller.user_id}
        )
        return int(row[0]) if row else 0

    async def of_singer(self, singer: Singer, viewer: int | None, after: Place | None, limit: int) -> Page:
        """Return what a singer shows to somebody with this account, the newest first; None: to anybody."""
        in_circle = viewer is not None and await self._in_circle(singer, viewer)
        return await self._page(_OF_SINGER, _by_time(after), limit, user=singer.user_id, in_circle=in_circle)

    async def of_friends(self, account_id: int, after: Place | None, limit: int) -> Page:
        """Return what a person's friends show to their friends, by whichever app it came, the newest first."""
        return await self._page(_OF_FRIENDS, _by_time(after), limit, person=account_id)

    async def of_city(self, city_id: int, after: Place | None, limit: int) -> Page:
        """Return what was sung in a city, the newest first."""
        return await self._page(_OF_CITY, _by_number(after), limit, city=city_id)

    async def hottest(self, song_id: str, after: Place | None, limit: int) -> Page:
        """Return the recordings of a song (empty: of all songs) that are new or often played (`recording.heat`).

        One that rises because it was played meanwhile may pass a page that is being turned; none is given twice.
        """
        query = _HOTTEST_OF_SONG if song_id else _HOTTEST
        return await self._page(query, _by_number(after), limit, song=storable(song_id))

    async def singer(self, app_id: int, uid: str) -> Singer:
        """Return one of an app's people by what the app calls them.

        Raises:
            UnknownSinger: the app knows nobody of that name.

        """
        row = await self._database.fetch_one(
            _SINGER + " where singer.app_id = %(app)s and singer.uid = %(uid)s and singer.realm <> 'app' limit 1",
            {"app": app_id, "uid": storable(uid)},
        )
        if row is None:
            raise UnknownSinger("This app knows nobody with this openid.")
        return Singer(*row)

    async def _in_circle(self, singer: Singer, viewer: int) -> bool:
        if singer.account_id in (None, viewer):
            return singer.account_id == viewer
        row = await self._database.fetch_one(
            "select true from friendship where account_id = %(account)s and friend_id = %(viewer)s",
            {"account": singer.account_id, "viewer": viewer},
        )
        return row is not None

    async def _page(self, query: LiteralString, values: dict[str, object], limit: int, **further: object) -> Page:
        """Run the query of a list, which gives `key` and `tie`, for one more than asked for, and add what is shown."""
        # As a number in the text: where the limit is a parameter, a plan that is kept is made for a tenth of all rows.
        limited = query.replace("%(limit)s", str(limit + 1))
        details = f"""
            with page as materialized ({limited})
            select page.key, {_SHOWN_COLUMNS} from page join recording on recording.work_id = page.tie
            {_AND_WHAT_IS_SHOWN} order by page.key desc, page.tie desc
            """
        async with self._database.connection() as connection:
            cursor = await connection.execute(details.encode(), {**values, **further})
            rows = await cursor.fetchall()
        shown = rows[:limit]
        items = [_listed(row[1:]) for row in shown]
        more = len(rows) > limit
        return Page(items, (_number(shown[-1][0]), items[-1].work.id) if more else None)


def _listed(row: tuple[Any, ...]) -> ListedRecording:
    found = recorded_work_of(row[4:])
    return ListedRecording(found.work, found.recording, Singer(*row[:4]))


def _by_time(after: Place | None) -> dict[str, object]:
    key, tie = after or (None, _LAST)
    return {"key": None if key is None else _EPOCH + key * _MICROSECOND, "tie": tie}


def _by_number(after: Place | None) -> dict[str, object]:
    key, tie = after or (None, _LAST)
    return {"key": key, "tie": tie}


def _number(key: object) -> int:
    return (key - _EPOCH) // _MICROSECOND if isinstance(key, dt.datetime) else int(str(key))
