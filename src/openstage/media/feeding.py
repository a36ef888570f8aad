"""Media that are still arriving: what a growing upload must tell so that it can be worked on before its end."""

import asyncio
import contextlib
import errno
import fcntl
import os
import time
from typing import Protocol


class Feed(Protocol):
    """A file whose bytes arrive one after the other (or, in pieces, in any order)."""

    @property
    def fd(self) -> int:
        """Descriptor of the staging file, open for reading; read at given offsets, its position is never moved."""
        ...

    @property
    def size(self) -> int:
        """Bytes that the whole file will have."""
        ...

    async def received(self, beyond: int) -> int:
        """Wait until more than `beyond` bytes from the beginning are there without a gap.

        Returns:
            How many there are; `size` once the upload is whole, at once and however large `beyond` is.

        Raises:
            Exception: of any kind to abandon the work; it goes through to the caller of `grow()`.

        """
        ...


PIPE_BYTES = 1024**2  # what the pipe holds, and what is moved at once


class Pump:
    """Moves a feed's bytes into a pipe as they arrive and as they are taken.

    Attributes:
        taken_from: end of the pipe that a tool reads from; whoever hands it over closes it.

    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waits_since: float | None = None
        self._waited = 0.0
        self.taken_from, self._into = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._into, False)
        with contextlib.suppress(OSError):  # more than this user's pipes may hold
            fcntl.fcntl(self._into, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    @property
    def waited(self) -> float:
        """Seconds spent so far waiting for bytes to arrive."""
        return self._waited + (time.monotonic() - self._waits_since if self._waits_since is not None else 0.0)

    async def run(self) -> None:
        """Move all bytes; end early if the tool has ended or needs no more.

        Raises:
            Exception: what the feed raised to abandon the work.

        """
        at = 0
        try:
            while at < self._feed.size:
                self._waits_since = time.monotonic()
                there = await self._feed.received(at)
                self._waited, self._waits_since = self.waited, None
                while at < there:
                    await _writable(self._into)
                    with contextlib.suppress(BlockingIOError):
                        at += await asyncio.to_thread(_move, self._feed.fd, self._into, at, there - at)
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            os.close(self._into)


def _move(source: int, target: int, at: int, count: int) -> int:
    """Move bytes from a file into a pipe as far as there is room, without copying them where that is possible."""
    count = min(count, PIPE_BYTES)
    try:
        moved = os.splice(source, target, count, offset_src=at, flags=os.SPLICE_F_NONBLOCK)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what file systems say that can't do it
            raise
        moved = os.write(target, os.pread(source, count, at))
    if not moved:
        raise EOFError("a feed's file is shorter than what it has received")
    return moved


async def _writable(pipe: int) -> None:
    """Wait until a pipe has room, or nobody reads from it any more."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(pipe, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(pipe)
