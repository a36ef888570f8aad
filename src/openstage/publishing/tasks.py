"""Tasks of a run: entered together with what makes them necessary, done by whichever worker, each retried alone.

A task is claimed under a random token, and only its holder may put results in force: whoever was thought dead and comes
back finds the claim gone. Results and the end of their task are one transaction:

    async with database.transaction() as connection:
        await tasks.hold(connection, task)                  # nobody else changes the work until the commit
        await products.add_rendition(connection, ...)       # what the task made
        await tasks.enter(connection, task.run, [...])      # what follows from it
        await tasks.done(connection, task, result)          # may release `join`, or complete the run

All lock the work's row first, so they can't lock each other out.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.types.json import Jsonb

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.publishing import crashpoints, entry, turns
from openstage.publishing.entry import UNFINISHED, WANTED, WHOLE, NewTask
from openstage.publishing.errors import Superseded
from openstage.publishing.turns import Kind
from openstage.settings import Settings
from openstage.works import lifecycle, queries
from openstage.works.models import Work

__all__ = ["FIRST", "FULL_DELAY", "MOST_TRIES", "PLAN", "WHOLE", "NewTask", "Task", "Tasks", "retry_delay"]

MOST_TRIES: Final = 8
"""Tries of one task in a row that may break off (an outage, a killed worker) before the run fails."""
FULL_DELAY: Final = 30.0
"""Seconds until the next try where there is no room; as long as that is all, tries aren't counted."""
_PROGRESS: Final = """
    step = case when work.pending then coalesce((
            select kind from production_task t where t.run = work.claim and t.state = 'doing' and t.id <> %(id)s
               or t.id = %(id)s and %(percent)s < 100
            order by array_position(array['first', 'plan', 'chunk', 'join', 'sound', 'pictures'], kind) limit 1
        ), step) else step end,
    percent = case when work.pending then greatest(percent, least(99.9, (
            select 100 * sum(weight * case when t.id = %(id)s then %(percent)s else t.percent end / 100)
                   / case when bool_or(kind = 'plan' and state = 'done') then sum(weight)
                          else greatest(sum(weight), %(whole)s) end
            from production_task t where t.run = work.claim))) else percent end,
    changed_at = now()
    """
"""How far the whole run is, after the task `id` has come to `percent`. It never goes back."""


def retry_delay(tries: int) -> float:
    """Return the seconds to wait after the given number of broken-off tries: 2, 8, 32, 128, then 600."""
    return min(2.0 * 4.0 ** max(tries - 1, 0), 600.0)


