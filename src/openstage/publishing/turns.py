"""Whose turn it is: a fair order of the tasks of all apps, as priorities of their jobs.

Tasks fall into lanes, of which one goes before the other: what makes a new work play goes before what makes older ones
better. In a lane each app's tasks have ascending turns, and an app that comes back begins where the lane is: behind
what is being done, not behind all that others have entered (start-time fair queueing, Goyal, Vin and Cheng 1996). So
the n-th waiting task of one app comes after the first of another.
"""

from typing import Final, Literal

from openstage.database.engine import Connection

Lane = Literal["first", "plan", "side", "ladder", "rerun"]
Kind = Literal["first", "plan", "pictures", "sound", "chunk", "join"]

LANES: Final[tuple[Lane, ...]] = ("rerun", "ladder", "side", "plan", "first")
"""The last goes first."""
_LANE_OF: Final[dict[Kind, Lane]] = {
    "first": "first",
    "plan": "plan",
    "pictures": "side",
    "sound": "side",
    "chunk": "ladder",
    "join": "ladder",
}
_WIDTH: Final = 400_000_000
"""Turns of a lane until its order becomes that of entry: 400 million chunks are centuries of film. Five lanes fit into
the queue's 32 bits."""


def lane_of(kind: Kind, *, rerun: bool) -> Lane:
    """Return the lane of a task; all of a rerun can wait for what isn't published yet."""
    return "rerun" if rerun else _LANE_OF[kind]


def priority(lane: Lane, turn: int) -> int:
    """Return the priority of a job: higher goes first."""
    return (LANES.index(lane) + 1) * _WIDTH - min(turn, _WIDTH - 1)


async def take(connection: Connection, lane: Lane, app_id: int, count: int) -> int:
    """Give an app its next turns in a lane.

    Args:
        connection: the caller's transaction.
        lane: which.
        app_id: whose.
        count: how many, at least one.

    Returns:
        The first of them; the others follow.

    """
    row = await (
        await connection.execute(
            """
            insert into app_turn as a (lane, app_id, turn)
            select lane, %(app)s, greatest(turn - 1, 0) + %(count)s from lane_turn where lane = %(lane)s
            on conflict (lane, app_id) do update
            set turn = greatest(a.turn, excluded.turn - %(count)s) + %(count)s
            returning turn
            """,
            {"lane": lane, "app": app_id, "count": count},
        )
    ).fetchone()
    assert row is not None  # all lanes are rows of the schema
    return int(row[0]) - count + 1


async def begun(connection: Connection, lane: Lane, turn: int) -> None:
    """Note that the task with this turn is being done: who comes from now on doesn't come before it."""
    await connection.execute("update lane_turn set turn = %s where lane = %s and turn < %s", (turn, lane, turn))
