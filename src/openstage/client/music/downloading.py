"""Downloading what was bought: in pieces, going on where an earlier run stopped, checked against its digest."""

import filecmp
import functools
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openstage.client.errors import ProtocolError
from openstage.client.exchange import Exchange
from openstage.client.music import wire
from openstage.client.music.errors import DownloadError
from openstage.client.music.models import Progress
from openstage.client.music.wire import Piece

PIECE: Final = 4 * 1024**2
FRESH_ADDRESSES: Final = 20
"""Addresses live for minutes; so often one may run out during a download."""
FALLBACK_NAME: Final = "purchase"


@dataclass(slots=True)
class _Partial:
    """What is on the disk of a download: the bytes, and beside them which file they are of."""

    path: Path
    etag: str = ""
    total: int = 0
    received: int = 0

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def load(self) -> None:
        try:
            noted = json.loads(self.note.read_text())
            etag, total, size = str(noted["etag"]), int(noted["total"]), self.path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return
        if etag and 0 < size <= total:
            self.etag, self.total, self.received = etag, total, size

    def write(self, piece: Piece) -> None:
        """Add a piece, or begin anew where it is the beginning of another file."""
        mode = "ab" if piece.start == self.received and piece.start else "wb"
        if mode == "wb" and piece.start:
            raise ProtocolError("download: the server sent another range than was asked for")
        with self.path.open(mode) as out:
            out.write(piece.content)
        if (piece.etag, piece.total) != (self.etag, self.total):
            self.etag, self.total = piece.etag, piece.total
            self.note.write_text(json.dumps({"etag": self.etag, "total": self.total}))
        self.received = piece.start + len(piece.content)

    def forget(self) -> None:
        for path in (self.path, self.note):
            path.unlink(missing_ok=True)
        self.etag, self.total, self.received = "", 0, 0

    def sha256(self) -> str:
        with self.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()


class Download:
    """One download to a file or into a folder."""

    def __init__(
        self,
        exchange: Exchange,
        purchase_id: int,
        target: Path,
        *,
        address: Callable[[], Awaitable[str]],
        sha256: str,
        on_progress: Callable[[Progress], None] | None,
        piece: int = PIECE,
    ) -> None:
        """Prepare; nothing is asked yet. `address` gives a fresh address; `sha256` is empty where it is unknown."""
        self._exchange = exchange
        self._purchase_id = purchase_id
        self._target = target
        self._into_folder = target.is_dir()
        self._address = address
        self._sha256 = sha256
        self._on_progress = on_progress
        self._piece = piece
        self._url = ""
        self._fresh = 0
        self._name = ""

    async def run(self) -> Path:
        """Download; returns where the file is.

        Raises:
            DownloadError: what came is not what was bought, twice.
            ClientError: it could not be fetched.
            OSError: it could not be written; what has come stays for the next run.

        """
        aside = self._exchange.transport.aside
        partial = _Partial(self._partial_path())
        await aside(partial.load)
        for _ in range(2):
            await self._fetch(partial)
            if not self._sha256 or await aside(partial.sha256) == self._sha256:
                return await aside(functools.partial(self._finish, partial))
            await aside(partial.forget)
        raise DownloadError(
            f"the file of purchase {self._purchase_id} has another SHA-256 than the {self._sha256} that was bought"
        )

    async def _fetch(self, partial: _Partial) -> None:
        resumed = partial.received
        while True:
            piece = await self._next(partial)
            if piece.start not in {0, partial.received} or (piece.start == 0 and partial.received):
                resumed = 0  # another file, or a server without ranges: from the beginning
            await self._exchange.transport.aside(functools.partial(partial.write, piece))
            if self._on_progress:
                self._on_progress(Progress(partial.total, partial.received, resumed))
            if partial.received >= partial.total:
                return
            if not piece.content:
                raise ProtocolError(f"download of purchase {self._purchase_id}: the server sent an empty piece")

    async def _next(self, partial: _Partial) -> Piece:
        while True:
            if not self._url:
                self._url, self._fresh = await self._address(), self._fresh + 1
            request = wire.piece_request(self._url, partial.received, self._piece, partial.etag)
            answer = await self._exchange.send(request, wire.read_piece)
            if isinstance(answer, Piece):
                self._name = self._name or answer.name
                return answer
            if self._fresh >= FRESH_ADDRESSES:
                raise ProtocolError(
                    f"download of purchase {self._purchase_id}: the server refuses its own fresh address "
                    f"(HTTP {answer.status})"
                )
            self._url = ""

    def _partial_path(self) -> Path:
        folder = self._target if self._into_folder else self._target.parent
        name = FALLBACK_NAME if self._into_folder else self._target.name
        return folder / f".{name}.{self._purchase_id}.part"

    def _finish(self, partial: _Partial) -> Path:
        with partial.path.open("rb") as content:
            os.fsync(content.fileno())
        target = self._folder_target(partial) if self._into_folder else self._target
        partial.path.replace(target)
        partial.note.unlink(missing_ok=True)
        return target

    def _folder_target(self, partial: _Partial) -> Path:
        """Choose a name in the folder: the server's, with the purchase's number where another file has it already."""
        named = self._target / (self._name or f"{FALLBACK_NAME}-{self._purchase_id}")
        if named.exists() and not filecmp.cmp(named, partial.path, shallow=False):
            return named.with_name(f"{named.stem} ({self._purchase_id}){named.suffix}")
        return named
