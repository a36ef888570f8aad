"""Folders in which media tools write, removed whatever happens to the worker.

Each worker process has one folder, locked as long as the process lives (`flock`: the lock ends with the process,
`kill -9` included). A folder that nobody holds is a dead worker's: any other removes it and tells the queue at once
that this worker's jobs are free.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from openstage.errors import Unavailable

_LOCK = "lock"
_BIRTH_SECONDS = 600


class Scratch:
    """The scratch folder of one worker process."""

    def __init__(self, root: Path) -> None:
        """Make and lock a folder below `root`.

        Raises:
            Unavailable: it can't be made.

        """
        self._root = root
        name = secrets.token_hex(8)
        self.folder = root / name
        unlocked = root / f".{name}"
        try:
            unlocked.mkdir(parents=True)
            self._lock = os.open(unlocked / _LOCK, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Only now may others see it: a folder without a lock is taken for a dead worker's.
            unlocked.rename(self.folder)
        except OSError as error:
            raise Unavailable(f"The scratch folder {root} can't be written: {error.strerror}.") from error
        self._noted: set[int] = set()

    def note_worker(self, worker_id: int) -> None:
        """Write down under which number the queue knows this process."""
        if worker_id not in self._noted:
            os.write(self._lock, f"{worker_id}\n".encode())
            self._noted.add(worker_id)

    @contextlib.contextmanager
    def job_folder(self, name: str) -> Iterator[Path]:
        """Give a fresh folder to one job and remove it with all that is in it when the block ends."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder and give up its lock."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def remove_dead(self) -> list[int]:
        """Remove the folders of dead workers.

        Returns:
            The numbers under which the queue knew them.

        """
        dead: list[int] = []
        for folder in self._root.iterdir():
            if folder.name.startswith("."):
                _remove_if_old(folder)
            elif folder != self.folder:
                dead += _remove_if_dead(folder)
        return dead


def _remove_if_dead(folder: Path) -> list[int]:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        # Its owner, or another who found it dead, is removing it just now, or was killed while it did.
        _remove_if_old(folder)
        return []
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        numbers = [int(line) for line in os.read(lock, 65536).split()]
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return []
    finally:
        os.close(lock)
    return numbers


def _remove_if_old(folder: Path) -> None:
    """Remove what a worker left that died while it made its folder or removed one."""
    with contextlib.suppress(OSError):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _BIRTH_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
