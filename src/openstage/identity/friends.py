"""Friends: people who see what one shows to friends. Who is whose friend is the same both ways."""

from typing import Final

from psycopg.rows import class_row

from openstage.database.engine import Connection, Database
from openstage.identity.accounts import COLUMNS
from openstage.identity.errors import NoFriend
from openstage.identity.models import Account

MOST_FRIENDS: Final = 1000
"""Friends of one person: what friends publish is gathered from each of them."""


class Friends:
    """Who is whose friend."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def befriend(self, one: Account, other: Account) -> bool:
        """Make two people friends; returns whether they weren't already.

        Raises:
            NoFriend: they are one and the same, or one of them has too many.

        """
        if one.id == other.id:
            raise NoFriend("Nobody can be their own friend.")
        async with self._database.transaction() as connection:
            # Both rows, always in the same order: of racing calls one waits, and none goes beyond the limit.
            await connection.execute(
                "select id from account where id = any(%s) order by id for update", ([one.id, other.id],)
            )
            cursor = await connection.execute(
                """
                insert into friendship (account_id, friend_id) values (%(one)s, %(other)s), (%(other)s, %(one)s)
                on conflict do nothing
                """,
                {"one": one.id, "other": other.id},
            )
            for account in (one, other):
                if await _count(connection, account.id) > MOST_FRIENDS:
                    raise NoFriend(f"{account.name} has {MOST_FRIENDS} friends already.")
        return cursor.rowcount > 0

    async def unfriend(self, one: Account, other: Account) -> bool:
        """End a friendship; returns whether there was one. What was shown to friends is hidden from then on."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                delete from friendship where (account_id, friend_id) in
                    ((%(one)s::bigint, %(other)s::bigint), (%(other)s::bigint, %(one)s::bigint))
                """,
                {"one": one.id, "other": other.id},
            )
        return cursor.rowcount > 0

    async def list(self, account_id: int, *, limit: int = MOST_FRIENDS) -> list[Account]:
        """Return a person's friends by name."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Account)) as rows:
            await rows.execute(
                f"""
                select {COLUMNS} from account where id in (select friend_id from friendship where account_id = %s)
                order by folded limit %s
                """,
                (account_id, limit),
            )
            return await rows.fetchall()

    async def count(self, account_id: int) -> int:
        """Return how many friends a person has."""
        async with self._database.connection() as connection:
            return await _count(connection, account_id)


async def _count(connection: Connection, account_id: int) -> int:
    row = await (
        await connection.execute("select count(*) from friendship where account_id = %s", (account_id,))
    ).fetchone()
    return int(row[0]) if row else 0
