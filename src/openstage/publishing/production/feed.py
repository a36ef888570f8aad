"""A growing upload as a source for `openstage.media`: its staging file, and how far it is contiguous.

The bytes are written by a server process; what may be read is what its row records (recorded bytes are durable and
never written again), so the row is looked at every few hundredths of a second while somebody reads.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from openstage.database.engine import Database
from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.publishing.errors import Superseded, UploadStalled
from openstage.publishing.progress import end

LOOK_SECONDS: Final = 0.05
"""Between two looks at the row; half of it is what a player waits for in the mean once the upload is finished."""
IDLE_SECONDS: Final = 30.0
"""A prefix that hasn't grown for so long isn't waited for: the work goes on at finish."""

Range = tuple[int, int]

_log = get_logger("publishing")


class GrowingUpload:
    """What has been received of one upload; `openstage.media.feeding.Feed` for what makes segments of it.

    Attributes:
        fd: descriptor of the staging file, open as long as the block of `growing_upload` lasts.
        size: bytes of the whole file, as declared.
        finished: set once the upload is finished: all bytes are there.

    """

    def __init__(self, database: Database, file_id: str, fd: int, size: int, *, idle: float = IDLE_SECONDS) -> None:
        self.fd = fd
        self.size = size
        self.finished = asyncio.Event()
        self._database = database
        self._file_id = file_id
        self._idle = idle
        self._ranges: tuple[Range, ...] = ()
        self._changed = asyncio.Condition()
        self._fault: Exception | None = None

    @property
    def ranges(self) -> tuple[Range, ...]:
        """All that has been received, as (first byte, byte behind the last), in order."""
        return self._ranges

    @property
    def prefix(self) -> int:
        """Bytes that are there without a gap from the beginning."""
        return self._ranges[0][1] if self._ranges and self._ranges[0][0] == 0 else 0

    async def received(self, beyond: int) -> int:
        """Wait until more than the first `beyond` bytes are there without a gap, or all of them.

        Returns:
            How many there are.

        Raises:
            Superseded: it was cancelled or has expired.
            UploadStalled: nothing has come for a while.

        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._fault is not None or self.prefix > beyond or self.whole)
            if self.prefix <= beyond and not self.whole and self._fault is not None:
                raise self._fault
            return self.prefix

    async def until_received(self, wanted: Range) -> tuple[Range, ...]:
        """Wait until some stretch has been received, wherever it lies in the file, or all of it.

        Returns:
            All that has been received.

        Raises:
            Superseded, UploadStalled: as `received`.

        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    self._fault is not None
                    or self.whole
                    or any(start <= wanted[0] and wanted[1] <= end for start, end in self._ranges)
                )
            )
            if self._fault is not None:
                raise self._fault
            return self._ranges

    @property
    def whole(self) -> bool:
        """Whether all bytes are there, though finish may not have been called."""
        return self.prefix >= self.size

    async def until_whole(self) -> None:
        """Wait until all bytes are there; raises as `received`."""
        await self.received(self.size)

    async def watch(self) -> None:
        """Look at the row until the upload has ended, one way or another."""
        grown_at = time.monotonic()
        while self._fault is None and not self.finished.is_set():
            before = self.prefix
            try:
                await self._look()
            except Unavailable as error:
                _log.warning("an upload can't be followed while the database is away", error=error.message)
            if self.prefix > before:
                grown_at = time.monotonic()
            elif time.monotonic() - grown_at > self._idle and not self.whole:
                await self._note(fault=UploadStalled())
            else:
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        row = await self._database.fetch_one(
            "select state, received from upload where file_id = %(file)s", {"file": self._file_id}
        )
        if row is None or row[0] in {"cancelled", "expired"}:
            await self._note(fault=Superseded())
            return
        ranges = tuple((part.lower or 0, part.upper or 0) for part in row[1])
        if ranges != self._ranges or row[0] == "finished":
            await self._note(ranges=ranges, finished=row[0] == "finished")

    async def _note(
        self, *, ranges: tuple[Range, ...] | None = None, finished: bool = False, fault: Exception | None = None
    ) -> None:
        async with self._changed:
            self._ranges = self._ranges if ranges is None else ranges
            self._fault = fault
            if finished:
                self.finished.set()
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def growing_upload(
    database: Database, file_id: str, path: Path, size: int, *, idle: float = IDLE_SECONDS
) -> AsyncIterator[GrowingUpload]:
    """Follow an upload for the length of the block.

    Args:
        database: where it is recorded.
        file_id: which upload.
        path: its staging file.
        size: bytes of the whole file.
        idle: seconds without growth after which it is given up.

    Raises:
        FileNotFoundError: the staging file isn't there (yet, or any more).

    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        feed = GrowingUpload(database, file_id, fd, size, idle=idle)
        watching = asyncio.create_task(feed.watch(), name="growing upload")
        try:
            yield feed
        finally:
            await end(watching)
    finally:
        os.close(fd)
