"""Tasks of a run, entered in the transaction of what makes them necessary, with their place in the queue."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg.types.json import Jsonb

from openstage.database.engine import Connection
from openstage.publishing import jobs, turns
from openstage.publishing.errors import Superseded
from openstage.publishing.jobs import EARLY_QUEUE, FIRST_QUEUE, LADDER_QUEUE, NewJob, node_queue
from openstage.publishing.turns import Kind
from openstage.works import lifecycle
from openstage.works.models import Work

WHOLE: Final = 100.0
"""Sum of the weights of all tasks of a run, as long as not all are known."""
NODE_SEEN: Final = 60.0
"""Seconds without a sign of its workers after which a machine isn't given jobs of its own."""

# Conditions of queries over `work` and `production_task t`.
WANTED: Final = "(work.pending or work.state in ('uploading', 'waiting')) and work.deleted_at is null"
UNFINISHED: Final = "t.state in ('waiting', 'doing')"
HELD_BACK: Final = """
    (t.kind = 'join' and exists (
        select from production_task before
        where before.run = t.run and before.kind in ('chunk', 'sound') and before.state in ('waiting', 'doing'))
     or t.kind = 'plan' and exists (
        select from production_task before join production_run r on r.name = before.run
        where before.run = t.run and before.kind = 'first' and before.state in ('waiting', 'doing')
          and (r.ready_at is null or coalesce((r.plan->'first'->'video'->>'copy')::boolean, true))))
    """
"""A task that waits for others: `join` for all chunks and the sound; `plan` for the first rendition: until it plays or,
where it is copied, which takes no time, until it is whole."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be entered."""

    kind: Kind
    number: int = 0
    """Of a chunk, from 0; else 0."""
    spec: dict[str, Any] = field(default_factory=dict)
    """What is to be done, for JSON."""
    weight: float = 1.0
    """Its part of the work of the whole run, for the progress. All together make `WHOLE`."""


async def begin(connection: Connection, work: Work, new: Sequence[NewTask], *, early: bool = False) -> str:
    """Begin a run with its first tasks.

    Args:
        connection: the caller's transaction, which holds the work's lock.
        work: what is to be produced; no run of it is under way.
        new: the first tasks.
        early: its upload is still coming in.

    Returns:
        The run's name.

    """
    run = secrets.token_hex(8)
    await lifecycle.begin(connection, work.id, run)
    await enter(connection, run, new, early=early)
    return run


async def enter(connection: Connection, run: str, new: Sequence[NewTask], *, early: bool = False) -> None:
    """Enter tasks of a run that are necessary now, with their jobs; those that are entered already stay.

    Args:
        connection: the caller's transaction, which holds the work's lock.
        run: the run under way.
        new: the tasks, in the order in which they should be done. `join` gets its job with the end of the last
            `chunk` and `sound`, but its place among others now.
        early: the upload is still coming in: only its own machine can do it.

    """
    if not new:
        return
    rerun, app_id = await _run(connection, run)
    by_lane: dict[turns.Lane, list[NewTask]] = {}
    for task in new:
        by_lane.setdefault(turns.lane_of(task.kind, rerun=rerun), []).append(task)
    for lane, tasks in by_lane.items():
        first = await turns.take(connection, lane, app_id, len(tasks))
        await connection.execute(
            """
            insert into production_task (run, work_id, kind, number, spec, weight, turn)
            select r.name, r.work_id, t.kind, t.number, t.spec, t.weight, %(turn)s + position - 1
            from production_run r, unnest(%(kinds)s::text[], %(numbers)s::int[], %(specs)s::jsonb[],
                 %(weights)s::real[]) with ordinality as t (kind, number, spec, weight, position)
            where r.name = %(run)s
            order by position
            on conflict (run, kind, number) do nothing
            """,
            {
                "run": run,
                "turn": first,
                "kinds": [task.kind for task in tasks],
                "numbers": [task.number for task in tasks],
                "specs": [Jsonb(task.spec) for task in tasks],
                "weights": [float(task.weight) for task in tasks],
            },
        )
    await resume(connection, run, early=early)


async def resume(connection: Connection, run: str, *, early: bool = False) -> int:
    """Give every task of a run that can be done, and has no job, one.

    Returns:
        How many tasks could be done.

    """
    rows = await (
        await connection.execute(
            f"""
            select t.id, t.kind, t.turn, work.run not in ('', t.run), worker_node.node
            from production_task t join work on work.id = t.work_id left join upload using (file_id)
                 left join worker_node on worker_node.node = upload.node and not upload.stored
                                          and seen_at > now() - make_interval(secs => %(seen)s)
            where t.run = %(run)s and work.claim = t.run and {UNFINISHED} and {WANTED} and not {HELD_BACK}
            order by t.turn, t.id
            """.encode(),
            {"run": run, "seen": NODE_SEEN},
        )
    ).fetchall()
    new = [
        NewJob(task_id, _queue(kind, node, early=early), turns.priority(turns.lane_of(kind, rerun=rerun), turn))
        for task_id, kind, turn, rerun, node in rows
        # Of an upload that is coming in, no other machine has anything.
        if node is not None or not early
    ]
    await jobs.enter(connection, new)
    return len(new)


async def hurry(connection: Connection, run: str) -> None:
    """Let all tasks of a run be done as soon as it is their turn: those that wait for their next try too.

    What was begun early, and waits for more of its upload, takes its place among finished ones.
    """
    await jobs.withdraw(connection, run)
    await connection.execute(f"update production_task t set tries = 0 where run = %s and {UNFINISHED}".encode(), (run,))
    await resume(connection, run)


async def _run(connection: Connection, run: str) -> tuple[bool, int]:
    """Return whether a run is a rerun, and whose app's."""
    row = await (
        await connection.execute(
            """
            select work.run not in ('', r.name), work.app_id
            from production_run r join work on work.id = r.work_id where r.name = %s
            """,
            (run,),
        )
    ).fetchone()
    if row is None:
        raise Superseded
    return row[0], row[1]


async def release_join(connection: Connection, run: str) -> None:
    """Give `join` its job if nothing that it waits for is left; the caller holds the work's lock."""
    row = await (
        await connection.execute(
            f"""
            select 1 from production_task t
            where run = %s and kind = 'join' and {UNFINISHED} and not {HELD_BACK}
            """.encode(),
            (run,),
        )
    ).fetchone()
    if row is not None:
        await resume(connection, run)


def _queue(kind: Kind, node: str | None, *, early: bool) -> str:
    if kind not in {"first", "plan"}:
        return LADDER_QUEUE
    queue = EARLY_QUEUE if early else FIRST_QUEUE
    return queue if node is None else node_queue(queue, node)
