"""Leases on byte ranges of staging files: of the pieces in flight, no two may write the same bytes.

They live in the memory of the one server process that holds the staging files, and in its event loop, so that taking
and losing one needs no lock.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from openstage.uploads.errors import Superseded

TAKEOVER_SECONDS: Final = 2.0
"""A piece whose sender has been silent for so long gives way to another request for its bytes."""


class Lease:
    """The right to write bytes start…end of one file, until it is released or lost to another request."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.lost = False
        self._working = 0
        self._heard_at = asyncio.get_running_loop().time()
        self._changed = asyncio.Event()
        self._when_idle: Callable[[], None] | None = None

    def overlaps(self, start: int, end: int) -> bool:
        """Whether bytes start…end and this lease's have any in common."""
        return self.start < end and start < self.end

    def heard(self) -> None:
        """Note that the sender has just sent something."""
        self._heard_at = asyncio.get_running_loop().time()

    def silent_for(self) -> float:
        """Seconds since the sender was last heard; 0 while the server itself is busy with what it sent."""
        return 0.0 if self._working else asyncio.get_running_loop().time() - self._heard_at

    def require(self) -> None:
        """Make sure that the lease still stands.

        Raises:
            Superseded: another request has taken over.

        """
        if self.lost:
            raise Superseded

    def begin_work(self) -> None:
        """Say that writing or recording begins: until `end_work` nobody can take over.

        Raises:
            Superseded: somebody already has.

        """
        self.require()
        self._working += 1

    def end_work(self) -> None:
        """Say that writing or recording has ended."""
        self._working -= 1
        self.heard()
        self._notify()
        if self._when_idle is not None and not self._working:
            self._when_idle()

    @contextlib.contextmanager
    def work(self) -> Iterator[None]:
        """Write or record within the block; see `begin_work`."""
        self.begin_work()
        try:
            yield
        finally:
            self.end_work()

    @property
    def working(self) -> bool:
        """Whether the server is writing or recording under this lease."""
        return self._working > 0

    def lose(self) -> None:
        """Take the lease away; what is being written under it ends first (see `Leases.fence`)."""
        self.lost = True
        self._notify()

    async def changed(self, within: float | None = None) -> None:
        """Wait until the lease may have ended, at most `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()

    def abandon(self, when_idle: Callable[[], None]) -> None:
        """Lose the lease, and call back as soon as nothing is written under it any more."""
        self.lose()
        if self._working:
            self._when_idle = when_idle
        else:
            when_idle()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Leases:
    """All leases of this process, by file."""

    def __init__(self, takeover: float = TAKEOVER_SECONDS) -> None:
        """Begin without any; `takeover` in seconds, see `TAKEOVER_SECONDS`."""
        self._takeover = takeover
        self._held: dict[str, list[Lease]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    async def acquire(self, file_id: str, start: int, end: int) -> Lease:
        """Wait until nobody else has any of the bytes, and lease them. Release what comes back.

        A rival that makes progress is waited for; one whose sender is silent loses its lease.
        """
        while rivals := [lease for lease in self._held.get(file_id, ()) if lease.overlaps(start, end)]:
            patience = self._takeover - rivals[0].silent_for()
            if patience <= 0:
                self.release(file_id, rivals[0])
                rivals[0].lose()
            else:
                await rivals[0].changed(patience)
        lease = Lease(start, end)
        self._held.setdefault(file_id, []).append(lease)
        return lease

    async def extend(self, file_id: str, lease: Lease, end: int) -> None:
        """Wait until bytes up to `end` are nobody else's, and add them to a lease.

        Raises:
            Superseded: the lease was lost meanwhile.

        """
        with lease.work():
            # Who waits here waits for a lease that begins where its own ends, so no two wait for each other.
            extra = await self.acquire(file_id, lease.end, end)
            self.release(file_id, extra)
            lease.end = end
        lease.require()

    def release(self, file_id: str, lease: Lease) -> None:
        """Give a lease back; one that was lost needn't be, but may."""
        held = self._held.get(file_id, [])
        if lease in held:
            held.remove(lease)
        if not held:
            self._held.pop(file_id, None)
        lease._notify()  # noqa: SLF001 - one module

    async def fence(self, file_id: str) -> None:
        """Take all leases on a file away and wait until nothing is written under them any more."""
        for lease in list(self._held.get(file_id, ())):
            lease.lose()
            while lease.working:
                await lease.changed()
            self.release(file_id, lease)

    @contextlib.asynccontextmanager
    async def hold(self, file_id: str, start: int, end: int) -> AsyncIterator[Lease]:
        """Lease bytes for the length of the block."""
        lease = await self.acquire(file_id, start, end)
        try:
            yield lease
        finally:
            # A cancelled request may leave a thread behind that still writes.
            lease.abandon(functools.partial(self.release, file_id, lease))
