"""Jobs that deliver events, entered in the transaction that makes them necessary.

Each event that waits has one job. Those that wait only because too many of the same app, or to the same host, are under
way have none: they are `held`, and whoever ends a delivery lets the next one go. So a receiver that is slow keeps
a few deliveries busy, and all that is meant for others passes by.
"""

from typing import Final

from openstage.database.engine import Connection

DELIVER: Final = "deliver"
"""Name of the queue's task that delivers an event."""
CALLBACK_QUEUE: Final = "callbacks"
MOST_PER_HOST: Final = 4
"""Deliveries of one app to one host and port at once, by all workers together."""
MOST_PER_APP: Final = 16
"""Deliveries of one app at once, by all workers together."""
_CLAIMS: Final = 0x6F73_0006
"""First half of an advisory lock; the second is the app."""


async def enter(connection: Connection, event_id: int, *, in_seconds: float = 0.0) -> None:
    """Let an event be delivered, in a while; takes the place of a job that waits, and comes after one under way.

    Args:
        connection: the caller's transaction; without its commit there is no job.
        event_id: which.
        in_seconds: when, from now; by the database's clock, as `event.due_at`.

    """
    lock = f"event:{event_id}"
    await connection.execute("delete from procrastinate_jobs where lock = %s and status = 'todo'", (lock,))
    await connection.execute(
        """
        select procrastinate_defer_jobs_v1(array[
            row (%(queue)s, %(task)s, 0, %(lock)s, null, jsonb_build_object('event_id', %(id)s::bigint),
                 now() + make_interval(secs => %(seconds)s))::procrastinate_job_to_defer_v1])
        """,
        {"queue": CALLBACK_QUEUE, "task": DELIVER, "lock": lock, "id": event_id, "seconds": in_seconds},
    )


async def take_turns(connection: Connection, app_id: int) -> None:
    """Let nobody else claim, end or replay events of an app until the transaction ends.

    Everybody who changes events takes this first, so that counts hold and nobody waits in a circle.
    """
    # Two apps 2**31 apart share a lock: they wait for each other, nothing else.
    await connection.execute("select pg_advisory_xact_lock(%s, %s)", (_CLAIMS, app_id % 2**31))


async def has_room(connection: Connection, event_id: int, app_id: int, host: str) -> bool:
    """Return whether one more delivery may be under way, by the bounds of its app and its host."""
    row = await (
        await connection.execute(
            """
            select count(*), count(*) filter (where host = %s) from event
            where app_id = %s and state = 'doing' and id <> %s
            """,
            (host, app_id, event_id),
        )
    ).fetchone()
    assert row is not None  # counts always give a row
    return bool(row[0] < MOST_PER_APP and row[1] < MOST_PER_HOST)


async def release(connection: Connection, app_id: int, most: int = 1) -> int:
    """Give events of an app that are held jobs, as far as their hosts have room, the one due longest first.

    Args:
        connection: the caller's transaction, which has taken the app's turn.
        app_id: whose.
        most: how many.

    Returns:
        How many.

    """
    rows = await (
        await connection.execute(
            """
            with busy as (
                select host, count(*) as doing from event where app_id = %(app)s and state = 'doing' group by host
            )
            update event set held = false
            where id in (
                select id from (
                    select id, due_at, row_number() over (partition by host order by due_at, id)
                               + coalesce((select doing from busy where busy.host = held.host), 0) as place
                    from event held where app_id = %(app)s and held
                ) waiting
                where place <= %(per_host)s order by due_at, id
                limit least(%(most)s, greatest(%(per_app)s - (select coalesce(sum(doing), 0) from busy), 0)))
            returning id
            """,
            {"app": app_id, "most": most, "per_host": MOST_PER_HOST, "per_app": MOST_PER_APP},
        )
    ).fetchall()
    for (event_id,) in sorted(rows):
        await enter(connection, event_id)
    return len(rows)
