"""Originals: from the staging file into the object store, once, whatever is killed in between; and back to workers."""

import asyncio
import errno
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from openstage.database.engine import Database
from openstage.publishing import crashpoints
from openstage.publishing.errors import Elsewhere, OriginalLost
from openstage.publishing.objects import patiently
from openstage.storage.errors import ObjectMissing
from openstage.storage.objects import ObjectStore
from openstage.storage.space import require_space

_CACHED: Final = 2
"""Originals of other places that a worker keeps while it works on them: one task follows the other of the same work."""
_NO_LINKS: Final = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES}


def original_key(file_id: str) -> str:
    """Return the object of a work's original."""
    return f"works/{file_id}/original"


class Originals:
    """Finds and keeps originals."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        staging_path: Callable[[str], Path],
        *,
        node: str,
        cache: Path,
        min_free: int,
    ) -> None:
        """Prepare.

        Args:
            database: knows which originals are stored.
            store: where they go.
            staging_path: where they are before.
            node: the address at which this machine receives uploads.
            cache: a folder of this process for copies of originals whose store is elsewhere.
            min_free: bytes that such copies leave free.

        """
        self._database = database
        self._store = store
        self._staging_path = staging_path
        self._node = node
        self._cache = cache
        self._min_free = min_free
        self._fetching: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def source(self, file_id: str, folder: Path) -> Path:
        """Return a file that holds the original and stays as long as `folder`, whatever is moved or purged meanwhile.

        Args:
            file_id: the work's.
            folder: an empty folder of the task, on the disk of the staging files if links are to be made; no tool may
                write to it.

        Raises:
            Elsewhere: it lies on another machine.
            OriginalLost: there is none.
            StorageFull: there is no room for a copy.

        """
        link = folder / "original"
        if link.exists():
            return link
        if found := _link(self._staging_path(file_id), link):
            return found
        key = original_key(file_id)
        try:
            stat = await patiently(lambda: self._store.stat(key))
        except ObjectMissing as error:
            raise await self._missing(file_id) from error
        local = self._store.local_path(key)
        if local is not None:
            if found := _link(local, link):
                return found
            raise OriginalLost
        cached = await self._cached(file_id, key, stat.size)
        return _link(cached, link) or cached

    def staging(self, file_id: str) -> Path:
        """Return where the bytes of an upload lie until its original is stored."""
        return self._staging_path(file_id)

    async def keep(self, file_id: str) -> None:
        """Move the original into the object store if it isn't there yet; the staging file goes once it is whole there.

        Raises:
            Elsewhere: it lies on another machine.
            OriginalLost: there is none.

        """
        staging = self._staging_path(file_id)
        if staging.exists():
            await patiently(lambda: self._store.move_file(original_key(file_id), staging))
        else:
            try:
                await self._store.stat(original_key(file_id))
            except ObjectMissing as error:
                raise await self._missing(file_id) from error
        crashpoints.reached("original-moved")
        async with self._database.connection() as connection:
            await connection.execute("update upload set stored = true where file_id = %s and not stored", (file_id,))
        crashpoints.reached("original-recorded")

    async def _cached(self, file_id: str, key: str, size: int) -> Path:
        """Return this worker's copy of an object of another place; the oldest copy gives way to a new one."""
        path = self._cache / file_id
        lock = self._fetching.setdefault(file_id, asyncio.Lock())
        async with lock:
            if not path.exists():
                self._cache.mkdir(parents=True, exist_ok=True)
                others = sorted(self._cache.iterdir(), key=lambda file: file.stat().st_mtime)
                for old in others[: max(len(others) - _CACHED + 1, 0)]:
                    # Tasks that read it have links of their own.
                    await asyncio.to_thread(old.unlink, missing_ok=True)
                require_space(self._cache, size, reserve=self._min_free)
                await patiently(lambda: self._store.download(key, path))
            os.utime(path)
        return path

    async def _missing(self, file_id: str) -> Elsewhere | OriginalLost:
        """Tell a file that another machine has from one that is lost."""
        async with self._database.connection() as connection:
            row = await (
                await connection.execute("select node from upload where file_id = %s and not stored", (file_id,))
            ).fetchone()
        return OriginalLost() if row is None or row[0] == self._node else Elsewhere(row[0])


def _link(path: Path, link: Path) -> Path | None:
    """Give `path` a second name; where the disks differ, the file itself; None if there is no such file."""
    try:
        os.link(path, link, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except FileExistsError:  # another part of the same task was quicker
        return link
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return path if path.exists() else None
    return link
