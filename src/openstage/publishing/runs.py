"""Which runs may have objects in the store, and the removal of those that are neither in force nor under way.

A run is entered before it writes its first object and taken out after its last one is deleted, so that a killed run
leaves nothing behind for good and no listing of the whole store is ever needed.
"""

from typing import Final

from openstage.database import locks
from openstage.database.engine import Database
from openstage.publishing import crashpoints
from openstage.publishing.objects import run_prefix
from openstage.storage.objects import ObjectStore
from openstage.works import products

SUPERSEDED_GRACE: Final = 600
"""Seconds for which the objects of a run stay that a rerun has replaced: replies under way still read them."""
RETIRED_GRACE: Final = 3600
"""Seconds beyond its own length for which a rendition can be played that isn't listed any more: who has begun with it
may pause."""
_AT_ONCE: Final = 50


async def enter_again(database: Database, work_id: int, run: str) -> None:
    """Let the sweeps look at a run again: they may have thought it dead, or tidy, before its last object was stored."""
    async with database.connection() as connection:
        await connection.execute(
            """
            insert into production_run (name, work_id) select %(run)s, id from work where id = %(work)s
            on conflict (name) do update set tidied = false
            """,
            {"work": work_id, "run": run},
        )


async def remove_leftovers(
    database: Database, store: ObjectStore, *, work_id: int | None = None, grace: float = SUPERSEDED_GRACE
) -> int:
    """Remove the objects of runs that are neither published nor under way.

    Args:
        database: where runs are noted.
        store: where the objects are.
        work_id: only this work's runs; None: all.
        grace: seconds for which what a rerun replaced stays.

    Returns:
        How many runs were removed.

    Raises:
        Unavailable: database or store are away.

    """
    removed = 0
    while True:
        async with database.transaction() as connection:
            if not await locks.may_remove_objects(connection):
                return removed
            rows = await (
                await connection.execute(
                    """
                    select r.name, w.file_id, w.purged_at is not null
                    from production_run r join work w on w.id = r.work_id
                    where (%(work)s::bigint is null or w.id = %(work)s)
                      and (r.name <> w.run or w.purged_at is not null)
                      and r.name <> w.claim
                      and coalesce(r.superseded_at < now() - make_interval(secs => %(grace)s), true)
                    order by r.name limit %(limit)s
                    for update of r skip locked
                    """,
                    {"work": work_id, "grace": grace, "limit": _AT_ONCE},
                )
            ).fetchall()
            for run, file_id, purged in rows:
                # A run that was still at work when its work was purged may have stored the original again.
                await store.delete_prefix(f"works/{file_id}" if purged else run_prefix(file_id, run))
            crashpoints.reached("superseding")
            await products.remove_runs(connection, [row[0] for row in rows])
            await connection.execute("delete from production_run where name = any(%s)", ([row[0] for row in rows],))
        removed += len(rows)
        if len(rows) < _AT_ONCE:
            return removed


async def tidy(database: Database, store: ObjectStore) -> int:
    """Remove the objects of runs in force that nothing names: what tries stored that broke off before they ended.

    Returns:
        How many objects were removed.

    Raises:
        Unavailable: database or store are away.

    """
    removed = 0
    async with database.transaction() as connection:
        if not await locks.may_remove_objects(connection):
            return 0
        rows = await (
            await connection.execute(
                """
                select r.name, w.id, w.file_id from production_run r join work w on w.id = r.work_id and w.run = r.name
                where not tidied and w.claim = '' and not w.pending
                order by r.name limit %s for update of r skip locked
                """,
                (_AT_ONCE,),
            )
        ).fetchall()
        for run, work_id, file_id in rows:
            named = await products.keys(connection, work_id, run)
            unnamed = [key for key in await store.list(run_prefix(file_id, run)) if key not in named]
            await store.delete(unnamed)
            removed += len(unnamed)
        await connection.execute(
            "update production_run set tidied = true where name = any(%s)", ([row[0] for row in rows],)
        )
    return removed


async def remove_retired(database: Database, store: ObjectStore, *, grace: float = RETIRED_GRACE) -> int:
    """Remove renditions that were retired (`products.retire_source`), with their objects, once nobody plays them.

    Returns:
        How many were removed.

    Raises:
        Unavailable: database or store are away.

    """
    async with database.transaction() as connection:
        if not await locks.may_remove_objects(connection):
            return 0
        rows = await (
            await connection.execute(
                """
                select r.id, r.key from rendition r
                where retired_at < now() - make_interval(secs => %s + duration_ms / 1000)
                order by r.id limit %s for update skip locked
                """,
                (grace, _AT_ONCE),
            )
        ).fetchall()
        for _, key in rows:
            await store.delete_prefix(key.rpartition("/")[0])
        await connection.execute("delete from rendition where id = any(%s)", ([row[0] for row in rows],))
    return len(rows)
