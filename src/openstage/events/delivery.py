"""Delivering events: claimed, sent, and settled, each a transaction of its own or none.

A worker that dies between sending and settling has told nobody: the event is delivered again, under the same id. A
claim that somebody else has taken over settles nothing.
"""

import asyncio
import datetime as dt
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.errors import Unavailable
from openstage.events import jobs, signing
from openstage.events.composing import compose
from openstage.events.models import Outcome
from openstage.identity.keys import Keys
from openstage.identity.signing import SigningApps
from openstage.observability.logs import get_logger
from openstage.outbound.connecting import Outbound
from openstage.outbound.errors import ForbiddenAddress, OutboundError
from openstage.outbound.post import post
from openstage.settings import Settings

LONGEST_EXCERPT: Final = 1000
"""Characters of an answer that are kept."""
JITTER: Final = 0.1
"""Part of each wait by which it is longer or shorter: what failed together doesn't come back together."""
LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds for which a receiver may ask to be left alone beyond its turn."""
_GONE: Final = 410
_CONNECTIONS: Final = 3
"""Connections to the database that the deliveries of one process use at once."""

_log = get_logger("callbacks")


@dataclass(frozen=True, slots=True)
class _Claimed:
    """An event that is being delivered here."""

    id: int
    app_id: int
    client_id: str
    token: str
    attempt: int
    tries: int
    public_id: str
    work_id: int | None
    kind: str
    sequence: int
    url: str
    data: dict[str, Any]
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of an attempt."""

    outcome: Outcome
    status: int | None
    excerpt: str
    seconds: float | None
    lasting: bool = False
    """Trying again would change nothing."""
    retry_after: float = 0.0


