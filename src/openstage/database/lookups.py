"""Looking rows up by key for many requests at once.

A small statement costs the client library more than the database: about 150 µs of our one event loop. Under load many
requests wait for the same kind of row, so those that wait at the same time share one statement.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow

from openstage.database.engine import Database

MOST_AT_ONCE = 100
"""Most keys of one statement."""

KEPT_SECONDS = 0.02
"""For so long a connection answers one batch after the other before others have their turn with it: to borrow one takes
a fifth of a statement's time."""

Cursor = psycopg.AsyncCursor[TupleRow]
Key = tuple[Any, ...]
Rows = list[tuple[Any, ...]]
_Asked = tuple[Key, asyncio.Future[Rows]]


class SharedLookup:
    """One kind of lookup. While its statement is under way the next keys gather; then one statement answers them all.

    A lookup is answered by a statement that began after it was asked for, so it sees everything committed until then,
    as a statement of its own would.
    """

    def __init__(self, database: Database, query: LiteralString, *, gather: float = 0.0) -> None:
        """Prepare.

        Args:
            database: where to look.
            query: reads the keys from one array for each column of the key, in order, and numbers them. Its first
                column is that number. For example: `select asked.number, work.title from unnest(%s::text[]) with
                ordinality as asked (slug, number) join work using (slug)`.
            gather: seconds to wait for further keys before each statement, where many ask and none is in a hurry.

        """
        self._database = database
        self._query = query.encode()
        self._gather = gather
        self._waiting: list[_Asked] = []
        self._alone: list[_Asked] = []  # to be answered by a statement each
        self._task: asyncio.Task[None] | None = None

    async def rows(self, *key: Any) -> Rows:
        """Return all rows of a key, without their numbers; none if there is no such key.

        Raises:
            Unavailable: the database is away.

        """
        answer: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await answer

    async def row(self, *key: Any) -> tuple[Any, ...] | None:
        """Return the one row of a key, if there is one; raises as `rows` does."""
        found = await self.rows(*key)
        return found[0] if found else None

    async def _work(self) -> None:
        try:
            while self._waiting or self._alone:
                await self._work_with_a_connection()
        finally:
            self._task = None

    async def _work_with_a_connection(self) -> None:
        """Answer what waits, and for a moment what comes meanwhile."""
        if self._gather:
            await asyncio.sleep(self._gather)
        asked = self._take()
        clock = asyncio.get_running_loop().time
        until = clock() + (0 if self._gather else KEPT_SECONDS)
        try:
            async with self._database.connection() as connection:
                cursor = connection.cursor()
                while asked:
                    await self._answer(cursor, asked)
                    asked = self._take() if clock() < until else []
        except asyncio.CancelledError:  # the process ends
            for _, answer in asked:
                answer.cancel()
            raise
        except Exception as error:  # it belongs to those who asked and haven't been answered
            _fail(asked, error)

    def _take(self) -> list[_Asked]:
        if self._alone:
            return [self._alone.pop()]
        taken, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        return taken

    async def _answer(self, cursor: Cursor, asked: list[_Asked]) -> None:
        try:
            found = await self._ask(cursor, [key for key, _ in asked])
        except psycopg.OperationalError:  # not the keys' fault: the database went away
            raise
        except Exception as error:
            if len(asked) > 1:
                self._alone += asked  # one key may be the reason: it shall not fail the others
            else:
                _fail(asked, error)
            return
        for (_, answer), rows in zip(asked, found, strict=True):
            if not answer.done():  # its request may have been cancelled
                answer.set_result(rows)

    async def _ask(self, cursor: Cursor, keys: list[Key]) -> list[Rows]:
        found: list[Rows] = [[] for _ in keys]
        columns = [_array(column) for column in zip(*keys, strict=True)]
        await cursor.execute(self._query, columns)
        for row in await cursor.fetchall():
            found[row[0] - 1].append(row[1:])
        return found


def _array(values: Iterable[object]) -> str:
    """Write an array as PostgreSQL reads it (8.15.6); the client library takes ten times as long for it."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    if isinstance(value, int):  # numbers, and what is true or false
        return str(value)
    if value is None:
        return "NULL"
    raise TypeError(f"no key of a lookup is a {type(value).__name__}")


def _fail(asked: list[_Asked], error: Exception) -> None:
    for _, answer in asked:
        if not answer.done():
            answer.set_exception(error)
