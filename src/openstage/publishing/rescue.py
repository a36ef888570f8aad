"""Nothing hangs for ever: jobs of dead workers, jobs that fell between two stools, tasks whose job is gone.

Each worker process runs this beside its jobs, every couple of seconds; the statements cost next to nothing.
"""

import asyncio
from collections.abc import Set as AbstractSet
from typing import Final

from openstage.database.engine import Connection, Database
from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.publishing import entry
from openstage.publishing.jobs import EARLY_QUEUE, node_name
from openstage.publishing.scratch import Scratch
from openstage.publishing.tasks import Tasks
from openstage.works import queries

INTERVAL: Final = 2.0
"""Seconds between two rounds."""
HEARTBEAT_INTERVAL: Final = 2.0
"""Seconds between two signs of life of a worker."""
DEAD_AFTER: Final = 8.0
"""Seconds without a sign of life after which another worker takes a worker's jobs over. Should it live after all, it
can do no harm: its claim on the task is gone."""
NODE_PATIENCE: Final = 600.0
"""Seconds that jobs wait for the one machine that can do them, with no sign of a worker there, before others look."""
_LOST_TASKS_EVERY: Final = 10
"""Rounds between two looks for tasks without a job: nothing known makes them."""
_AT_ONCE: Final = 100

_log = get_logger("rescue")


class Rescue:
    """The rounds of one worker process."""

    def __init__(
        self, database: Database, tasks: Tasks, scratch: Scratch, running: AbstractSet[int], *, node: str
    ) -> None:
        """Prepare.

        Args:
            database: the queue's.
            tasks: lets works go on.
            scratch: the process' scratch folder; its neighbours' tell of dead workers on this machine.
            running: numbers of the jobs that this process is really running, kept up to date by their tasks.
            node: the address at which this machine receives uploads.

        """
        self._database = database
        self._tasks = tasks
        self._node = node
        self._scratch = scratch
        self._running = running
        self._workers: set[int] = set()
        self._unaccounted: set[int] = set()

    def note_worker(self, worker_id: int) -> None:
        """Note under which number the queue knows this process."""
        self._workers.add(worker_id)
        self._scratch.note_worker(worker_id)

    async def register(self) -> None:
        """Note that this machine has a worker, which is alive: what lies here is left to it."""
        async with self._database.connection() as connection:
            await connection.execute(
                """
                insert into worker_node (node, seen_at) values (%s, now())
                on conflict (node) do update set seen_at = now()
                """,
                (self._node,),
            )

    async def run(self) -> None:
        """Go round until cancelled."""
        count = 0
        while True:
            try:
                await self.round(lost_tasks=count % _LOST_TASKS_EVERY == 0)
            except Unavailable as error:
                _log.warning("no rescue while the database is away", error=error.message)
            except Exception:
                _log.exception("rescue failed")
            count += 1
            await asyncio.sleep(INTERVAL)

    async def round(self, *, lost_tasks: bool = True) -> None:
        """Free what hangs, once."""
        dead = await asyncio.to_thread(self._scratch.remove_dead)
        async with self._database.transaction() as connection:
            await _forget_workers(connection, dead)
            freed = await _free_orphaned_jobs(connection)
            freed += await self._free_unaccounted(connection)
        if freed:
            _log.warning("jobs of a dead worker go on", jobs=freed)
        if lost_tasks:
            await self.register()
            async with self._database.transaction() as connection:
                await _call_back(connection)
            await self._begin_lost_works()
            await self._resume_lost_tasks()

    async def _free_unaccounted(self, connection: Connection) -> int:
        """Free jobs that the queue believes to run here, though they don't (a reply of the database was lost).

        They must be missing in two rounds running: a job is fetched a moment before its task begins.
        """
        rows = await (
            await connection.execute(
                "select id from procrastinate_jobs where status = 'doing' and worker_id = any(%s)",
                (list(self._workers),),
            )
        ).fetchall()
        missing = {int(row[0]) for row in rows} - self._running
        lost, self._unaccounted = missing & self._unaccounted, missing
        await connection.execute(
            """
            select procrastinate_retry_job_v2(id, now(), null, null, null) from procrastinate_jobs
            where status = 'doing' and id = any(%s)
            """,
            (list(lost),),
        )
        return len(lost)

    async def _begin_lost_works(self) -> None:
        """Begin runs of works that want one and have none: those that an older Openstage was producing, for example."""
        async with self._database.transaction() as connection:
            for work in await queries.select(
                connection,
                "pending and claim = '' and deleted_at is null order by id limit %(limit)s for update skip locked",
                {"limit": _AT_ONCE},
            ):
                _log.warning("a work had no run; one begins", work=work.slug)
                await self._tasks.go_on(connection, work)

    async def _resume_lost_tasks(self) -> None:
        """Enter jobs for tasks without one, and for those among the early ones whose upload is finished."""
        async with self._database.transaction() as connection:
            runs = await (
                await connection.execute(
                    f"""
                    select claim, slug from work
                    where claim <> '' and pending and deleted_at is null and exists (
                        select from production_task t
                        where t.run = work.claim and {entry.UNFINISHED} and not {entry.HELD_BACK} and not exists (
                            select from procrastinate_jobs j
                            where j.lock = 'task:' || t.id and j.status in ('todo', 'doing')
                              and not (j.status = 'todo' and j.queue_name like %(early)s)))
                    order by id limit %(limit)s
                    for update skip locked
                    """.encode(),
                    {"limit": _AT_ONCE, "early": f"{EARLY_QUEUE}@%"},
                )
            ).fetchall()
            for run, slug in runs:
                _log.warning("a task had no job; it goes on", work=slug)
                await _leave_early(connection, run)
                await entry.resume(connection, run)


async def _leave_early(connection: Connection, run: str) -> None:
    await connection.execute(
        """
        delete from procrastinate_jobs j using production_task t
        where t.run = %s and j.lock = 'task:' || t.id and j.status = 'todo' and j.queue_name like %s
        """,
        (run, f"{EARLY_QUEUE}@%"),
    )


async def _forget_workers(connection: Connection, dead: list[int]) -> None:
    """Take workers off the queue's list that are dead for certain, or haven't been heard of."""
    await connection.execute(
        """
        delete from procrastinate_workers
        where id = any(%s) or last_heartbeat < now() - make_interval(secs => %s)
        """,
        (dead, DEAD_AFTER),
    )


async def _call_back(connection: Connection) -> None:
    """Let any worker look again at jobs that were left for one machine of whose workers nothing is heard.

    Each look counts as a try, so that a machine which never comes back ends in a failed work with that reason.
    """
    nodes = await (
        await connection.execute(
            "select node from worker_node where seen_at > now() - make_interval(secs => %s)", (NODE_PATIENCE,)
        )
    ).fetchall()
    await connection.execute(
        """
        update procrastinate_jobs set queue_name = split_part(queue_name, '@', 1)
        where status = 'todo' and queue_name like '%%@%%' and queue_name not like %s
          and split_part(queue_name, '@', 2) <> all(%s)
          and coalesce(scheduled_at, '-infinity') < now() - make_interval(secs => %s)
        """,
        (f"{EARLY_QUEUE}@%", [node_name(node) for (node,) in nodes], NODE_PATIENCE),
    )


async def _free_orphaned_jobs(connection: Connection) -> int:
    """Let jobs whose worker is gone run again at once."""
    cursor = await connection.execute(
        """
        select procrastinate_retry_job_v2(id, now(), null, null, null)
        from (select id from procrastinate_jobs where status = 'doing' and worker_id is null for update skip locked) j
        """
    )
    return cursor.rowcount
