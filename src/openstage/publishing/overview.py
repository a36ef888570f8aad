"""How far the tasks of a run are, for people who watch it."""

from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg.rows import class_row

from openstage.database.engine import Database

# Kinds in the order in which they come to an end.
_QUERY: Final[LiteralString] = """
    select kind, count(*) as tasks, count(*) filter (where t.state = 'done') as done,
           count(*) filter (where t.state = 'doing') as doing,
           (sum(weight * t.percent) / nullif(sum(weight), 0))::float8 as percent,
           coalesce((array_agg(t.last_fault order by t.changed_at desc) filter (where t.last_fault <> ''))[1], '')
               as fault
    from production_task t join work on t.run = work.claim
    where work.id = %(work)s
    group by kind order by array_position(array['first', 'plan', 'pictures', 'sound', 'chunk', 'join'], kind)
    """


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """The tasks of one kind of the run under way."""

    kind: str
    """`first`, `plan`, `pictures`, `sound`, `chunk` or `join`."""
    tasks: int
    done: int
    doing: int
    """Being done at the moment."""
    percent: float | None
    """Of all of them, 0 to 100."""
    fault: str
    """What stopped one of them last; empty if nothing did."""


async def overview(database: Database, work_id: int) -> list[TaskGroup]:
    """Return how far each kind of task of a work's run is; none if no run is under way.

    Raises:
        Unavailable: the database is away.

    """
    async with database.connection() as connection, connection.cursor(row_factory=class_row(TaskGroup)) as cursor:
        return await (await cursor.execute(_QUERY, {"work": work_id})).fetchall()
