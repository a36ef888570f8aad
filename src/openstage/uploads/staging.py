"""Staging files: where the bytes of a piece are hashed, compared with what is there, and made durable.

Digests and disk run in threads, never in the event loop: MD5 takes 2 ms per MiB, and a small request must not wait for
that. Both let other threads run meanwhile.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from openstage.errors import Unavailable
from openstage.storage.errors import StorageFull
from openstage.uploads.errors import BadPiece, StagingLost
from openstage.uploads.leases import Lease
from openstage.uploads.ranges import ByteRange, cut

Buffer = bytes | memoryview

BATCH_BYTES: Final = 1024**2
"""Bytes handed to a thread at once. A piece holds at most two batches in memory: one filling, one being stored."""
SMALL_BATCH_BYTES: Final = 64 * 1024
BATCHES_BUDGET: Final = 64 * 1024**2
"""Bytes that the batches of all pieces in flight may take together: where they are many, each is smaller."""
FIRST_BATCH_BYTES: Final = 256 * 1024
"""The first batch of a piece is smaller, so that its digest begins early."""
RELEASE_BYTES: Final = 1024**2
"""Bytes after which it pays to tell the kernel what to do with them."""
CACHED_BYTES: Final = 32 * 1024**2
"""Bytes within which a disk has written the first when the last arrive."""
BATCH_BUFFERS: Final = 256
"""Most buffers of a batch, however small they are: they cost memory too, and `pwritev` takes 1,024."""


def batch_bytes(pieces: int) -> int:
    """Bytes of a batch while so many pieces are in flight."""
    return max(SMALL_BATCH_BYTES, min(BATCH_BYTES, BATCHES_BUDGET // (2 * max(pieces, 1))))


class StagingFile:
    """The staging file of one upload, as one piece sees it. Everything here blocks: call it in a thread."""

    def __init__(self, path: Path, *, size: int, received: Sequence[ByteRange], create: bool) -> None:
        """Prepare; nothing is opened before the first bytes come.

        Args:
            path: where it is.
            size: bytes of the whole file; it is sparse, so they cost nothing before they come.
            received: recorded ranges: never written, only compared.
            create: nothing has been recorded yet, so the file may have to be made.

        """
        self._path = path
        self._size = size
        self.received = received
        self._create = create
        self._descriptor = -1
        self._written = False
        self._first = self._last = self._released = 0
        self.md5 = hashlib.md5(usedforsecurity=False)

    def store(self, buffers: Sequence[Buffer], position: int) -> None:
        """Hash and write bytes: `digest` and `write` in one; raises as the latter."""
        self.digest(buffers)
        self.write(buffers, position)

    def digest(self, buffers: Sequence[Buffer]) -> None:
        """Take bytes into the piece's MD5."""
        for buffer in buffers:
            self.md5.update(buffer)

    def write(self, buffers: Sequence[Buffer], position: int) -> None:
        """Write those bytes that are missing at `position`, compare the others with what is there.

        Raises:
            BadPiece: they differ from what is recorded.
            StorageFull: the disk is full.
            StagingLost: the file should be there and isn't.
            Unavailable: the disk fails.

        """
        with disk_errors():
            self._open()
            end = position + sum(map(len, buffers))
            if not any(start < end and stop > position for start, stop in self.received):
                self._write(buffers, position)
                return
            data = memoryview(b"".join(buffers))
            for start, stop, known in cut(self.received, position, end):
                stretch = data[start - position : stop - position]
                if not known:
                    self._write([stretch], start)
                elif os.pread(self._descriptor, stop - start, start) != stretch:
                    raise BadPiece("The piece differs from what was received before in its range.")

    def sync(self) -> None:
        """Make durable what was written, and the file's name if it is new.

        Raises:
            StorageFull: the disk is full.
            Unavailable: the disk fails.

        """
        with disk_errors():
            if self._written:
                os.fdatasync(self._descriptor)
                self._release(self._first, self._last)
            if self._written and self._create:
                folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if self._descriptor >= 0:
            return
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if self._create else 0)
        try:
            self._descriptor = os.open(self._path, flags, 0o600)
        except FileNotFoundError as error:
            raise StagingLost from error
        length = os.fstat(self._descriptor).st_size
        if length != self._size:
            if not self._create:
                raise StagingLost
            os.ftruncate(self._descriptor, self._size)

    def _write(self, buffers: Sequence[Buffer], position: int) -> None:
        if not self._written:
            self._written = True
            self._first = self._released = position
        pending = list(buffers)
        while pending:
            written = os.pwritev(self._descriptor, pending, position)
            position += written
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if pending and written:
                pending[0] = memoryview(pending[0])[written:]
        self._last = position
        if position - self._released >= RELEASE_BYTES:
            self._release(max(self._first, position - CACHED_BYTES), position)
            self._released = position

    def _release(self, start: int, end: int) -> None:
        """Let the kernel begin to write bytes start…end to the disk, and forget those that are there already.

        Then `fdatasync` finds little to do; uploads don't push what viewers are sent out of memory; and the same few
        pages serve a whole upload, while fresh ones cost up to 3 s a GiB on machines whose host takes free memory back.
        """
        with contextlib.suppress(OSError):  # it is advice
            os.posix_fadvise(self._descriptor, start, end - start, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the disk says into what the caller can tell.

    Raises:
        StorageFull: the disk is full.
        Unavailable: the disk fails.

    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFull("There is no room on the disk; try again later.") from error
        raise Unavailable(f"The disk fails: {error.strerror}.") from error


class PieceWriter:
    """Takes a piece as it arrives and stores it in threads, one batch ahead of the network."""

    def __init__(self, pool: ThreadPoolExecutor, staging: StagingFile, lease: Lease, *, rivals: int) -> None:
        """Write at the beginning of `lease` into `staging`, while `rivals` other pieces are in flight."""
        self._alone = not rivals
        self._batch_bytes = batch_bytes(rivals + 1)
        self._enough = min(self._batch_bytes, FIRST_BATCH_BYTES)
        self._pool = pool
        self._staging = staging
        self._lease = lease
        self._position = lease.start
        self._batch: list[Buffer] = []
        self._gathered = 0
        self._jobs: list[Future[None]] = []
        self._closed = False

    @property
    def received(self) -> int:
        """Bytes taken so far."""
        return self._position - self._lease.start + self._gathered

    async def write(self, chunk: Buffer) -> None:
        """Take the next bytes; waits while the disk is behind.

        Raises:
            Superseded: the lease is lost.
            BadPiece: the bytes go beyond the lease.
            DomainError: what `StagingFile.store` raises, for this chunk or one before.

        """
        self._lease.require()
        if self._position + self._gathered + len(chunk) > self._lease.end:
            raise BadPiece("The piece is longer than its range.")
        self._batch.append(chunk)
        self._gathered += len(chunk)
        if self._gathered >= self._enough or len(self._batch) >= BATCH_BUFFERS:
            await self._flush()

    async def take_in(self, chunks: AsyncIterator[Buffer], *, longest: int) -> bytes:
        """Take bytes as they arrive, up to the end of the lease; returns what came behind that.

        Args:
            chunks: the piece.
            longest: bytes that it may have, those behind the lease included.

        Raises:
            BadPiece: more came.
            DomainError: as `write`.

        """
        leased, tail = self._lease.end - self._lease.start, b""
        async for chunk in chunks:
            self._lease.heard()
            room = leased - self.received
            await self.write(chunk[:room] if len(chunk) > room else chunk)
            tail += chunk[room:] if len(chunk) > room else b""
            if leased + len(tail) > longest:
                raise BadPiece("The piece is longer than its range.")
        return tail

    async def finish(self) -> None:
        """Store what is left and make all of it durable."""
        await self._stored()
        batch, position = self._take()

        def end() -> None:
            if batch:
                self._staging.write(batch, position)
            self._staging.sync()

        # The last bytes are hashed while the disk makes all of them durable.
        self._start(end)
        self._start(lambda: self._staging.digest(batch))
        await self._stored()

    def close(self) -> None:
        """Let go of the file, as soon as no thread works on it any more."""
        self._closed = True
        self._batch.clear()
        self._close_when_idle()

    async def _flush(self) -> None:
        await self._stored()
        batch, position = self._take()
        self._enough = self._batch_bytes
        if self._alone:  # then digest and disk may have a core each
            self._start(lambda: self._staging.digest(batch))
            self._start(lambda: self._staging.write(batch, position))
        else:
            self._start(lambda: self._staging.store(batch, position))

    def _take(self) -> tuple[list[Buffer], int]:
        """Batch gathered so far and its position; the next one begins."""
        batch, self._batch = self._batch, []
        position = self._position
        self._position += self._gathered
        self._gathered = 0
        return batch, position

    async def _stored(self) -> None:
        for job in self._jobs:
            await asyncio.wrap_future(job)
        self._jobs.clear()

    def _start(self, work: Callable[[], None]) -> None:
        self._lease.begin_work()
        loop = asyncio.get_running_loop()
        try:
            job = self._pool.submit(work)
        except RuntimeError as error:
            self._lease.end_work()
            raise Unavailable("The server is shutting down; send the piece again in a moment.") from error
        self._jobs.append(job)
        job.add_done_callback(lambda _: _call_soon(loop, self._ended))

    def _ended(self) -> None:
        self._lease.end_work()
        if self._closed:
            self._close_when_idle()

    def _close_when_idle(self) -> None:
        if all(job.done() for job in self._jobs):
            self._staging.close()


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
        loop.call_soon_threadsafe(callback)
