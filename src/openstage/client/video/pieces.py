"""Pieces of a file as request bodies."""

import hashlib
import os
from collections.abc import Callable, Iterator

from openstage.client.source import CHUNK, Source


class Piece:
    """A range of a source as a request body, hashed on its way (see `wire.Body`)."""

    def __init__(self, source: Source, start: int, end: int, on_sent: Callable[[int], None]) -> None:
        self.source = source
        self.start = start
        self.end = end
        self._on_sent = on_sent
        self._sent = 0
        self._digest = hashlib.md5(usedforsecurity=False)

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.end - self.start

    @property
    def md5(self) -> str:
        """Hex MD5 of what has been given since `chunks` began."""
        return self._digest.hexdigest()

    @property
    def in_flight(self) -> int:
        """Bytes reported as sent and not taken back."""
        return self._sent

    def chunks(self) -> Iterator[bytes]:
        """Begin (anew) and give the bytes."""
        self.take_back()
        self._digest = digest = hashlib.md5(usedforsecurity=False)
        for position in range(self.start, self.end, CHUNK):
            chunk = self.source.read(position, min(CHUNK, self.end - position))
            digest.update(chunk)
            yield chunk

    def sent(self, count: int) -> None:
        """Report bytes that went out."""
        self._sent += count
        self._on_sent(count)

    def take_back(self) -> None:
        """Report that what went out counts no more: it was lost, or it is acknowledged and counted elsewhere."""
        if self._sent:
            self._on_sent(-self._sent)
        self._sent = 0


class MultipartPiece:
    """A piece framed as the document has it: one part called `file` of a `multipart/form-data` body."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        boundary = os.urandom(16).hex()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="file"; filename="piece"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    @property
    def length(self) -> int:
        """Number of bytes, framing included."""
        return len(self._head) + self.piece.length + len(self._tail)

    def chunks(self) -> Iterator[bytes]:
        """Begin (anew) and give the bytes."""
        chunks = self.piece.chunks()
        yield self._head + next(chunks)
        yield from chunks
        yield self._tail

    def sent(self, count: int) -> None:
        """Report bytes that went out, without the framing."""
        room = self.piece.length - self.piece.in_flight
        self.piece.sent(min(count, room))
