"""Bodies of uploads as they arrive: told apart by content, cut into parts, never held whole in memory."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import ClientDisconnect, Request

from openstage.deadlines import Within
from openstage.dialects.multipart import Event, MultipartScanner, PartBegin, PartEnd, declared_boundary
from openstage.uploads.errors import SenderSilent
from openstage.uploads.staging import Buffer

SNIFFED: Final = 512
"""Bytes that tell a multipart body from a raw one."""


class Body:
    """The body of one request."""

    def __init__(self, request: Request, *, silence: float) -> None:
        """Prepare; nothing is read yet. `silence` in seconds: how long the sender may pause."""
        self.content_type = request.headers.get("content-type", "").strip()
        length = request.headers.get("content-length", "")
        self.length = int(length) if length.isascii() and length.isdigit() else None
        """Content-Length, if there is one."""
        self._expects = "100-continue" in request.headers.get("expect", "").lower()
        self._receive = request.receive
        self._silence = silence
        self._peeked = b""
        self._begun = False
        self._ended = False

    async def next_chunk(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            SenderSilent: the sender has paused for too long.
            ClientDisconnect: it went away before the end.

        """
        if self._peeked:
            chunk, self._peeked = self._peeked, b""
            return chunk
        while not self._ended:
            self._begun = True
            try:
                with Within(self._silence):
                    message = await self._receive()
            except TimeoutError as error:
                self._ended = True
                raise SenderSilent(
                    f"Nothing came for {self._silence:g} s: what this request brought is dropped; send it again."
                ) from error
            if message["type"] != "http.request":
                self._ended = True
                raise ClientDisconnect
            self._ended = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                return bytes(chunk)
        return b""

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Yield the body as it arrives."""
        while chunk := await self.next_chunk():
            yield chunk

    async def peek(self) -> bytes:
        """Return the first bytes without taking them: `SNIFFED` of them, or all there are."""
        head = await self.next_chunk()
        while len(head) < SNIFFED and (more := await self.next_chunk()):
            head += more
        self._peeked = head
        return head

    async def read(self, limit: int) -> bytes | None:
        """Return the whole body, or None if it is longer than `limit` bytes."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                return None
        return bytes(body)

    async def drain(self, limit: int) -> None:
        """Read and forget the rest, up to `limit` bytes: a client that still sends would not see the reply."""
        if self._expects and not self._begun:
            return
        try:
            while limit > 0 and (chunk := await self.next_chunk()):
                limit -= len(chunk)
        except (SenderSilent, ClientDisconnect):
            return

    async def looks_multipart(self) -> bool:
        """Whether the content is multipart/form-data: a boundary line comes first, or soon if it is declared."""
        head = (await self.peek()).lstrip(b"\r\n")
        declared = self.content_type.lower().startswith("multipart/")
        if not head.startswith(b"--"):
            boundary = declared_boundary(self.content_type) if declared else None
            return boundary is not None and b"\n--" + boundary in head
        rest = head.partition(b"\n")[2]
        return declared or b"content-disposition" in rest.lower() or not rest.strip()


class MultipartBody:
    """The parts of a multipart body, one after another, each to be read to its end before the next."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._scanner = MultipartScanner(declared_boundary(body.content_type))
        self._events = self._scan()

    async def next_part(self) -> PartBegin | None:
        """Begin the next part; None after the last."""
        async for event in self._events:
            if isinstance(event, PartBegin):
                return event
        return None

    async def content(self, at_least: int = 0) -> AsyncIterator[Buffer]:
        """Yield the content of the part that has begun, which must have `at_least` so many bytes."""
        self._scanner.expect(at_least)
        async for event in self._events:
            if isinstance(event, PartEnd):
                return
            if isinstance(event, memoryview):
                yield event

    async def text(self, limit: int) -> bytes:
        """Return the content of the part that has begun, cut off at `limit` bytes."""
        value = bytearray()
        async for stretch in self.content():
            value += stretch[: limit - len(value)]
        return bytes(value)

    async def _scan(self) -> AsyncIterator[Event]:
        while chunk := await self._body.next_chunk():
            for event in self._scanner.feed(chunk):
                yield event
        self._scanner.close()
