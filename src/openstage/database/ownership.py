"""One owner per data folder: locks that the kernel drops with the process that holds them.

`run/owner.lock` is held exclusively by the owner (a server, or a command that started the embedded database for itself)
and says who that is. `run/users.lock` is held shared by processes that use the owner's database; a command takes it
exclusively before it stops the database, so it never pulls it from under another command.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from openstage.database.account import give_as_around, make_folder
from openstage.database.errors import DataFolderBusy, DataFolderUnusable

Role = Literal["serve", "command"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a data folder."""

    pid: int
    role: Role
    """`serve` holds it until it is told to stop; a `command` for as long as it works."""
    since: str
    """When it took the folder, ISO 8601 with an offset."""
    embedded: bool
    """Whether it runs, or is about to run, the folder's embedded database."""

    def __str__(self) -> str:
        since = dt.datetime.fromisoformat(self.since).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        what = "openstage serve" if self.role == "serve" else "another openstage command"
        return f"{what} (pid {self.pid}, since {since})"


def prepare_folder(folder: Path) -> None:
    """Make the data folder, closed to other users, and `run` in it.

    Raises:
        DataFolderUnusable: it can't be made or written to.

    """
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_folder(folder / "run", mode=0o711)  # PostgreSQL may pass through to its socket
        probe = folder / "run" / f"probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataFolderUnusable(
            f"The data folder {folder} can't be written to: {error.strerror}. Set OPENSTAGE_DATA to one that can."
        ) from error


class Lock:
    """An advisory lock on a file (flock(2)). Dropped by `release` or by the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def take(self, *, shared: bool = False) -> bool:
        """Try to take it at once.

        Returns:
            Whether it is held now.

        """
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            give_as_around(self.path)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Drop it; harmless if it isn't held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def write(self, text: str) -> None:
        """Replace the file's content (by its holder)."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)


class DataFolder:
    """The locks of one data folder, as seen from this process."""

    def __init__(self, folder: Path) -> None:
        """Prepare the folder; nothing is locked yet.

        Raises:
            DataFolderUnusable: it can't be made or written to.

        """
        prepare_folder(folder)
        self.folder = folder
        self._owner = Lock(folder / "run" / "owner.lock")
        self.users = Lock(folder / "run" / "users.lock")

    def owner(self) -> Owner | None:
        """Read who holds the folder, or held it last; None if nobody ever did."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Owner(**json.loads((self.folder / "run" / "owner.lock").read_text()))
        return None

    def try_own(self, role: Role, *, embedded: bool) -> bool:
        """Become the owner if nobody is.

        Returns:
            Whether this process owns the folder now.

        """
        if not self._owner.take():
            return False
        since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._owner.write(json.dumps(asdict(Owner(os.getpid(), role, since, embedded))))
        return True

    def own(self, role: Role, *, embedded: bool, patience: float = 15.0) -> None:
        """Become the owner, waiting for commands that hold the folder for a short while.

        Args:
            role: what for.
            embedded: whether the embedded database will run.
            patience: seconds to wait for a command; a server is not waited for.

        Raises:
            DataFolderBusy: the folder is held, by whom is in the message.

        """
        deadline = time.monotonic() + patience
        while not self.try_own(role, embedded=embedded):
            owner = self.owner()
            # A holder that has just got the lock may not have written its name yet: look again before judging.
            if (owner is not None and owner.role == "serve" and _alive(owner.pid)) or time.monotonic() > deadline:
                who = str(owner) if owner else "another process"
                raise DataFolderBusy(
                    f"The data folder {self.folder} is in use by {who}. "
                    "Stop that one, or choose another folder with OPENSTAGE_DATA."
                )
            time.sleep(0.05)

    def disown(self) -> None:
        """Let others own the folder."""
        self._owner.release()


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
