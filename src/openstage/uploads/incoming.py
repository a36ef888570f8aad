"""Whole files on their way in, of which nobody says beforehand how long they are: streamed, hashed, then placed.

Until it is placed such a file belongs to no upload, and the request or job that brings it removes it when it ends,
however it ends. What a killed process leaves is swept after a while.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

from typing_extensions import override

from openstage.settings import Settings
from openstage.storage.space import require_space
from openstage.uploads.errors import BadSize
from openstage.uploads.leases import Lease
from openstage.uploads.staging import Buffer, PieceWriter, StagingFile, disk_errors

Digest = Literal["sha1", "sha256"]

PREFIX: Final = "incoming-"
LEFT_BEHIND: Final = 3600.0
"""Seconds without a change after which a file in this folder can't be on its way any more: senders that are silent for
so long have been dropped."""


class Incoming:
    """One file on its way in."""

    def __init__(self, writer: PieceWriter, file: "_IncomingFile", *, limit: int) -> None:
        self._writer = writer
        self._file = file
        self._limit = limit

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._writer.received

    @property
    def path(self) -> Path:
        """Where the finished file lies until it is placed; for looking at it, not for keeping."""
        return self._file.path

    async def write(self, chunk: Buffer) -> None:
        """Take the next bytes; waits while the disk is behind.

        Raises:
            BadSize: the file is longer than it may be.
            StorageFull: there is no room.
            Unavailable: the disk fails.

        """
        if self.size + len(chunk) > self._limit:
            raise BadSize(f"The file has more than the {self._limit} bytes that it may have.")
        await self._writer.write(chunk)

    async def finish(self) -> None:
        """Say that all bytes have come; afterwards they are durable, and `digest` can be asked. Raises as `write`."""
        await self._writer.finish()

    def digest(self, kind: Digest) -> str:
        """Return a digest of the finished file in lower-case hex; it must have been asked for at the beginning."""
        return self._file.hashes[kind].hexdigest()

    async def place(self, path: Path) -> None:
        """Give the finished file its place, durably; what is there gives way.

        Raises:
            Unavailable: the disk fails.

        """
        await asyncio.to_thread(self._file.place, path)


class IncomingFiles:
    """Where whole files come in."""

    def __init__(self, settings: Settings, pool: ThreadPoolExecutor) -> None:
        """Prepare.

        Args:
            settings: the folder, and how much of its disk stays free.
            pool: its threads hash and write.

        """
        self._folder = settings.staging_folder
        self._reserve = settings.min_free
        self._pool = pool
        self._under_way = 0

    @contextlib.asynccontextmanager
    async def receive(self, *, limit: int, digests: Collection[Digest] = ()) -> AsyncIterator[Incoming]:
        """Take a file in within the block; at its end it is gone unless it has been placed.

        Args:
            limit: most bytes it may have.
            digests: what is to be computed on the way.

        Raises:
            StorageFull: the disk has no more than its reserve free.

        """
        require_space(self._folder, 0, reserve=self._reserve)
        path = self._folder / f"{PREFIX}{secrets.token_hex(16)}"
        file = _IncomingFile(path, digests, reserve=self._reserve)
        writer = PieceWriter(self._pool, file, Lease(0, limit), rivals=self._under_way)
        self._under_way += 1
        try:
            yield Incoming(writer, file, limit=limit)
        finally:
            self._under_way -= 1
            # A thread may be writing still; it then writes to a file without a name.
            writer.close()
            await asyncio.to_thread(file.remove)

    async def sweep(self) -> int:
        """Remove what killed processes left behind; returns how many files."""
        return await asyncio.to_thread(self._sweep)

    def _sweep(self) -> int:
        count = 0
        for path in self._folder.glob(f"{PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > LEFT_BEHIND:
                    path.unlink()
                    count += 1
        return count


class _IncomingFile(StagingFile):
    """The file on the disk. Everything here blocks: it is called in threads."""

    def __init__(self, path: Path, digests: Collection[Digest], *, reserve: int) -> None:
        super().__init__(path, size=0, received=(), create=False)
        self.hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in digests}
        self._reserve = reserve
        self._naming = threading.Lock()
        self._wanted = True

    @property
    def path(self) -> Path:
        """Where it lies until it is placed."""
        return self._path

    @override
    def digest(self, buffers: Sequence[Buffer]) -> None:
        """Take bytes into the digests that were asked for."""
        for known in self.hashes.values():
            for buffer in buffers:
                known.update(buffer)

    @override
    def write(self, buffers: Sequence[Buffer], position: int) -> None:
        """Write bytes while there is room for them."""
        require_space(self._path.parent, sum(map(len, buffers)), reserve=self._reserve)
        super().write(buffers, position)

    def place(self, path: Path) -> None:
        """Move the file to its place, and make that durable."""
        with disk_errors():
            self._path.rename(path)
            self._wanted = False
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def remove(self) -> None:
        """Remove the file, unless it has been placed; what is still to be written makes no new one."""
        with self._naming, contextlib.suppress(OSError):
            if self._wanted:
                self._wanted = False
                self._path.unlink(missing_ok=True)

    @override
    def _open(self) -> None:
        if self._descriptor >= 0:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._naming:
            if not self._wanted:
                raise FileNotFoundError(self._path)
            self._descriptor = os.open(self._path, flags, 0o600)
