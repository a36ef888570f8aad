"""Waiting for a condition instead of for time to pass."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T], *, within: float = 30.0, what: str = "the condition", every: float = 0.02
) -> T:
    """Call `condition` until it gives something true, and return that; AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within} s")
        time.sleep(every)
    return value


async def wait_until(
    condition: Callable[[], Awaitable[T]],
    *,
    within: float = 30.0,
    what: str = "the condition",
    every: float = 0.02,
) -> T:
    """Like `wait_for`, for an asynchronous condition."""
    deadline = time.monotonic() + within
    while not (value := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within} s")
        await asyncio.sleep(every)
    return value
