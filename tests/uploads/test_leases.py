"""Of the pieces in flight, no two may write the same bytes."""

import asyncio

import pytest

from openstage.uploads.errors import Superseded
from openstage.uploads.leases import Lease, Leases
from tests.support.waiting import wait_until

FILE = "f" * 32
SHORT = 0.05
"""Seconds of silence after which a lease can be taken over in these tests."""


async def test_bytes_apart_are_leased_at_once() -> None:
    leases = Leases()
    first = await leases.acquire(FILE, 0, 10)
    second = await leases.acquire(FILE, 10, 20)
    other = await leases.acquire("0" * 32, 0, 20)
    assert not any(lease.lost for lease in (first, second, other))


async def test_a_second_request_for_the_same_bytes_waits_for_the_first() -> None:
    leases = Leases(takeover=60)
    first = await leases.acquire(FILE, 0, 10)
    second = asyncio.create_task(leases.acquire(FILE, 9, 20))
    await asyncio.sleep(0)
    assert not second.done()
    leases.release(FILE, first)
    assert not (await second).lost
    assert not first.lost


async def test_progress_keeps_a_lease_and_silence_loses_it() -> None:
    leases = Leases(takeover=SHORT)
    first = await leases.acquire(FILE, 0, 10)
    second = asyncio.create_task(leases.acquire(FILE, 0, 10))
    loop = asyncio.get_running_loop()
    heard_until = loop.time() + 4 * SHORT
    while loop.time() < heard_until:
        first.heard()
        await asyncio.sleep(SHORT / 5)
        assert not second.done()
    assert not (await second).lost
    assert first.lost
    with pytest.raises(Superseded):
        first.begin_work()


async def test_nobody_takes_over_while_the_server_itself_is_writing() -> None:
    leases = Leases(takeover=SHORT)
    first = await leases.acquire(FILE, 0, 10)
    second = asyncio.create_task(leases.acquire(FILE, 0, 10))
    with first.work():
        done, _ = await asyncio.wait({second}, timeout=4 * SHORT)
        assert not done
        assert not first.lost
    await second
    assert first.lost


async def test_a_cancelled_request_keeps_its_bytes_until_its_thread_has_ended() -> None:
    leases = Leases(takeover=SHORT)
    held: list[Lease] = []

    async def request() -> None:
        async with leases.hold(FILE, 0, 10) as lease:
            held.append(lease)
            lease.begin_work()
            await asyncio.Event().wait()

    first = asyncio.create_task(request())
    await wait_until(lambda: _true(bool(held)))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(leases.acquire(FILE, 0, 10))
    done, _ = await asyncio.wait({second}, timeout=4 * SHORT)
    assert not done
    held[0].end_work()
    leases.release(FILE, await second)
    assert len(leases) == 0


async def test_an_extension_waits_for_the_neighbour_and_keeps_the_lease_meanwhile() -> None:
    leases = Leases(takeover=60)
    first = await leases.acquire(FILE, 0, 10)
    neighbour = await leases.acquire(FILE, 10, 20)
    extended = asyncio.create_task(leases.extend(FILE, first, 11))
    await asyncio.sleep(0)
    assert not extended.done()
    leases.release(FILE, neighbour)
    await extended
    assert first.overlaps(10, 11)


async def test_a_fence_ends_all_leases_once_what_they_write_is_written() -> None:
    leases = Leases()
    idle = await leases.acquire(FILE, 0, 10)
    writing = await leases.acquire(FILE, 10, 20)
    writing.begin_work()
    fence = asyncio.create_task(leases.fence(FILE))
    await asyncio.sleep(0)
    assert not fence.done()
    assert idle.lost
    writing.end_work()
    await fence
    assert writing.lost
    assert len(leases) == 0


async def _true(value: bool) -> bool:
    return value
