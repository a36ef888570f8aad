"""Events: emitted with what happens, listed, delivered again, forgotten."""

import dataclasses
import secrets
import string
from collections.abc import Sequence
from typing import Any, Final

from psycopg.rows import class_row
from psycopg.types.json import Json

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.events import jobs
from openstage.events.composing import told
from openstage.events.errors import EventUnderWay, UnknownEvent
from openstage.events.models import Attempt, Event, EventFilter, EventLog
from openstage.observability.logs import get_logger
from openstage.outbound.addresses import read_url
from openstage.outbound.errors import BadAddress
from openstage.settings import Settings

_BASE62: Final = string.digits + string.ascii_letters
_AT_ONCE: Final = 1000
LATE_SECONDS: Final = 60
"""An event that has been due for so long should have been delivered: something may have lost its job."""
_COLUMNS: Final = """
    e.public_id, app.client_id, coalesce(work.file_id, '') as file_id, e.kind, e.sequence, e.url, e.data, e.state,
    e.held, e.tries, e.attempts, e.due_at, e.created_at, e.ended_at, last.status as last_status,
    coalesce(last.excerpt, '') as last_excerpt
    """
_FROM: Final = """
    event e join app on app.id = e.app_id left join work on work.id = e.work_id
    left join event_attempt last on last.event_id = e.id and last.number = e.attempts
    """
_MATCHES: Final = """
    (%(client)s::text is null or e.app_id = (select id from app where client_id = %(client)s))
    and (%(state)s::text is null or e.state = %(state)s) and (%(kind)s::text is null or e.kind = %(kind)s)
    and (%(work)s::text is null or e.work_id = any(array(
        select id from work where file_id = %(work)s
        union all select work_id from recording where ugc_id = %(work)s or share_id = %(work)s)))
    and (%(since)s::timestamptz is null or e.created_at >= %(since)s)
    """

_log = get_logger("events")


def new_event_id() -> str:
    """Return `evt_` and 24 characters of base 62 (142 bits) from a cryptographic source."""
    return "evt_" + "".join(secrets.choice(_BASE62) for _ in range(24))


