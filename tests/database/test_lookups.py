"""Lookups that share statements answer as statements of their own would."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

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
    """Counts the connections that are lent, and can be away."""

    lent = 0
    away = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        self.lent += 1
        if self.away:
            raise Unavailable("away")
        async with super().connection() as connection:
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


async def test_keys_are_gathered_for_a_while_where_nobody_is_in_a_hurry(counted: Counted) -> None:
    lookup = SharedLookup(counted, TWICE, gather=0.05)
    first = asyncio.create_task(lookup.row("one"))
    await asyncio.sleep(0)  # it is on its way
    found = await asyncio.gather(first, lookup.row("two"), lookup.row("three"))
    assert list(found) == [("one",), ("two",), ("three",)]
    assert counted.lent == 1


async def test_those_that_wait_together_share_a_statement(counted: Counted) -> None:
    lookup = SharedLookup(counted, TWICE)
    await asyncio.gather(*(lookup.row(str(number)) for number in range(MOST_AT_ONCE)))
    assert counted.lent <= 2
    await asyncio.gather(*(lookup.row(str(number)) for number in range(3 * MOST_AT_ONCE)))
    assert counted.lent <= 2 + 4


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
