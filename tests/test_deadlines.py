"""A time limit ends what takes longer, and nothing else."""

import asyncio

import pytest

from openstage.deadlines import Within

SOON = 0.01


async def test_what_takes_longer_ends_with_a_timeout() -> None:
    with pytest.raises(TimeoutError), Within(SOON):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)  # the task goes on as if nothing had been


async def test_what_is_in_time_is_left_alone() -> None:
    with Within(60):
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="its own"), Within(60):
        raise ValueError("its own")


async def test_a_limit_ends_with_its_block() -> None:
    limit = Within(60)
    with limit:
        await asyncio.sleep(0)
    assert limit._timer.cancelled()  # what would have ended the block must not end what follows


async def test_a_limit_within_a_task_that_was_told_to_end_before() -> None:
    told = asyncio.Event()

    async def clean_up() -> str:
        try:
            await told.wait()
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError), Within(SOON):
                await asyncio.Event().wait()
            raise
        raise AssertionError

    task = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_of_two_limits_the_one_that_is_over_counts() -> None:
    with Within(60):
        with pytest.raises(TimeoutError), Within(SOON):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), Within(SOON), Within(60):
        await asyncio.Event().wait()


async def test_who_cancels_a_task_ends_it() -> None:
    async def wait(seconds: float) -> None:
        with Within(seconds):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait(60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_cancels_a_task_as_its_time_is_over_ends_it() -> None:
    limit = Within(60)

    async def wait() -> None:
        with limit:
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    limit._end()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_there_is_none_outside_a_task() -> None:
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def enter() -> None:
        try:
            Within(SOON).__enter__()
        except RuntimeError as error:
            outcome.set_result(str(error))

    asyncio.get_running_loop().call_soon(enter)
    assert "runs in a task" in await outcome
