"""What the video dialect does with the content of a piece beside streaming it."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

from openstage.storage.space import require_space
from openstage.uploads.errors import BadPiece
from openstage.uploads.staging import Buffer, disk_errors

SPOOL_CHUNK: Final = 1024**2


async def without_line_end(content: AsyncIterator[Buffer], longest: int) -> AsyncIterator[Buffer]:
    """Pass a part's content on, without the CRLF that one client adds beyond the `longest` its range allows.

    Raises:
        BadPiece: it is longer in any other way.

    """
    passed = 0
    excess = b""
    async for stretch in content:
        room = longest - passed
        kept = stretch[:room] if len(stretch) > room else stretch
        passed += len(kept)
        if len(kept) < len(stretch):
            excess += bytes(stretch[room : room + 3])
            if not b"\r\n".startswith(excess):
                raise BadPiece("The piece is longer than its range.")
        if kept:
            yield kept
    if excess not in {b"", b"\r\n"}:
        raise BadPiece("The piece is longer than its range.")


class Spool:
    """A piece that had to be put aside, because the parameters that say where it belongs come after it.

    It has no name on the disk, so nothing of it outlives the request, whatever happens.
    """

    def __init__(self, folder: Path, *, limit: int, reserve: int) -> None:
        """Prepare a spool in `folder` for `limit` bytes at most, that leaves `reserve` bytes of the disk free."""
        self._folder = folder
        self._limit = limit
        self._reserve = reserve
        self._file: IO[bytes] | None = None
        self._length = 0

    async def fill(self, content: AsyncIterator[Buffer]) -> None:
        """Put content aside.

        Raises:
            BadPiece: it is longer than any piece may be.
            StorageFull: the disk has no room for it.

        """
        await asyncio.to_thread(self._open)
        async for stretch in content:
            self._length += len(stretch)
            if self._length > self._limit:
                raise BadPiece(f"A piece may have up to {self._limit} bytes.")
            await asyncio.to_thread(self._write, stretch)

    async def content(self) -> AsyncIterator[Buffer]:
        """Yield what was put aside."""
        if self._file is None:
            return
        await asyncio.to_thread(self._file.seek, 0)
        while chunk := await asyncio.to_thread(self._file.read, SPOOL_CHUNK):
            yield chunk

    def close(self) -> None:
        """Give the disk space back."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what is still buffered may not fit; nobody wants it any more
                self._file.close()

    def _open(self) -> None:
        with disk_errors():
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` is for that

    def _write(self, stretch: Buffer) -> None:
        assert self._file is not None  # `fill` opens it first
        require_space(self._folder, len(stretch), reserve=self._reserve)
        with disk_errors():
            self._file.write(stretch)
