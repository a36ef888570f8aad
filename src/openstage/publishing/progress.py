"""How far a run has come, written to the database about once a second, and whether it is still wanted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from openstage.database.engine import Database
from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.publishing.errors import Superseded
from openstage.storage.errors import StorageFull
from openstage.storage.space import free_bytes
from openstage.works import lifecycle

T = TypeVar("T")

SPANS: Final = {"probe": (0.0, 1.0), "renditions": (1.0, 92.0), "pictures": (92.0, 95.0), "store": (95.0, 100.0)}
"""The steps of a run, and which part of the whole each is, in percent."""
_INTERVAL: Final = 1.0

_log = get_logger("publishing")


class Progress:
    """Progress of one run."""

    def __init__(self, database: Database, work_id: int, run: str) -> None:
        self._database = database
        self._work_id = work_id
        self._run = run
        self.step = ""
        self.percent = 0.0

    async def begin(self, step: str) -> None:
        """Enter a step and write that down at once.

        Raises:
            Superseded: the run is no longer wanted.

        """
        self.step, self.percent = step, SPANS[step][0]
        await self.write()

    def within(self, percent: float) -> None:
        """Note how far the step under way has come, 0 to 100."""
        first, last = SPANS[self.step]
        self.percent = first + (last - first) * percent / 100

    async def write(self) -> None:
        """Write down how far the run is.

        Raises:
            Superseded: the run is no longer wanted.

        """
        try:
            async with self._database.connection() as connection:
                wanted = await lifecycle.progress(
                    connection, self._work_id, self._run, step=self.step, percent=self.percent
                )
        except Unavailable as error:
            # The work itself doesn't need the database; it will be back, or the end of the run says so.
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


@contextlib.asynccontextmanager
async def _ended(task: "asyncio.Future[Any]") -> AsyncIterator[None]:
    """Cancel `task` if the block ends before it, and wait until it has cleaned up after itself."""
    try:
        yield
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
