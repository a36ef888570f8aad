"""Lookups that share statements answer as statements of their own would."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from openstage.database.engine import Connection, Database
from openstage.database.lookups import MOST_AT_ONCE, SharedLookup
from openstage.errors import Unavailable

APPS = (
    "select asked.number, name, state from unnest(%s::text[]) with ordinality as asked (client_id, number)"
    " join app using (client_id) order by asked.number, app.id"
)
TWICE = (
    "select asked.number, word from unnest(%s::text[]) with ordinality as asked (word, number), generate_series(1, 2)"
)
DIVIDED = (
    "select asked.number, top / bottom from unnest(%s::int[], %s::int[]) with ordinality as asked (top, bottom, number)"
)


class Counted(Database):
    """Counts statements and the connections that are lent, and can be away."""

    lent = 0
    statements = 0
    away = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        self.lent += 1
        if self.away:
            raise Unavailable("away")
        database = self

        class CountingCursor(psycopg.AsyncCursor[Any]):
            async def execute(self, *arguments: Any, **named: Any) -> Any:
                database.statements += 1
                return await super().execute(*arguments, **named)

        async with super().connection() as connection:
            connection.cursor_factory = CountingCursor
            yield connection


@pytest.fixture
async def counted(database_address: str) -> AsyncIterator[Counted]:
    database = Counted(database_address, largest=2)
    async with database:
        yield database


async def add_apps(database: Database, names: Sequence[str]) -> None:
    async with database.connection() as connection:
        for name in names:
            await connection.execute(
                "insert into app (client_id, name, secret, state) values (%s, %s, '', 'approved')", (name, name.upper())
            )


async def test_each_gets_the_rows_of_its_own_key(counted: Counted) -> None:
    await add_apps(counted, ["a", "b"])
    lookup = SharedLookup(counted, APPS)
    keys = ["b", "nobody", "a", "b"]
    found = await asyncio.gather(*(lookup.row(key) for key in keys))
    assert found == [("B", "approved"), None, ("A", "approved"), ("B", "approved")]
    assert await SharedLookup(counted, TWICE).rows("x") == [("x",), ("x",)]


ECHO = """
    select asked.number, asked.text, asked.bytes, asked.whole, asked.truth
    from unnest(%s::text[], %s::bytea[], %s::bigint[], %s::boolean[])
        with ordinality as asked (text, bytes, whole, truth, number)
    """


async def test_any_key_arrives_as_it_is(counted: Counted) -> None:
    lookup = SharedLookup(counted, ECHO)
    texts = ["", " ", "a,b", "{}", '"', '\\"\\', "NULL", "'; drop table app; --", "\n\t", "云南", "🎤", "\x7f", None]
    octets = [b"", b"\\x", b"NULL", bytes(range(256)), None]
    keys = [(text, b"", 0, False) for text in texts] + [("", each, -(2**63), True) for each in octets]
    assert await asyncio.gather(*(lookup.row(*key) for key in keys)) == keys
    with pytest.raises(TypeError, match="float"):
        await lookup.row("", b"", 0.5, True)


async def test_keys_are_gathered_for_a_while_where_nobody_is_in_a_hurry(counted: Counted) -> None:
    lookup = SharedLookup(counted, TWICE, gather=0.05)
    first = asyncio.create_task(lookup.row("one"))
    await asyncio.sleep(0)  # it is on its way
    found = await asyncio.gather(first, lookup.row("two"), lookup.row("three"))
    assert list(found) == [("one",), ("two",), ("three",)]
    assert counted.statements == 1


async def test_those_that_wait_together_share_a_statement(counted: Counted) -> None:
    lookup = SharedLookup(counted, TWICE)
    await asyncio.gather(*(lookup.row(str(number)) for number in range(MOST_AT_ONCE)))
    assert counted.statements <= 2
    await asyncio.gather(*(lookup.row(str(number)) for number in range(3 * MOST_AT_ONCE)))
    assert counted.statements <= 2 + 4
    assert counted.lent == 2


async def test_busy_lookups_leave_connections_to_others(counted: Counted) -> None:
    lookups = [SharedLookup(counted, TWICE) for _ in range(3)]  # one more than there are connections
    busy = True

    async def keep_busy(lookup: SharedLookup) -> None:
        async with asyncio.TaskGroup() as group:
            while busy:  # there is always one that waits when a statement ends
                group.create_task(lookup.row("x"))
                await asyncio.sleep(0)

    keeping = [asyncio.create_task(keep_busy(lookup)) for lookup in lookups]
    async with asyncio.timeout(60):
        while counted.statements < 50:
            await asyncio.sleep(0)
    for _ in range(3):
        assert await counted.fetch_one("select 1") == (1,)
    busy = False
    await asyncio.gather(*keeping)


async def test_a_key_that_fails_keeps_no_connection_from_others(database_address: str) -> None:
    slow = (
        "select asked.number, 1 / bottom from unnest(%s::int[]) with ordinality as asked (bottom, number),"
        " (select pg_sleep(0.01)) waited"
    )
    database = Counted(database_address, largest=1, timeout=0.7)
    async with database:
        lookup = SharedLookup(database, slow)
        asking = [asyncio.create_task(lookup.row(number)) for number in range(MOST_AT_ONCE)]
        while database.statements < 2:
            await asyncio.sleep(0)
        assert await database.fetch_one("select 1") == (1,)  # long before the hundred have been asked for one by one
        assert not all(task.done() for task in asking)
        found = await asyncio.gather(*asking, return_exceptions=True)
    assert "division by zero" in str(found[0])
    assert found[1:] == [(1,), *[(0,)] * (MOST_AT_ONCE - 2)]


async def test_a_connection_that_breaks_fails_who_asked_and_nobody_later(counted: Counted) -> None:
    lookup = SharedLookup(
        counted,
        "select asked.number, case when asked.broken then pg_terminate_backend(pg_backend_pid()) end"
        " from unnest(%s::bool[]) with ordinality as asked (broken, number)",
    )
    found = await asyncio.gather(lookup.row(True), lookup.row(True), return_exceptions=True)
    assert [type(each) for each in found] == [Unavailable, Unavailable]
    assert await lookup.row(False) == (None,)


async def test_what_was_committed_before_is_seen(counted: Counted) -> None:
    lookup = SharedLookup(counted, APPS)
    others = [asyncio.create_task(lookup.row("late")) for _ in range(5)]
    await asyncio.sleep(0)  # their statement is under way
    await add_apps(counted, ["late"])
    assert await lookup.row("late") == ("LATE", "approved")
    await asyncio.gather(*others)


async def test_a_key_that_fails_fails_alone(counted: Counted) -> None:
    lookup = SharedLookup(counted, DIVIDED)
    found: list[Any] = await asyncio.gather(
        lookup.row(6, 3), lookup.row(1, 0), lookup.row(8, 2), return_exceptions=True
    )
    assert found[0] == (2,)
    assert "division by zero" in str(found[1])
    assert found[2] == (4,)


async def test_a_cancelled_request_leaves_the_others_alone(counted: Counted) -> None:
    lookup = SharedLookup(counted, TWICE)
    tasks = [asyncio.create_task(lookup.row(str(number))) for number in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[1::2] == [("1",), ("3",)]
    assert await lookup.row("again") == ("again",)


async def test_a_database_that_is_away_fails_all_at_once_and_may_come_back(counted: Counted) -> None:
    lookup = SharedLookup(counted, TWICE)
    counted.away = True
    found = await asyncio.gather(*(lookup.row(str(number)) for number in range(9)), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in found)
    assert counted.lent <= 2
    counted.away = False
    assert await lookup.row("x") == ("x",)
