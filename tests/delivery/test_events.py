"""How a work stands, told to many at once while it is being made."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from openstage.database.engine import Database
from openstage.delivery.events import Events
from openstage.delivery.standing import Standings
from openstage.settings import Settings
from tests.delivery.stage import SLUG, Stage, staged
from tests.support.server import serving
from tests.support.waiting import wait_until

EVENTS = f"/w/{SLUG}/events"


class Asked(Standings):
    """Counts how often it is asked."""

    times = 0

    async def now(self, slug: str) -> Any:
        """As it is."""
        self.times += 1
        return await super().now(slug)


@contextlib.asynccontextmanager
async def announcing(database: Database, *, beat: float = 5.0, most: int = 100) -> AsyncIterator[tuple[str, Asked]]:
    standings = Asked(database, look_every=0.05)
    async with serving(Starlette(routes=Events(standings, beat=beat, most=most).routes())) as address:
        yield address + EVENTS, standings
        standings.end()
    await standings.close()


@pytest.fixture
async def stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    """A work of which nothing is there yet."""
    async with staged(settings, database) as made:
        await made.work(state="publishing")
        yield made


async def told(client: httpx.AsyncClient, address: str) -> AsyncGenerator[dict[str, Any]]:
    """What is told, event by event; a comment gives an empty one."""
    async with client.stream("GET", address) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["x-accel-buffering"] == "no"
        assert reply.headers["cache-control"] == "no-store, no-transform"
        async for line in reply.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))
            elif line.startswith(":"):
                yield {}


async def test_from_the_first_percent_to_the_last_rung(stage: Stage) -> None:
    async with (
        announcing(stage.database) as (address, standings),
        contextlib.aclosing(told(stage.client, address)) as events,
    ):
        first = await anext(events)
        assert first == {
            "stage": "waiting", "state": "publishing", "step": "", "percent": 0.0, "notice": "", "settled": False,
            "mark": "", "duration_ms": 12_000, "storyboard": False, "waveform": False,
        }  # fmt: skip
        await stage.sql("update work set step = 'first', percent = 10, notice = 'Slow.'")
        assert {**first, "step": "first", "percent": 10.0, "notice": "Slow."} == await anext(events)
        await stage.sql("update work set state = 'published', run = 'run1'")
        assert (await anext(events))["stage"] == "published"
        await stage.hls("96", count=1, complete=False)
        playing = await anext(events)
        assert playing["mark"]
        await stage.grow("96")  # another segment is nothing new to choose from
        await stage.hls("2")
        sharper = await anext(events)
        assert sharper["mark"] not in {"", playing["mark"]}
        await stage.storyboard()
        assert (await anext(events))["storyboard"] is True
        await stage.sql("update work set pending = false, percent = 100, step = '', notice = ''")
        last = await anext(events)
        assert (last["settled"], last["percent"]) == (True, 100.0)
        assert [event async for event in events] == [], "it ends by itself"
        await wait_until(lambda: _none_left(standings), what="nobody watching")


async def test_however_many_listen_one_look_is_enough(stage: Stage) -> None:
    async with announcing(stage.database, most=60) as (address, standings), contextlib.AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=None)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=20, limits=limits))
        listeners = [await stack.enter_async_context(contextlib.aclosing(told(client, address))) for _ in range(60)]
        await asyncio.gather(*(anext(listener) for listener in listeners))
        assert standings.listeners == 60
        full = await client.get(address)
        assert full.status_code == 503
        assert full.headers["retry-after"] == "30"
        looks = standings.times
        await stage.sql("update work set percent = 50")
        heard = await asyncio.gather(*(anext(listener) for listener in listeners))
        assert {event["percent"] for event in heard} == {50.0}
        assert standings.times - looks < 30, "one look for all of them"


async def test_proxies_hear_that_it_is_alive_and_who_hangs_up_is_forgotten(stage: Stage) -> None:
    async with announcing(stage.database, beat=0.1) as (address, standings):
        async with contextlib.aclosing(told(stage.client, address)) as events:
            assert (await anext(events))["state"] == "publishing"
            assert [await anext(events) for _ in range(2)] == [{}, {}]
            assert standings.listeners == 1
        await wait_until(lambda: _none_left(standings), what="nobody watching")
        looks = standings.times
        await asyncio.sleep(0.2)  # several looks, if there were any
        assert standings.times <= looks + 1, "nobody watches: the database is left in peace"


async def test_what_is_settled_is_told_once_and_not_asked_for_again(stage: Stage) -> None:
    await stage.sql("update work set state = 'published', pending = false, run = 'run1'")
    await stage.hls("96")
    async with announcing(stage.database) as (address, _):
        reply = await stage.client.get(address)
        lines = dict(line.split(": ", 1) for line in reply.text.splitlines() if line)
        assert json.loads(lines["data"])["settled"] is True
        assert int(lines["retry"]) >= 1000
        # How browsers come back after the end of a stream; 204 tells them to stay away.
        again = await stage.client.get(address, headers={"Last-Event-ID": lines["id"]})
        assert (again.status_code, again.content) == (204, b"")
        await stage.hls("2")
        assert (await stage.client.get(address, headers={"Last-Event-ID": lines["id"]})).status_code == 200


async def test_works_that_are_gone(stage: Stage) -> None:
    async with announcing(stage.database) as (address, _):
        assert (await stage.client.get(address.replace(SLUG, "0000000000000000"))).status_code == 404
        assert (await stage.client.get(address.replace(SLUG, "%00"))).status_code == 404
        async with contextlib.aclosing(told(stage.client, address)) as events:
            await anext(events)
            await stage.sql("update work set deleted_at = now()")
            assert [event async for event in events] == []
        assert (await stage.client.get(address)).status_code == 404


async def _none_left(standings: Standings) -> bool:
    return standings.listeners == 0