class Delivery:
    """Delivers events; what a worker does for each job of `jobs.CALLBACK_QUEUE`."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        keys: Keys,
        *,
        outbound: Outbound | None = None,
        jitter: Callable[[], float] = lambda: random.uniform(1 - JITTER, 1 + JITTER),  # noqa: S311
    ) -> None:
        """Prepare.

        Args:
            database: where the events are.
            settings: the tries, their time, what may be called.
            keys: open the apps' secrets.
            outbound: makes the connections; None: as the settings say.
            jitter: the factor of each wait.

        """
        self._database = database
        self._settings = settings
        self._apps = SigningApps(database, keys)
        self._outbound = outbound or Outbound.of(settings)
        self._jitter = jitter
        # Many deliveries wait for others at once; few of them may wait for the database, which media work needs too.
        self._few = asyncio.Semaphore(_CONNECTIONS)

    async def run(self, event_id: int) -> None:
        """Try to deliver an event once, if it is its time and there is room; enter what comes next.

        Raises:
            Unavailable: the database is away. The job runs again, and the event may be delivered twice.

        """
        claimed = await self._claim(event_id)
        if claimed is None:
            return
        try:
            result = await self._send(claimed)
        except asyncio.CancelledError:
            # The worker ends. Its job goes to another one, which may begin at once.
            await asyncio.shield(self._put_back(claimed))
            raise
        await self._settle(claimed, result)
        _log.info(
            "callback",
            id=claimed.public_id,
            kind=claimed.kind,
            outcome=result.outcome,
            status=result.status,
            seconds=None if result.seconds is None else round(result.seconds, 3),
        )

    # --- claiming -----------------------------------------------------------------------------------------------
    async def _claim(self, event_id: int) -> _Claimed | None:
        """Claim an event if it is its time; without room, leave it to whoever ends a delivery (`jobs.release`).

        One that is under way is claimed anew: its job runs here, so whoever had it is gone.
        """
        async with self._few, self._database.transaction() as connection:
            await jobs.take_turn_of(connection, event_id)
            row = await (
                await connection.execute(
                    """
                    with this as (
                        select e.id, e.state = 'doing' or (
                            select count(*) < %(per_app)s and count(*) filter (where other.host = e.host) < %(per_host)s
                            from event other where other.app_id = e.app_id and other.state = 'doing') as has_room
                        from event e
                        where e.id = %(id)s and (e.state = 'doing' or (e.state = 'waiting' and e.due_at <= now()))
                    ), held as (
                        update event set held = true from this where event.id = this.id and not has_room
                    ), claimed as (
                        update event set state = 'doing', held = false, claim = %(token)s, attempts = attempts + 1
                        from this where event.id = this.id and has_room returning event.*
                    ), begun as (
                        insert into event_attempt (event_id, number) select id, attempts from claimed
                    )
                    select c.id, c.app_id, client_id, claim, attempts, tries, public_id, work_id, kind, sequence, url,
                           data, c.created_at
                    from claimed c join app on app.id = c.app_id
                    """,
                    {
                        "id": event_id,
                        "token": secrets.token_hex(8),
                        "per_app": jobs.MOST_PER_APP,
                        "per_host": jobs.MOST_PER_HOST,
                    },
                )
            ).fetchone()
        return _Claimed(*row) if row else None

    # --- sending ------------------------------------------------------------------------------------------------
    async def _send(self, claimed: _Claimed) -> _Result:
        app = await self._apps.find(claimed.client_id)
        if app is None:
            return _Result("failed", None, "The app has been deleted.", None, lasting=True)
        body = compose(claimed.kind, claimed.created_at, claimed.sequence, claimed.data, self._settings)
        at = dt.datetime.now(dt.UTC)
        known = [signing.callback_secret(each) for each in app.secrets]
        began = monotonic()
        try:
            answer = await post(
                claimed.url,
                body.encode(),
                signing.headers(claimed.public_id, body, at, known),
                seconds=self._settings.callback_timeout,
                settings=self._settings,
                outbound=self._outbound,
            )
        except OutboundError as error:
            told = error.detail if isinstance(error, ForbiddenAddress) else error.message
            return _Result("failed", None, told, monotonic() - began, lasting=not error.passing)
        except Exception as error:
            _log.exception("a callback could not be sent", id=claimed.public_id)
            return _Result("failed", None, f"{type(error).__name__}: {error}", monotonic() - began)
        outcome: Outcome = "delivered" if 200 <= answer.status < 300 else "gone" if answer.status == _GONE else "failed"
        return _Result(
            outcome, answer.status, answer.excerpt, monotonic() - began, retry_after=answer.retry_after or 0.0
        )

    # --- settling -----------------------------------------------------------------------------------------------
    async def _settle(self, claimed: _Claimed, result: _Result) -> None:
        wait = self._wait(claimed.tries, result)
        async with self._few, self._database.transaction() as connection:
            await jobs.take_turns(connection, claimed.app_id)
            cursor = await connection.execute(
                """
                with settled as (
                    update event
                    set state = %(state)s, claim = '', tries = tries + %(failed)s,
                        due_at = now() + make_interval(secs => %(wait)s),
                        ended_at = case when %(state)s = 'waiting' then null else now() end
                    where id = %(id)s and claim = %(token)s returning id
                )
                update event_attempt
                set seconds = %(seconds)s, outcome = %(outcome)s, status = %(status)s, excerpt = %(excerpt)s
                from settled where event_id = settled.id and number = %(attempt)s
                """,
                {
                    "id": claimed.id,
                    "token": claimed.token,
                    "state": result.outcome if wait is None else "waiting",
                    "failed": int(result.outcome == "failed"),
                    "wait": wait or 0.0,
                    "seconds": result.seconds,
                    "outcome": result.outcome,
                    "status": result.status,
                    "excerpt": storable(result.excerpt)[:LONGEST_EXCERPT],
                    "attempt": claimed.attempt,
                },
            )
            if not cursor.rowcount:
                return
            if wait is not None:
                await jobs.enter(connection, claimed.id, in_seconds=wait)
            if result.outcome == "gone":
                await _end_others(connection, claimed)
            await jobs.release(connection, claimed.app_id)

    def _wait(self, tries: int, result: _Result) -> float | None:
        """Return the seconds until the next try after so many; None: it was the last."""
        schedule = self._settings.callback_retries
        if result.outcome != "failed" or result.lasting or tries >= len(schedule):
            return None
        asked = min(result.retry_after, LONGEST_RETRY_AFTER)
        return max(schedule[tries] * self._jitter(), asked)

    async def _put_back(self, claimed: _Claimed) -> None:
        try:
            async with self._few, self._database.transaction() as connection:
                await jobs.take_turns(connection, claimed.app_id)
                await connection.execute(
                    "update event set state = 'waiting', claim = '', due_at = now() where id = %s and claim = %s",
                    (claimed.id, claimed.token),
                )
        except Unavailable as error:
            _log.warning("a callback that broke off stays claimed for a while", reason=error.message)


async def _end_others(connection: Connection, claimed: _Claimed) -> None:
    """End what waits for the same receiver and work: it has said that it wants no more of it."""
    if claimed.work_id is not None:
        await connection.execute(
            """
            update event set state = 'gone', held = false, ended_at = now()
            where work_id = %s and url = %s and state = 'waiting'
            """,
            (claimed.work_id, claimed.url),
        )
