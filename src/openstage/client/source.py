"""The file that is uploaded: read piecemeal, never whole, and recognised again by what it is."""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from openstage.client.errors import ClientError

CHUNK = 512 * 1024
"""Bytes read at once, so what one piece in flight costs in memory."""
SAMPLE = 64 * 1024
"""Bytes at either end of a file that tell it from another of the same size and time."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Tells whether a file is still the one that an upload was begun with."""

    size: int
    modified_ns: int
    digest: str
    """SHA-256 of the first and the last 64 KiB."""


class Source:
    """A file to upload: a path, or a seekable binary file object, which is sent from where it stands to its end.

    Safe for threads: a lock keeps seeking and reading together.

    Args:
        origin: path or file object.

    Raises:
        OSError: there is no such file, or it can't be read.
        ValueError: the file is empty, opened as text, or can't seek.

    """

    def __init__(self, origin: str | os.PathLike[str] | BinaryIO) -> None:
        self.path: Path | None = None
        self._file: IO[Any]
        if isinstance(origin, str | os.PathLike):
            self.path = Path(origin).absolute()
            self._file = self.path.open("rb")
            self.name = str(self.path)
        else:
            self._file = origin
            self.name = str(getattr(origin, "name", "") or "")
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._offset, self.size = self._measure()
        except BaseException:
            self.close()
            raise

    def _measure(self) -> tuple[int, int]:
        if not self._file.seekable() or isinstance(self._file.read(0), str):
            raise ValueError("an upload needs a path or a seekable file opened in binary mode")
        offset = 0 if self.path else self._file.tell()
        size = self._file.seek(0, os.SEEK_END) - offset
        if size <= 0:
            raise ValueError(f"the file is empty: {self.name or 'file object'}")
        return offset, size

    @property
    def file_type(self) -> str:
        """The name's extension, such as `mp4`; empty if there is none that a header can carry."""
        suffix = Path(self.name).suffix[1:].lower() if self.name else ""
        return suffix if suffix.isascii() and suffix.isalnum() else ""

    def identity(self) -> Identity:
        """Look at size, time and both ends of the file as it is now."""
        head = self.read(0, min(SAMPLE, self.size))
        tail_start = max(0, self.size - SAMPLE)
        tail = self.read(tail_start, self.size - tail_start)
        return Identity(self.size, self._modified_ns(), hashlib.sha256(head + tail).hexdigest())

    def changed(self, since: Identity) -> bool:
        """Whether the file was written to since `since`."""
        with self._lock:
            size = self._file.seek(0, os.SEEK_END) - self._offset
        return size != since.size or self._modified_ns() != since.modified_ns

    def _modified_ns(self) -> int:
        try:
            return os.fstat(self._file.fileno()).st_mtime_ns
        except (OSError, AttributeError):
            return 0  # a file object without a file behind it

    def read(self, start: int, length: int) -> bytes:
        """Read exactly `length` bytes at `start`.

        Raises:
            ClientError: the file has become shorter.
            OSError: the disk failed.

        """
        with self._lock:
            if self._closed:
                raise ValueError("the upload of this file has ended")
            self._file.seek(self._offset + start)
            content: bytes = self._file.read(length)
        if len(content) != length:
            raise ClientError(f"the file became shorter while it was being uploaded: {self.name or 'file object'}")
        return content

    def close(self) -> None:
        """Close the file, if it was opened here."""
        with self._lock:
            self._closed = True
            if self.path is not None:
                self._file.close()
