"""How far a task has come, written to the database about once a second, and whether it is still wanted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.publishing.errors import Superseded
from openstage.storage.errors import StorageFull
from openstage.storage.space import free_bytes

T = TypeVar("T")

_INTERVAL: Final = 1.0
_CANCEL_AGAIN: Final = 2.0
"""Seconds after which a task that was cancelled and isn't done is cancelled again."""

_log = get_logger("publishing")


class Progress:
    """Progress of one task, which never goes back."""

    def __init__(self, note: Callable[[float], Awaitable[bool]]) -> None:
        """Prepare; `note` writes percent down and tells whether the task is still wanted."""
        self._note = note
        self.percent = 0.0
        self.ending = False
        """The end of the task is being written down, which tells more than its progress."""

    def within(self, first: float, last: float) -> Callable[[float], None]:
        """Return what takes the percent of a part of the task, which goes from `first` to `last` of the whole."""

        def report(percent: float) -> None:
            self.percent = max(self.percent, first + (last - first) * min(percent, 100.0) / 100)

        return report

    async def write(self) -> None:
        """Write down how far the task is.

        Raises:
            Superseded: it is no longer wanted.

        """
        try:
            wanted = self.ending or await self._note(self.percent) or self.ending
        except Unavailable as error:
            # The work itself doesn't need the database; it will be back, or the end of the task says so.
            _log.warning("progress can't be written", error=error.message)
            return
        if not wanted:
            raise Superseded


async def supervised(work: Coroutine[Any, Any, T], progress: Progress, *, folder: Path, min_free: int) -> T:
    """Run `work` while writing its progress; stop it once it isn't wanted, or the disk gets full.

    Args:
        work: what is to be done.
        progress: its progress.
        folder: where it writes.
        min_free: bytes of which at least half must stay free meanwhile (the other half is the server's reserve).

    Raises:
        Superseded: it isn't wanted any more.
        StorageFull: the disk is getting full.

    """
    task = asyncio.ensure_future(work)
    async with _ended(task):
        while not task.done():
            await asyncio.wait({task}, timeout=_INTERVAL)
            if task.done():
                break
            await progress.write()
            if free_bytes(folder) < min_free // 2:
                raise StorageFull("The disk is full.")
        return task.result()


async def together(*works: Coroutine[Any, Any, Any]) -> None:
    """Run all at once; with the first that fails the others are ended, and its error is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    async with contextlib.AsyncExitStack() as stack:
        for task in tasks:
            await stack.enter_async_context(_ended(task))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()


async def end(task: "asyncio.Future[Any]") -> None:
    """Cancel a task and wait until it has cleaned up after itself, however it ends and whoever cancels us meanwhile.

    Once isn't always enough: before Python 3.12 `asyncio.wait_for`, under every call of the database, may lose a
    cancellation that comes just as what it waits for is there.
    """
    cancelled = False
    while not task.done():
        task.cancel()
        try:
            await asyncio.wait({task}, timeout=_CANCEL_AGAIN)
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancelled():
        task.exception()  # seen, so that nobody complains
    if cancelled:
        raise asyncio.CancelledError


@contextlib.asynccontextmanager
async def _ended(task: "asyncio.Future[Any]") -> AsyncIterator[None]:
    """End `task` with the block."""
    try:
        yield
    finally:
        await end(task)
