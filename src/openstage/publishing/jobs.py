"""Durable jobs: what must happen is entered in the transaction of the state change that makes it necessary.

procrastinate holds the queue, in the same database. `Jobs` puts jobs in (the server needs nothing else);
`worker.py` takes them out; `rescue.py` finds those that a dead worker left.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
from procrastinate import App, PsycopgConnector, connector, exceptions
from typing_extensions import override

from openstage.database.engine import Connection
from openstage.observability.logs import get_logger

T = TypeVar("T")

PUBLISH: Final = "publish"
UPKEEP: Final = "upkeep"
MEDIA_QUEUE: Final = "media"
UPKEEP_QUEUE: Final = "upkeep"

FIRST: Final = 10
"""Priority of a work's first publication; higher goes first."""
RERUN: Final = 0
"""Priority of a rerun: what is published already can wait."""

_PATIENCE: Final = 120.0
"""Seconds for which a worker waits for a database that is away."""
_PAUSE: Final = 0.5
_LASTING: Final = 10.0
"""A call that lasted so many seconds was connected, not waiting for a connection."""

_log = get_logger("jobs")


class Jobs:
    """Puts jobs into the queue, always as part of the caller's transaction."""

    def __init__(self) -> None:
        # Never opened: every statement runs on the caller's connection.
        self._app = App(connector=PsycopgConnector())

    async def publish(self, connection: Connection, file_id: str, *, priority: int = FIRST) -> None:
        """Let the pipeline run for a work as soon as a worker is free.

        A job of the same work that waits for its next try is brought forward instead; jobs of one work never run
        side by side.

        Args:
            connection: the caller's transaction; without its commit there is no job.
            file_id: the work.
            priority: higher goes first.

        """
        brought_forward = await connection.execute(
            """
            update procrastinate_jobs set scheduled_at = null, priority = greatest(priority, %(priority)s)
            where lock = %(lock)s and status = 'todo'
            """,
            {"lock": lock_of(file_id), "priority": priority},
        )
        if brought_forward.rowcount:
            return
        deferrer = self._app.configure_task(
            PUBLISH,
            allow_unknown=True,
            queue=MEDIA_QUEUE,
            lock=lock_of(file_id),
            priority=priority,
            connection=connection,
        )
        try:
            await deferrer.defer_async(file_id=file_id)
        except exceptions.ConnectorException as error:
            # The database's own error, so that `Database` can tell an outage from a defect.
            raise (error.__cause__ or error) from error


def node_queue(node: str) -> str:
    """Return the queue of the machine that receives uploads at the address `node`, for what lies there only."""
    return f"{MEDIA_QUEUE}@{hashlib.sha256(node.encode()).hexdigest()[:32]}"


def lock_of(file_id: str) -> str:
    """Return the lock that keeps the jobs of one work from running side by side."""
    return f"work:{file_id}"


class PatientConnector(PsycopgConnector):
    """The worker's connection to the queue: waits out a database that restarts instead of ending the worker.

    A worker that ended with the first refused connection would throw away the hours of encoding under way.
    Statements may be repeated whose first reply was lost; a job fetched twice that way is found by `rescue.py`.
    """

    def __init__(self, address: str, *, largest: int = 4) -> None:
        super().__init__(
            conninfo=address,
            min_size=1,
            max_size=largest,
            timeout=5.0,
            kwargs={"application_name": "openstage jobs"},
        )
        self.hurried = False
        """Set when the worker is to end: from then on nothing waits."""

    @override
    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        await self._patiently(lambda: super(PatientConnector, self).execute_query_async(query, **arguments))

    @override
    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        return await self._patiently(lambda: super(PatientConnector, self).execute_query_one_async(query, **arguments))

    @override
    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        return await self._patiently(lambda: super(PatientConnector, self).execute_query_all_async(query, **arguments))

    @override
    async def listen_notify(self, on_notification: connector.Notify, channels: Iterable[str]) -> None:
        channels = list(channels)
        while True:
            await self._patiently(lambda: super(PatientConnector, self).listen_notify(on_notification, channels))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        failing_since: float | None = None
        while True:
            began = monotonic()
            try:
                return await call()
            except exceptions.ConnectorException as error:
                now = monotonic()
                # Listening lasts for hours: what fails after that is another outage, not the one of this morning.
                if failing_since is None or now - began > _LASTING:
                    failing_since = now
                if not outage(error) or self.hurried or now - failing_since > _PATIENCE:
                    raise
                _log.warning("the database does not answer; the worker waits", error=str(error.__cause__))
            await asyncio.sleep(_PAUSE)


def outage(error: exceptions.ConnectorException) -> bool:
    """Whether the database was away, as opposed to a statement that it refused."""
    return isinstance(error.__cause__, psycopg.OperationalError | psycopg.InterfaceError)
