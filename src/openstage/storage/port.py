"""What an object store is to the rest of the house.

An object is a run of bytes under a key such as `works/<file_id>/<run>/mp4/1.mp4`. Objects are immutable: a new
version gets a new key, so a reader never meets half of one and half of another.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path

from openstage.storage.errors import InvalidKey

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
LONGEST_KEY = 900
"""S3 takes 1,024 bytes; the store's own prefix needs some of them."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What is known of an object without reading it.

    Attributes:
        size: bytes.
        etag: changes whenever the bytes do (RFC 9110, 8.8.3); without quotes.

    """

    size: int
    etag: str


def check_key(key: str) -> str:
    """Return `key` if it is one of ours: parts of `[A-Za-z0-9._-]` joined by `/`, none beginning with a dot.

    Raises:
        InvalidKey: it is not.

    """
    if len(key) > LONGEST_KEY or not all(_PART.fullmatch(part) for part in key.split("/")):
        raise InvalidKey(f"{key[:80]!r} is not an object key.")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` without a slash at its end; the empty prefix holds everything.

    Raises:
        InvalidKey: it is neither empty nor the beginning of a key up to a slash.

    """
    return check_key(prefix.removesuffix("/")) if prefix else ""


class ObjectStore(ABC):
    """Where originals, segments, mp4 files and pictures live.

    Each call but `local_path` may raise `StorageUnavailable`, and `InvalidKey` for a key that is not one of ours.
    """

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the store is, for people; holds no secrets."""

    @abstractmethod
    async def put(self, key: str, data: bytes) -> None:
        """Store `data`: when this returns the object is whole and durable; if it raises there is none, or the old one.

        Raises:
            StorageFull: there is no room for it.

        """

    @abstractmethod
    async def put_file(self, key: str, path: Path) -> None:
        """Store a copy of the file at `path`, as `put` does, in bounded memory.

        Raises:
            StorageFull: there is no room for it.
            OSError: the file can't be read.

        """

    @abstractmethod
    async def move_file(self, key: str, path: Path) -> None:
        """Store the file at `path` and remove it there: a rename where both are on one disk, else a copy.

        Raises:
            StorageFull: there is no room for it; the file is still at `path`.
            OSError: the file can't be read.

        """

    @abstractmethod
    async def get(self, key: str) -> bytes:
        """Read a small object whole.

        Raises:
            ObjectMissing: there is none.

        """

    @abstractmethod
    async def stat(self, key: str) -> ObjectStat:
        """Tell an object's size and etag.

        Raises:
            ObjectMissing: there is none.

        """

    @abstractmethod
    async def read(self, key: str, start: int, length: int) -> bytes:
        """Read `length` bytes from `start`; fewer where the object ends before.

        Raises:
            ObjectMissing: there is none.

        """

    @abstractmethod
    def stream(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Read `length` bytes from `start` in pieces, in bounded memory; close it to stop early.

        Raises:
            ObjectMissing: there is none, or it ended before `length` bytes.

        """

    @abstractmethod
    def local_path(self, key: str) -> Path | None:
        """Tell the object's file where the store is a folder of this machine, else None. It need not exist."""

    @abstractmethod
    async def download(self, key: str, path: Path) -> None:
        """Write a copy of the object to the file at `path`, replacing it whole or not at all.

        Raises:
            ObjectMissing: there is none.
            StorageFull: there is no room at `path`.

        """

    @abstractmethod
    async def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are missing are no error."""

    @abstractmethod
    async def delete_prefix(self, prefix: str) -> None:
        """Remove all objects whose keys begin with `prefix` and a slash. The empty prefix is refused."""

    @abstractmethod
    async def list(self, prefix: str = "") -> list[str]:
        """List, sorted, the keys that begin with `prefix` and a slash; all keys without one."""

    @abstractmethod
    async def check(self) -> None:
        """Make sure that the store answers, cheaply.

        Raises:
            StorageUnavailable: it doesn't; the message says why.

        """
