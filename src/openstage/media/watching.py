"""Learning at once that a file in a folder has become whole."""

import asyncio
import ctypes
import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

log = logging.getLogger(__name__)

# inotify(7): a file was renamed within the folder; no blocking, not passed on to children.
IN_MOVED_TO, IN_NONBLOCK, IN_CLOEXEC = 0x80, 0o4000, 0o2000000
POLL_SECONDS = 0.02  # where the machine's inotify instances are used up

libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Tells that something has been renamed in one of some folders; a context manager.

    Wake-ups may be told once for several events, and without one: look what is there.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._rung = asyncio.Event()
        self._fd = -1
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> "Watch":
        self._fd = int(libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
        watched = self._fd >= 0 and all(
            libc.inotify_add_watch(self._fd, os.fsencode(folder), IN_MOVED_TO) >= 0 for folder in self._folders
        )
        if watched:
            asyncio.get_running_loop().add_reader(self._fd, self._read)
        else:
            log.info("no inotify here (%s): looking into folders instead", errno.errorcode.get(ctypes.get_errno()))
            self._tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)

    def ring(self) -> None:
        """Wake up who waits, for a reason of the caller's."""
        self._rung.set()

    async def changed(self) -> None:
        """Wait until something has happened since the last call."""
        await self._rung.wait()
        self._rung.clear()

    def _read(self) -> None:
        try:
            os.read(self._fd, 64 * 1024)
        except BlockingIOError:
            return
        self._rung.set()

    def _tick(self) -> None:
        self._rung.set()
        self._timer = asyncio.get_running_loop().call_later(POLL_SECONDS, self._tick)
