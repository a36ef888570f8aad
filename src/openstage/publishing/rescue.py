"""Nothing hangs for ever: jobs of dead workers, jobs that fell between two stools, works whose job is gone.

Each worker process runs this beside its jobs, every couple of seconds; the statements cost next to nothing.
"""

import asyncio
from collections.abc import Set as AbstractSet
from typing import Final

from openstage.database.engine import Connection, Database
from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.publishing.jobs import FIRST, MEDIA_QUEUE, RERUN, Jobs
from openstage.publishing.scratch import Scratch

INTERVAL: Final = 2.0
"""Seconds between two rounds."""
HEARTBEAT_INTERVAL: Final = 2.0
"""Seconds between two signs of life of a worker."""
DEAD_AFTER: Final = 8.0
"""Seconds without a sign of life after which another worker takes a worker's jobs over. Should it live after all, it
can do no harm: its claim on the work is gone."""
NODE_PATIENCE: Final = 600.0
"""Seconds that a job waits for the one machine that can do it, before others look at it again."""
_LOST_WORKS_EVERY: Final = 10
"""Rounds between two looks for works without a job: nothing known makes them."""

_log = get_logger("rescue")


class Rescue:
    """The rounds of one worker process."""

    def __init__(self, database: Database, jobs: Jobs, scratch: Scratch, running: AbstractSet[int]) -> None:
        """Prepare.

        Args:
            database: the queue's.
            jobs: puts jobs in.
            scratch: the process' scratch folder; its neighbours' tell of dead workers on this machine.
            running: numbers of the jobs that this process is really running, kept up to date by their tasks.

        """
        self._database = database
        self._jobs = jobs
        self._scratch = scratch
        self._running = running
        self._workers: set[int] = set()
        self._unaccounted: set[int] = set()

    def note_worker(self, worker_id: int) -> None:
        """Note under which number the queue knows this process."""
        self._workers.add(worker_id)
        self._scratch.note_worker(worker_id)

    async def run(self) -> None:
        """Go round until cancelled."""
        count = 0
        while True:
            try:
                await self.round(lost_works=count % _LOST_WORKS_EVERY == 0)
            except Unavailable as error:
                _log.warning("no rescue while the database is away", error=error.message)
            except Exception:
                _log.exception("rescue failed")
            count += 1
            await asyncio.sleep(INTERVAL)

    async def round(self, *, lost_works: bool = True) -> None:
        """Free what hangs, once."""
        dead = await asyncio.to_thread(self._scratch.remove_dead)
        async with self._database.transaction() as connection:
            await _forget_workers(connection, dead)
            freed = await _free_orphaned_jobs(connection)
            freed += await self._free_unaccounted(connection)
        if freed:
            _log.warning("jobs of a dead worker go on", jobs=freed)
        if lost_works:
            await self._defer_lost_works()

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

    async def _defer_lost_works(self) -> None:
        async with self._database.transaction() as connection:
            await _call_back(connection)
            rows = await (
                await connection.execute(
                    """
                    select file_id, slug, state from work
                    where pending and deleted_at is null and not exists (
                        select from procrastinate_jobs j
                        where j.lock = 'work:' || work.file_id and j.status in ('todo', 'doing'))
                    limit 100
                    for update skip locked
                    """
                )
            ).fetchall()
            for file_id, slug, state in rows:
                _log.warning("a work had no job; it goes on", work=slug)
                await self._jobs.publish(connection, file_id, priority=FIRST if state == "publishing" else RERUN)


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
    """Let any worker look again at jobs that were left for one machine whose workers don't take them.

    Each look counts as a try, so that a machine which never comes back ends in a failed work with that reason.
    """
    await connection.execute(
        """
        update procrastinate_jobs set queue_name = %s
        where status = 'todo' and queue_name like %s and scheduled_at < now() - make_interval(secs => %s)
        """,
        (MEDIA_QUEUE, f"{MEDIA_QUEUE}@%", NODE_PATIENCE),
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