FIRST: Final = NewTask("first", weight=10.0)
PLAN: Final = NewTask("plan", weight=2.0)
"""With these two a run begins; `plan` enters the others, whose weights make up what is missing of `WHOLE`."""


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed task."""

    id: int
    run: str
    work_id: int
    kind: Kind
    number: int
    token: str
    tries: int
    """Tries in a row that have broken off before this one."""
    last_fault: str
    spec: dict[str, Any]
    plan: dict[str, Any] | None
    """What `plan` has found and decided (`Tasks.set_plan`), as JSON."""
    work: Work
    """As it was when the task was claimed."""


class Tasks:
    """The tasks of all runs."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    # --- entering -----------------------------------------------------------------------------------------------
    async def enter(self, connection: Connection, run: str, new: Sequence[NewTask]) -> None:
        """Enter tasks that are necessary now, with their jobs (`entry.enter`)."""
        await entry.enter(connection, run, new)

    async def go_on(self, connection: Connection, work: Work) -> None:
        """Let production of a work go on that wants it: begin a run, or hurry the one under way.

        A run that was begun while the upload came in gets the rest of its tasks; what plays of it already is offered.

        Args:
            connection: the caller's transaction, which holds the work's lock.
            work: the work as it was when it was locked, before it came to want production.

        """
        if not work.claim:
            await entry.begin(connection, work, (FIRST, PLAN))
            return
        await entry.enter(connection, work.claim, (FIRST, PLAN))
        await entry.hurry(connection, work.claim)
        if await lifecycle.is_ready(connection, work.claim):
            await lifecycle.offer(
                connection, work.id, work.claim, review=self._settings.review, hold=self._settings.wait_for_all
            )

    async def begin_early(self, file_id: str) -> bool:
        """Begin to produce a work whose upload is coming in, once; a worker must run on the machine it comes to.

        Returns:
            Whether it has been begun now.

        """
        async with self._database.transaction() as connection:
            work = await queries.select_one(
                connection,
                """
                file_id = %(file)s and state = 'uploading' and claim = '' and deleted_at is null
                and exists (select from worker_node join upload using (node)
                            where upload.file_id = work.file_id and seen_at > now() - make_interval(secs => %(seen)s))
                for update of work skip locked
                """,
                {"file": storable(file_id), "seen": entry.NODE_SEEN},
            )
            if work is None:
                return False
            await entry.begin(connection, work, (FIRST,), early=True)
            return True

    # --- doing --------------------------------------------------------------------------------------------------
    async def claim(self, task_id: int) -> Task | None:
        """Begin to do a task: from now on only the holder of the claim may end it.

        Returns:
            The task; None if it has been done, or isn't wanted (any more).

        """
        token = secrets.token_hex(8)
        async with self._database.transaction() as connection:
            row = await (
                await connection.execute(
                    f"""
                    update production_task t
                    set state = 'doing', claim = %(token)s, tries = t.tries + 1, changed_at = now()
                    from work, production_run r
                    where t.id = %(id)s and work.id = t.work_id and work.claim = t.run and r.name = t.run
                      and {UNFINISHED} and {WANTED}
                    returning t.run, t.work_id, t.kind, t.number, t.tries - 1, t.last_fault, t.spec, r.plan, t.turn
                    """.encode(),
                    {"id": task_id, "token": token},
                )
            ).fetchone()
            if row is None:
                return None
            run, work_id, kind, number, tries, fault, spec, plan, turn = row
            work = await queries.select_one(connection, "work.id = %(id)s", {"id": work_id})
            assert work is not None  # works are never removed
            await turns.begun(connection, turns.lane_of(kind, rerun=work.rerunning), turn)
        return Task(task_id, run, work_id, kind, number, token, tries, fault, spec, plan, work)

    async def hold(self, connection: Connection, task: Task) -> None:
        """Keep the work as it is until the transaction ends, if the task is still the caller's to do.

        Raises:
            Superseded: it isn't: the work is deleted, its run has ended, or somebody else does the task.

        """
        if not await self._hold(connection, task):
            raise Superseded

    async def progress(self, task: Task, percent: float) -> bool:
        """Note how far a task has come, and by that the run.

        Args:
            task: the task.
            percent: 0 to 100.

        Returns:
            Whether it is still wanted: False once the work is deleted, its run has ended, or another does the task.

        """
        row = await self._database.fetch_one(
            f"""
            with held as (
                select work.id from work where id = %(work)s and claim = %(run)s and {WANTED} for update
            ), mine as (
                update production_task t set percent = %(percent)s, changed_at = now() from held
                where t.id = %(id)s and t.claim = %(token)s returning t.id
            )
            update work set {_PROGRESS} from mine where work.id = %(work)s returning work.id
            """,
            {
                "id": task.id,
                "work": task.work_id,
                "run": task.run,
                "token": task.token,
                "percent": min(max(percent, 0.0), 100.0),
                "whole": WHOLE,
            },
        )
        return row is not None

    async def done(self, connection: Connection, task: Task, result: dict[str, Any] | None = None) -> bool:
        """End a task well. The last `chunk` or `sound` releases `join`; the last task of all completes the run.

        Args:
            connection: the caller's transaction, in which the rows of what was made are entered too.
            task: the task.
            result: what others need to know of it, for JSON.

        Returns:
            Whether it was still the caller's to end; if not, nothing has changed.

        """
        if not await self._hold(connection, task):
            return False
        await connection.execute(
            """
            update production_task
            set state = 'done', claim = '', percent = 100, last_fault = '', result = %s, changed_at = now()
            where id = %s
            """,
            (Jsonb(result or {}), task.id),
        )
        if task.kind in {"chunk", "sound"}:
            await entry.release_join(connection, task.run)
        elif task.kind == "first":
            await entry.resume(connection, task.run)
        if await self._all_done(connection, task.run):
            if await lifecycle.complete(connection, task.work_id, task.run, review=self._settings.review):
                await connection.execute("delete from production_task where run = %s", (task.run,))
        else:
            await connection.execute(
                f"update work set {_PROGRESS} where id = %(work)s".encode(),
                {"id": task.id, "work": task.work_id, "percent": 100.0, "whole": WHOLE},
            )
        crashpoints.reached("before-commit")
        return True

    async def offer(self, connection: Connection, task: Task) -> bool:
        """Let the run's first rendition be played, if all else is there (`lifecycle.offer`), or once it is.

        Returns:
            Whether the run is in force.

        """
        in_force = await lifecycle.offer(
            connection, task.work_id, task.run, review=self._settings.review, hold=self._settings.wait_for_all
        )
        await entry.resume(connection, task.run)  # the first rendition has all processors to itself until then
        return in_force

    async def rest(self, task: Task) -> None:
        """Leave a task that can't go on before its upload does: finish enters its job again."""
        async with self._database.transaction() as connection:
            row = await (
                await connection.execute("select state from work where id = %s for update", (task.work_id,))
            ).fetchone()
            await self._put_down(connection, task, "", counts=False)
            if row is not None and row[0] != "uploading":  # it has just been finished, and counted on this try
                await entry.resume(connection, task.run)

    async def give_back(self, task: Task, fault: str = "", *, counts: bool) -> None:
        """End a try that broke off, so that another can begin.

        Args:
            task: the task; if it is somebody else's by now, nothing changes.
            fault: what stopped it, for the operator.
            counts: whether it counts towards `MOST_TRIES` (a worker that is told to stop doesn't).

        """
        async with self._database.transaction() as connection:
            await connection.execute("select from work where id = %s for update", (task.work_id,))
            if await self._put_down(connection, task, fault, counts=counts) and fault:
                await connection.execute(
                    "update work set last_fault = %s, changed_at = now() where id = %s and claim = %s",
                    (storable(fault), task.work_id, task.run),
                )

    async def fail(self, task: Task, reason: str) -> bool:
        """End a task, and with it its run, for good (`lifecycle.fail`).

        Args:
            task: the task.
            reason: why, for a person.

        Returns:
            Whether it was still the caller's to end; if not, nothing has changed.

        """
        async with self._database.transaction() as connection:
            if not await self._hold(connection, task):
                return False
            await connection.execute(
                """
                update production_task set state = 'failed', claim = '', last_fault = %s, changed_at = now()
                where id = %s
                """,
                (storable(reason), task.id),
            )
            await connection.execute("delete from production_task where run = %s and state <> 'failed'", (task.run,))
            await lifecycle.fail(connection, task.work_id, task.run, reason)
            crashpoints.reached("failing")
        return True

    # --- what tasks tell each other -------------------------------------------------------------------------------
    async def again(self, connection: Connection, task: Task, kind: Kind) -> None:
        """Let the tasks of one kind that are done be done anew; the caller holds `task`, which goes by them."""
        await connection.execute(
            """
            update production_task set state = 'waiting', tries = 0, result = null, percent = 0, changed_at = now()
            where run = %s and kind = %s and state = 'done'
            """,
            (task.run, kind),
        )
        await entry.resume(connection, task.run)

    async def set_plan(self, connection: Connection, task: Task, plan: dict[str, Any]) -> None:
        """Note what the other tasks of the run go by (`Task.plan`)."""
        await connection.execute("update production_run set plan = %s where name = %s", (Jsonb(plan), task.run))

    async def plan(self, connection: Connection, run: str) -> dict[str, Any] | None:
        """Return what `set_plan` has noted, if it has."""
        row = await (await connection.execute("select plan from production_run where name = %s", (run,))).fetchone()
        return row[0] if row else None

    async def results(self, connection: Connection, run: str, kind: Kind) -> list[dict[str, Any]]:
        """Return the results of the tasks of one kind that are done, by number."""
        rows = await (
            await connection.execute(
                "select result from production_task where run = %s and kind = %s and state = 'done' order by number",
                (run, kind),
            )
        ).fetchall()
        return [row[0] for row in rows]

    # --- helpers --------------------------------------------------------------------------------------------------
    async def _hold(self, connection: Connection, task: Task) -> bool:
        row = await (
            await connection.execute(
                f"select from work where id = %s and claim = %s and {WANTED} for update".encode(),
                (task.work_id, task.run),
            )
        ).fetchone()
        if row is None:
            return False
        # The task's row is read by itself: with the lock held, this sees what was committed before.
        cursor = await connection.execute(
            "select from production_task where id = %s and claim = %s", (task.id, task.token)
        )
        return cursor.rowcount == 1

    async def _put_down(self, connection: Connection, task: Task, fault: str, *, counts: bool) -> bool:
        cursor = await connection.execute(
            """
            update production_task
            set state = 'waiting', claim = '', tries = greatest(tries - %s, 0), last_fault = %s, changed_at = now()
            where id = %s and claim = %s
            """,
            (0 if counts else 1, storable(fault), task.id, task.token),
        )
        return cursor.rowcount == 1

    async def _all_done(self, connection: Connection, run: str) -> bool:
        """Return whether everything is done: `plan` has entered what there is to do, and nothing of it is left."""
        row = await (
            await connection.execute(
                """
                select bool_and(state = 'done'), bool_or(kind = 'plan') from production_task where run = %s
                """,
                (run,),
            )
        ).fetchone()
        return bool(row and row[0] and row[1])
