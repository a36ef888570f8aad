"""Advisory locks: the numbers that processes agree on, and what each protects."""

from openstage.database.engine import Connection

MIGRATION = 0x6F73_0001
"""Held (session) while the schema is changed: one at a time."""
BACKUP = 0x6F73_0002
"""Held (session) by a backup while it copies objects; whoever removes objects for good holds it shared meanwhile."""


async def may_remove_objects(connection: Connection) -> bool:
    """Ask, inside a transaction, whether objects may be removed for good; no backup begins before it ends.

    Returns:
        False while a backup runs: try again later.

    """
    row = await (await connection.execute("select pg_try_advisory_xact_lock_shared(%s)", (BACKUP,))).fetchone()
    return row is not None and bool(row[0])