class Events:
    """The events of all apps."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    # --- emitting -----------------------------------------------------------------------------------------------
    @staticmethod
    async def emit(
        connection: Connection,
        *,
        app_id: int,
        kind: str,
        work_id: int | None,
        data: dict[str, Any],
        callback_url: str = "",
    ) -> str | None:
        """Note that an app is to be told something; a worker tells it once the transaction is committed.

        Args:
            connection: the transaction of what has happened. If it isn't committed, nothing was emitted.
            app_id: whom.
            kind: what has happened, such as `ugc.published`.
            work_id: to which work; its events are numbered in the order of their transactions. None: to none.
            data: what else there is to say, for JSON. Values of keys that end in `_url` may be a role and a path, such
                as `media:/play/x`: they are sent as addresses of this server (`Settings.base`).
            callback_url: where it is told; empty: nobody wants to hear it.

        Returns:
            The event's public id; None: it is told to nobody, because there is no address, none that may be called,
            or one whose receiver has said that it wants no more of this work (410 Gone).

        """
        host = _host(callback_url)
        if not host or (work_id is not None and await _unwanted(connection, work_id, callback_url)):
            return None
        public_id = new_event_id()
        before = await jobs.waiting(connection, app_id)
        row = await (
            await connection.execute(
                """
                with number as (
                    insert into event_sequence as s (work_id, last)
                    select id, 1 from work where id = %(work)s::bigint
                    on conflict (work_id) do update set last = s.last + 1 returning last
                )
                insert into event (public_id, app_id, work_id, kind, sequence, url, host, data)
                values (%(public)s, %(app)s, %(work)s::bigint, %(kind)s, coalesce((select last from number), 0),
                        %(url)s, %(host)s, %(data)s)
                returning id
                """,
                {
                    "public": public_id,
                    "app": app_id,
                    "work": work_id,
                    "kind": kind,
                    "url": callback_url,
                    "host": host,
                    "data": Json(data),
                },
            )
        ).fetchone()
        assert row is not None  # an insert of one row gives it back
        await jobs.enter(connection, row[0], after=before)
        return public_id

    # --- reading ------------------------------------------------------------------------------------------------
    async def list(self, which: EventFilter | None = None, *, limit: int = 50) -> Sequence[Event]:
        """Return events, the newest first."""
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(Event)) as cursor,
        ):
            await cursor.execute(
                f"select {_COLUMNS} from {_FROM} where {_MATCHES} order by e.id desc limit %(limit)s".encode(),
                _parameters(which) | {"limit": limit},
            )
            return [self._told(event) for event in await cursor.fetchall()]

    async def show(self, public_id: str) -> EventLog:
        """Return an event and its attempts.

        Raises:
            UnknownEvent: there is none, or it has been forgotten.

        """
        async with self._database.connection() as connection:
            async with connection.cursor(row_factory=class_row(Event)) as cursor:
                await cursor.execute(
                    f"select {_COLUMNS} from {_FROM} where e.public_id = %s".encode(), (storable(public_id),)
                )
                event = await cursor.fetchone()
            if event is None:
                raise _unknown(public_id)
            async with connection.cursor(row_factory=class_row(Attempt)) as cursor:
                await cursor.execute(
                    """
                    select a.number, a.began_at, a.seconds, a.outcome, a.status, a.excerpt
                    from event_attempt a join event e on e.id = a.event_id where e.public_id = %s order by a.number
                    """,
                    (storable(public_id),),
                )
                return EventLog(self._told(event), await cursor.fetchall())

    def _told(self, event: Event) -> Event:
        return dataclasses.replace(event, data=told(event.data, self._settings))

    # --- delivering again ---------------------------------------------------------------------------------------
    async def replay(self, public_id: str) -> Event:
        """Deliver an event again at once, under its own id, whatever has become of it; all tries are before it again.

        Raises:
            UnknownEvent: there is none, or it has been forgotten.
            EventUnderWay: it is being delivered just now.

        """
        row = await self._database.fetch_one(
            "select id, app_id from event where public_id = %(id)s", {"id": storable(public_id)}
        )
        if row is None:
            raise _unknown(public_id)
        async with self._database.transaction() as connection:
            await jobs.take_turns(connection, row[1])
            if not await _again(connection, row[0]):
                raise EventUnderWay("This event is being delivered just now; see what comes of it.")
        return (await self.show(public_id)).event

    async def replay_all(self, which: EventFilter) -> int:
        """Deliver all events again that match and aren't under way; returns how many."""
        async with self._database.connection() as connection:
            rows = await (
                await connection.execute(
                    f"select id, app_id from event e where {_MATCHES} and e.state <> 'doing' order by id".encode(),
                    _parameters(which),
                )
            ).fetchall()
        count = 0
        for event_id, app_id in rows:
            async with self._database.transaction() as connection:
                await jobs.take_turns(connection, app_id)
                count += await _again(connection, event_id)
        return count

    # --- keeping house ------------------------------------------------------------------------------------------
    async def forget_events(self) -> int:
        """Forget events that ended longer than `settings.event_memory` ago, with their attempts."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                delete from event where id in (
                    select id from event where ended_at < now() - make_interval(secs => %s) limit %s)
                """,
                (self._settings.event_memory, _AT_ONCE),
            )
            return cursor.rowcount

    async def resume_events(self) -> int:
        """Give events jobs that need one and have none: nothing known makes such, but none may wait for ever."""
        async with self._database.connection() as connection:
            rows = await (
                await connection.execute(
                    """
                    select e.app_id, array_agg(e.id order by e.due_at) filter (where not held) from event e
                    where state in ('waiting', 'doing') and due_at < now() - make_interval(secs => %s)
                      and (held or not exists (
                          select from procrastinate_jobs j
                          where j.lock = 'event:' || e.id and j.status in ('todo', 'doing')))
                    group by e.app_id
                    """,
                    (LATE_SECONDS,),
                )
            ).fetchall()
        count = 0
        for app_id, lost in rows:
            async with self._database.transaction() as connection:
                await jobs.take_turns(connection, app_id)
                for event_id in (lost or [])[:_AT_ONCE]:
                    await jobs.enter(connection, event_id)
                count += len(lost or ()) + await jobs.release(connection, app_id, jobs.MOST_PER_APP)
        if count:
            _log.warning("events had no job; they go on", events=count)
        return count


async def _unwanted(connection: Connection, work_id: int, url: str) -> bool:
    row = await (
        await connection.execute(
            """
            select state = 'gone' from event where work_id = %s and url = %s and ended_at is not null
            order by ended_at desc limit 1
            """,
            (work_id, url),
        )
    ).fetchone()
    return bool(row and row[0])


async def _again(connection: Connection, event_id: int) -> bool:
    cursor = await connection.execute(
        """
        update event set state = 'waiting', held = false, tries = 0, claim = '', due_at = now(), ended_at = null
        where id = %s and state <> 'doing'
        """,
        (event_id,),
    )
    if cursor.rowcount:
        await jobs.enter(connection, event_id)
    return cursor.rowcount == 1


def _host(url: str) -> str:
    """Return where an address leads to; empty where it is none: what happens to a work must not fail by that.

    Who takes an address from a user checks it there and then; whether it may be called is decided when it is.
    """
    if not url:
        return ""
    try:
        return read_url(url).origin
    except BadAddress:
        return ""


def _parameters(which: EventFilter | None) -> dict[str, Any]:
    which = which or EventFilter()
    return {
        "client": which.client_id,
        "state": which.state,
        "kind": which.kind,
        "work": which.work,
        "since": which.since,
    }


def _unknown(public_id: str) -> UnknownEvent:
    return UnknownEvent(f"There is no event {public_id!r} (any more); `openstage callback list` shows them.")
