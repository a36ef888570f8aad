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
_FAR_BEHIND: Final = 1000
"""Events of an app that are counted as before another; whoever has more waits behind everybody else anyhow."""
_CLAIMS: Final = 0x6F73_0006
"""First half of an advisory lock; the second is the app."""


async def enter(connection: Connection, event_id: int, *, in_seconds: float = 0.0, after: int = 0) -> None:
    """Let an event be delivered, in a while; takes the place of a job that waits, and comes after one under way.

    Args:
        connection: the caller's transaction; without its commit there is no job.
        event_id: which.
        in_seconds: when, from now; by the database's clock, as `event.due_at`.
        after: how many of the same app are before it (`waiting`): the first of another app goes before its second.

    """
    lock = f"event:{event_id}"
    await connection.execute("delete from procrastinate_jobs where lock = %s and status = 'todo'", (lock,))
    await connection.execute(
        """
        select procrastinate_defer_jobs_v1(array[
            row (%(queue)s, %(task)s, %(priority)s, %(lock)s, null, jsonb_build_object('event_id', %(id)s::bigint),
                 now() + make_interval(secs => %(seconds)s))::procrastinate_job_to_defer_v1])
        """,
        {
            "queue": CALLBACK_QUEUE,
            "task": DELIVER,
            "priority": -after,
            "lock": lock,
            "id": event_id,
            "seconds": in_seconds,
        },
    )


async def waiting(connection: Connection, app_id: int) -> int:
    """Return how many events of an app wait with a job, as far as that matters."""
    row = await (
        await connection.execute(
            """
            select count(*) from (
                select from event where app_id = %s and state = 'waiting' and not held limit %s) first
            """,
            (app_id, _FAR_BEHIND),
        )
    ).fetchone()
    assert row is not None  # counts always give a row
    return int(row[0])


async def take_turns(connection: Connection, app_id: int) -> None:
    """Let nobody else claim, end or replay events of an app until the transaction ends.

    Everybody who changes events takes this first, so that counts hold and nobody waits in a circle.
    """
    # Two apps 2**31 apart share a lock: they wait for each other, nothing else.
    await connection.execute("select pg_advisory_xact_lock(%s, %s)", (_CLAIMS, app_id % 2**31))


async def take_turn_of(connection: Connection, event_id: int) -> None:
    """Take the turn of the app that is told an event (`take_turns`); nothing happens if there is none."""
    await connection.execute(
        "select pg_advisory_xact_lock(%s, (app_id %% 2147483648)::int) from event where id = %s", (_CLAIMS, event_id)
    )


async def release(connection: Connection, app_id: int, most: int = 1) -> int:
    """Give events of an app that are held jobs, as far as their hosts have room.

    The host with the fewest under way goes first, so that none of an app's receivers waits for another's backlog; at
    one host the event that has been due longest.

    Args:
        connection: the caller's transaction, which has taken the app's turn.
        app_id: whose.
        most: how many.

    Returns:
        How many.

    """
    row = await (
        await connection.execute(
            """
            with recursive busy as (
                select host, count(*) as doing from event where app_id = %(app)s and state = 'doing' group by host
            ), host as (  -- those with held events, each found by one look at the index
                (select host from event where app_id = %(app)s and held order by host limit 1)
                union all
                select (select e.host from event e where app_id = %(app)s and held and e.host > before.host
                        order by e.host limit 1)
                from host before where before.host is not null
            ), next as (
                select first.id from host left join busy using (host) cross join lateral (
                    select id, due_at, row_number() over (order by due_at, id) as place from event e
                    where app_id = %(app)s and held and e.host = host.host order by due_at, id
                    limit greatest(%(per_host)s - coalesce(doing, 0), 0)
                ) first
                order by coalesce(doing, 0) + first.place, due_at, id
                limit least(%(most)s, greatest(%(per_app)s - (select coalesce(sum(doing), 0) from busy), 0))
            )
            , freed as (
                update event set held = false where id in (select id from next) returning id
            )
            select count(*), procrastinate_defer_jobs_v1(array_agg(
                row (%(queue)s, %(task)s, 0, 'event:' || id, null, jsonb_build_object('event_id', id), null)
                    ::procrastinate_job_to_defer_v1 order by id))
            from freed having count(*) > 0
            """,
            {
                "app": app_id,
                "most": most,
                "per_host": MOST_PER_HOST,
                "per_app": MOST_PER_APP,
                "queue": CALLBACK_QUEUE,
                "task": DELIVER,
            },
        )
    ).fetchone()
    return int(row[0]) if row else 0
