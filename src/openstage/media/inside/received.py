"""A file of which only parts have arrived: what hasn't is as if it were behind the end."""

import os
from collections.abc import Sequence


class ReceivedFile:
    """Reads what has arrived and never a byte of what hasn't; what `av.open` takes in place of a path.

    Args:
        path: the staging file.
        size: bytes that it will have.
        ranges: stretches (begin, end) that have arrived, sorted.

    """

    def __init__(self, path: str, size: int, ranges: Sequence[Sequence[int]]) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = size
        self.ranges = ranges
        self.at = 0

    def read(self, count: int = -1) -> bytes:
        """The next bytes, as many as are there up to the next gap; none at a gap or at the end."""
        end = next((end for begin, end in self.ranges if begin <= self.at < end), self.at)
        most = end - self.at if count < 0 else min(count, end - self.at)
        content = os.pread(self.descriptor, most, self.at) if most else b""
        self.at += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; as files do."""
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        return self.at

    def tell(self) -> int:
        """The place."""
        return self.at

    def seekable(self) -> bool:
        """Whether `seek` works."""
        return True
