"""A pool of PostgreSQL connections, and the two ways to use one.

SQL is written by hand beside the domain it serves. Functions that must be part of a larger transaction take a
`Connection`; the others open their own through `Database`.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from openstage.errors import Unavailable

Connection = psycopg.AsyncConnection[TupleRow]


class Database:
    """The pool of one process. Open it with `async with Database(address)`."""

    def __init__(self, address: str, *, largest: int = 8, timeout: float = 10.0) -> None:
        """Prepare a pool.

        Args:
            address: libpq connection string or URL.
            largest: most connections held at once.
            timeout: seconds to wait for a connection before `Unavailable`.

        """
        self.address = address
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            address,
            min_size=1,
            max_size=largest,
            timeout=timeout,
            open=False,
            kwargs={"autocommit": True, "application_name": "openstage"},
        )

    async def __aenter__(self) -> "Database":
        try:
            await self._pool.open(wait=True)
        except PoolTimeout as error:
            await self._pool.close()
            raise Unavailable("The database does not answer.") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection on which each statement is its own transaction.

        Raises:
            Unavailable: no connection within the pool's time limit, or the database went away.

        """
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise Unavailable("The database does not answer; try again in a moment.") from error

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside one transaction: committed at the end of the block, rolled back on any error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch_one(self, query: str, parameters: dict[str, Any] | None = None) -> TupleRow | None:
        """Run one statement and return its first row, if any."""
        async with self.connection() as connection:
            return await (await connection.execute(query.encode(), parameters)).fetchone()
