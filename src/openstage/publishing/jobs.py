"""Durable jobs: what must happen is entered in the transaction of the state change that makes it necessary.

procrastinate holds the queue, in the same database. `enter` puts jobs in (the server needs nothing else);
`worker.py` takes them out; `rescue.py` finds those that a dead worker left.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
from procrastinate import PsycopgConnector, connector, exceptions
from typing_extensions import override

from openstage.database.engine import Connection
from openstage.observability.logs import get_logger

T = TypeVar("T")

PRODUCE: Final = "produce"
"""Name of the queue's task that does a task of a run."""
UPKEEP: Final = "upkeep"

FIRST_QUEUE: Final = "first"
"""What makes a finished upload play: `first` and `plan`."""
LADDER_QUEUE: Final = "ladder"
"""Everything that comes after: `pictures`, `sound`, `chunk`, `join`."""
EARLY_QUEUE: Final = "early"
"""`first` of uploads that are coming in; always of one machine (`node_queue`), because the bytes are there."""
UPKEEP_QUEUE: Final = "upkeep"
FETCH: Final = "fetch"
"""Name of the queue's task that fetches a recording's file."""
FETCH_QUEUE: Final = "fetch"

_PATIENCE: Final = 120.0
"""Seconds for which a worker waits for a database that is away."""
_PAUSE: Final = 0.5
_LASTING: Final = 10.0
"""A call that lasted so many seconds was connected, not waiting for a connection."""

_log = get_logger("jobs")


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that does a task."""

    task_id: int
    queue: str
    priority: int
    """Higher goes first (`turns.priority`)."""


async def enter(connection: Connection, new: Sequence[NewJob]) -> None:
    """Let tasks be done as soon as a worker is free, each as soon as it is its turn.

    A task that has a job already keeps that one. A job under way counts only while the task is being done: it may be
    about to end without having done it (`Tasks.rest`), and its lock keeps the next one waiting until then.

    Args:
        connection: the caller's transaction; without its commit there is no job.
        new: a job for each task.

    """
    await connection.execute(
        """
        select procrastinate_defer_jobs_v1(array_agg(
            row (queue, %(name)s, priority, lock, null, jsonb_build_object('task_id', task_id), null)
                ::procrastinate_job_to_defer_v1 order by position))
        from unnest(%(tasks)s::bigint[], %(queues)s::text[], %(priorities)s::int[], %(locks)s::text[])
            with ordinality as new (task_id, queue, priority, lock, position)
        where not exists (
            select from procrastinate_jobs j join production_task t on t.id = new.task_id
            where j.lock = new.lock and (j.status = 'todo' or (j.status = 'doing' and t.state = 'doing')))
        having count(*) > 0
        """,
        {
            "name": PRODUCE,
            "tasks": [job.task_id for job in new],
            "queues": [job.queue for job in new],
            "priorities": [job.priority for job in new],
            "locks": [lock_of(job.task_id) for job in new],
        },
    )


async def enter_fetch(connection: Connection, work_id: int, *, priority: int = 0) -> None:
    """Let the file of a work be fetched as soon as a worker is free, unless a job for that waits or is under way.

    Args:
        connection: the caller's transaction; without its commit there is no job.
        work_id: the work's.
        priority: higher goes first.

    """
    await connection.execute(
        """
        select procrastinate_defer_jobs_v1(array[
            row (%(queue)s, %(name)s, %(priority)s, lock, null, jsonb_build_object('work_id', %(work)s::bigint), null)
                ::procrastinate_job_to_defer_v1])
        from (select 'fetch:' || %(work)s as lock) new
        where not exists (
            select from procrastinate_jobs j where j.lock = new.lock and j.status in ('todo', 'doing'))
        """,
        {"queue": FETCH_QUEUE, "name": FETCH, "priority": priority, "work": work_id},
    )


async def withdraw(connection: Connection, run: str) -> None:
    """Take the waiting jobs of a run's tasks out of the queue; those under way stay."""
    await connection.execute(
        """
        delete from procrastinate_jobs j using production_task t
        where t.run = %s and j.lock = 'task:' || t.id and j.status = 'todo'
        """,
        (run,),
    )


def node_queue(queue: str, node: str) -> str:
    """Return the part of a queue that is for one machine only, the one which receives uploads at the address `node`."""
    return f"{queue}@{node_name(node)}"


def node_name(node: str) -> str:
    """Return the name of a machine in the names of its queues."""
    return hashlib.sha256(node.encode()).hexdigest()[:32]


def lock_of(task_id: int) -> str:
    """Return the lock that keeps two jobs of one task from running side by side."""
    return f"task:{task_id}"


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
