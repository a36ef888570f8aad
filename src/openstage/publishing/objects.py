"""The objects of one run: from a scratch folder into the store, under the run's own prefix.

Names that may be made again by a task's next try are unique: an object that rows name is never written again.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from openstage.errors import Unavailable
from openstage.publishing import crashpoints
from openstage.publishing.progress import together
from openstage.storage.objects import ObjectStore

T = TypeVar("T")

_AT_ONCE: Final = 8
"""Objects that are stored at once: each waits for the disk or the network most of its time."""
_PAUSES: Final = (1.0, 3.0, 9.0)
"""Seconds between tries to store one object, before the task breaks off: much encoding may hang on it."""


def run_prefix(file_id: str, run: str) -> str:
    """Return the prefix of a run's objects."""
    return f"works/{file_id}/{run}"


class RunObjects:
    """The objects of one run, as one try of one of its tasks makes and reads them."""

    def __init__(self, store: ObjectStore, file_id: str, run: str) -> None:
        self._store = store
        self.prefix = run_prefix(file_id, run)
        self._try = secrets.token_hex(4)

    def key(self, name: str) -> str:
        """Return the key of the object with a name that no two tries share, or that says what is in it."""
        return f"{self.prefix}/{name}"

    def init(self, quality: str) -> str:
        """Return the key for an initialisation section that this try made."""
        return self.key(f"hls/{quality}/init-{self._try}.mp4")

    def segment(self, quality: str, number: int, *, chunk: int | None = None) -> str:
        """Return the key for a segment that this try made; its number is counted from the chunk's beginning, if any."""
        place = f"{number:05}" if chunk is None else f"{chunk:04}-{number:03}"
        return self.key(f"hls/{quality}/{place}-{self._try}.m4s")

    def part(self, name: str) -> str:
        """Return the key for something that only a later task of the run needs; `remove_parts` takes it away."""
        stem, _, suffix = name.rpartition(".")
        return self.key(f"parts/{stem}-{self._try}.{suffix}")

    async def keep(
        self, moves: Sequence[tuple[str, Path]], *, on_progress: Callable[[float], None] | None = None
    ) -> None:
        """Move files into the store; when this returns all are whole and durable.

        Args:
            moves: key and file of each.
            on_progress: called with 0 … 100.

        Raises:
            StorageFull, StorageUnavailable: some could not be stored, after several tries.

        """
        waiting = iter(moves)
        done = 0

        async def mover() -> None:
            nonlocal done
            for key, path in waiting:
                await patiently(lambda key=key, path=path: self._store.move_file(key, path))  # type: ignore[misc]
                crashpoints.reached("storing")
                done += 1
                if on_progress:
                    on_progress(100 * done / len(moves))

        if moves:
            await together(*(mover() for _ in range(min(_AT_ONCE, len(moves)))))

    async def fetch(self, key: str, folder: Path) -> Path:
        """Return a file that holds an object: its own, or a copy in `folder`.

        Raises:
            ObjectMissing: there is none.
            StorageFull, StorageUnavailable: it can't be had at the moment.

        """
        local = self._store.local_path(key)
        if local is not None:
            return local
        copy = folder / key.rpartition("/")[2]
        await patiently(lambda: self._store.download(key, copy))
        return copy

    async def remove_parts(self) -> None:
        """Remove what only the run's own tasks needed."""
        await patiently(lambda: self._store.delete_prefix(self.key("parts")))


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call, and call again a few times if what is needed is away for the moment.

    Raises:
        Unavailable: it stays away.

    """
    for pause in _PAUSES:
        with contextlib.suppress(Unavailable):
            return await call()
        await asyncio.sleep(pause)
    return await call()
