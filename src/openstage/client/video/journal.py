"""Remembering uploads between runs of the program, in small files of a folder that belongs to the user.

One file per (server, app and user, path): what file it was, its file_id, and what the server has acknowledged. It is
replaced whole after each piece. A lock beside it, held while the upload runs and let go by the kernel when the process
ends in whatever way, keeps two processes from uploading the same file at once.
"""

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType

from openstage.client.source import Identity
from openstage.client.tokens import write_private
from openstage.client.video.errors import UploadBusyError
from openstage.client.video.ranges import Range, merge

logger = logging.getLogger(__name__)

FORGET_AFTER = 30 * 24 * 3600
"""Seconds after which a record that nobody came back to is removed."""


@dataclass(slots=True)
class Record:
    """An upload under way."""

    file_id: str
    upload_url: str
    received: list[Range] = field(default_factory=list)
    """Acknowledged ranges, merged, half-open."""

    def add(self, piece: Range) -> None:
        """Note a piece as acknowledged."""
        self.received = merge([*self.received, piece])


def default_folder() -> Path:
    """Where records are kept unless the caller says otherwise: `$XDG_STATE_HOME` or `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "openstage" / "uploads"


class Journal:
    """The record of one upload; without a folder it remembers nothing and locks nothing.

    Args:
        folder: where records are kept; None: nowhere.
        key: names server, app and user.
        path: the file that is uploaded.

    """

    def __init__(self, folder: Path | None, key: str, path: Path | None) -> None:
        self._identity: Identity | None = None
        self._path = path
        self._lock: int | None = None
        self._file: Path | None = None
        if folder is not None and path is not None:
            name = hashlib.sha256(f"{key}\n{path.resolve()}".encode()).hexdigest()[:32]
            self._file = folder / f"{name}.json"

    def __enter__(self) -> "Journal":
        """Take the lock.

        Raises:
            UploadBusyError: another upload of this file runs.

        """
        if self._file is None:
            return self
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _take(self._lock_file(self._file))
        except BlockingIOError:
            raise UploadBusyError(f"{self._path} is being uploaded to the same server by another process") from None
        except OSError as error:
            logger.warning("This upload can't be resumed later, its record can't be written: %s", error)
            self._file = None
        else:
            _forget_old(self._file.parent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None and self._file is not None:
            if not self._file.exists():
                with contextlib.suppress(OSError):
                    self._lock_file(self._file).unlink()
            os.close(self._lock)
            self._lock = None

    def begin(self, identity: Identity) -> Record | None:
        """Give the upload that an earlier run began with this very file, if there is one."""
        self._identity = identity
        if self._file is None:
            return None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            record = json.loads(self._file.read_bytes())
            if record["identity"] == asdict(identity):
                received = merge((int(start), int(end)) for start, end in record["received"])
                return Record(str(record["file_id"]), str(record["upload_url"]), received)
        return None

    def save(self, upload: Record) -> None:
        """Record how far an upload is."""
        if self._file is None or self._identity is None:
            return
        record = {"path": str(self._path), "identity": asdict(self._identity), **asdict(upload)}
        try:
            write_private(self._file, json.dumps(record, indent=1))
        except OSError as error:  # a full disk here is no reason to stop sending
            logger.warning("This upload can't be resumed later, its record can't be written: %s", error)

    def forget(self) -> None:
        """Remove the record."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    @staticmethod
    def _lock_file(file: Path) -> Path:
        return file.with_suffix(".lock")


def _take(path: Path) -> int:
    """Open and lock a file; BlockingIOError if another has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            if sys.platform == "win32":
                import msvcrt  # noqa: PLC0415 - there is none elsewhere

                try:
                    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                except OSError as error:
                    raise BlockingIOError from error
            else:
                import fcntl  # noqa: PLC0415 - there is none on Windows

                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its former holder removed it between our opening and locking: take the new one


def _forget_old(folder: Path) -> None:
    limit = time.time() - FORGET_AFTER
    for file in folder.glob("*.json"):
        with contextlib.suppress(OSError):
            if file.stat().st_mtime < limit:
                file.unlink()
