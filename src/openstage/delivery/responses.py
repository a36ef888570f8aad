"""Sending objects: whole or by ranges, from any store, in bounded memory."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from openstage.delivery.models import StoredObject
from openstage.delivery.ranges import (
    ByteRange,
    Unsatisfiable,
    not_modified,
    precondition_failed,
    wanted_ranges,
)
from openstage.errors import DomainError
from openstage.observability.logs import get_logger
from openstage.storage.errors import ObjectMissing
from openstage.storage.objects import ObjectStore

log = get_logger("delivery")

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, Accept-Ranges, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
SMALL = 1024**2
"""Bytes that are sent as one message: a change of threads costs as much as to copy so many."""
SEND_TIMEOUT = 120.0
"""A client that takes nothing for so many seconds is let go; players that were paused ask again with a range."""


def object_etag(item: StoredObject) -> str:
    """Make the strong etag of an object, quotes included.

    Keys are never written twice with different bytes (each pipeline run has its own), so a key stands for its
    bytes, the same on every node and after a restore, and without asking the store.
    """
    return f'"{hashlib.sha256(f"{item.key}:{item.byte_size}".encode()).hexdigest()[:32]}"'


class ObjectResponse(Response):
    """The reply to GET or HEAD of an object: 200, 206, 304, 412 or 416 (RFC 9110)."""

    def __init__(
        self,
        store: ObjectStore,
        item: StoredObject,
        *,
        content_type: str,
        caching: str,
        disposition: str = "",
        accel_prefix: str = "",
        send_timeout: float = SEND_TIMEOUT,
    ) -> None:
        """Prepare the reply; nothing is read yet.

        Args:
            store: where the object is.
            item: the object.
            content_type: its media type.
            caching: value of `Cache-Control`.
            disposition: value of `Content-Disposition` (`delivery/naming.py`); empty: none.
            accel_prefix: nginx's internal location of the object folder; empty: send the bytes ourselves.
            send_timeout: seconds; see `SEND_TIMEOUT`.

        """
        super().__init__()
        self._store = store
        self._item = item
        self._etag = object_etag(item)
        self._content_type = content_type
        self._common = {**CORS, "Accept-Ranges": "bytes", "Cache-Control": caching, "ETag": self._etag}
        if disposition:
            self._common["Content-Disposition"] = disposition
        self._accel_prefix = accel_prefix
        self._send_timeout = send_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            ObjectMissing: the object is not in the store.
            StorageUnavailable: the store does not answer.

        """
        headers = Headers(scope=scope)
        size = self._item.byte_size
        if self._accel_prefix and self._store.local_path(self._item.key):
            accel = f"{self._accel_prefix.rstrip('/')}/{self._item.key}"
            await self._empty(send, 200, {"X-Accel-Redirect": accel, "Content-Type": self._content_type})
        elif precondition_failed(headers, self._etag):
            await self._empty(send, 412, {"Content-Length": "0"})
        elif not_modified(headers, self._etag):
            await self._empty(send, 304)
        elif scope["method"] == "HEAD":
            await self._empty(send, 200, {"Content-Type": self._content_type, "Content-Length": str(size)})
        else:
            try:
                ranges = wanted_ranges(headers, self._etag, size)
            except Unsatisfiable:
                await self._empty(send, 416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
                return
            await self._body(ranges, receive, send)

    async def _empty(self, send: Send, status: int, more: Mapping[str, str] | None = None) -> None:
        await send(_start(status, {**self._common, **(more or {})}))
        await send({"type": "http.response.body", "body": b""})

    async def _body(self, ranges: list[ByteRange], receive: Receive, send: Send) -> None:
        parts: list[ByteRange | bytes]
        if len(ranges) > 1:
            parts, more = self._parts(ranges)
        else:
            size = self._item.byte_size
            only = ranges[0] if ranges else ByteRange(0, size)
            parts = [only]
            more = {"Content-Type": self._content_type, "Content-Length": str(only.length)}
            if ranges:
                more["Content-Range"] = only.content_range(size)
            if only.length <= SMALL:
                await self._small(only, _start(206 if ranges else 200, {**self._common, **more}), send)
                return
        async with aclosing(self._pieces(parts)) as pieces:
            # The first bytes are in hand before the status goes out: a store that is away is still a 503.
            first = await anext(pieces)
            await send(_start(206 if ranges else 200, {**self._common, **more}))
            await self._stream(first, int(more["Content-Length"]), pieces, receive, send)

    async def _small(self, only: ByteRange, start: Message, send: Send) -> None:
        """Send what fits into one message: pictures, sound, most segments, many ranges."""
        body = await self._store.read(self._item.key, only.start, only.length)
        if len(body) != only.length:
            raise ObjectMissing(f"The object {self._item.key} is shorter than its record says.")
        await send(start)
        await send({"type": "http.response.body", "body": body})

    def _parts(self, ranges: list[ByteRange]) -> tuple[list[ByteRange | bytes], dict[str, str]]:
        """Lay out a multipart/byteranges body (RFC 9110, 14.6)."""
        boundary = secrets.token_hex(16)
        parts: list[ByteRange | bytes] = []
        for each in ranges:
            head = (
                f"\r\n--{boundary}\r\nContent-Type: {self._content_type}\r\n"
                f"Content-Range: {each.content_range(self._item.byte_size)}\r\n\r\n"
            )
            parts += [head.encode(), each]
        parts.append(f"\r\n--{boundary}--\r\n".encode())
        length = sum(len(part) if isinstance(part, bytes) else part.length for part in parts)
        return parts, {
            "Content-Type": f"multipart/byteranges; boundary={boundary}",
            "Content-Length": str(length),
        }

    async def _pieces(self, parts: list[ByteRange | bytes]) -> AsyncGenerator[bytes, None]:
        for part in parts:
            if isinstance(part, bytes):
                yield part
            else:
                async with aclosing(self._store.stream(self._item.key, part.start, part.length)) as pieces:
                    async for piece in pieces:
                        yield piece

    async def _stream(
        self, piece: bytes, left: int, pieces: AsyncGenerator[bytes, None], receive: Receive, send: Send
    ) -> None:
        """Send piece by piece until the end, or until the client is gone.

        To leave without a last message makes the server close the connection: the client sees that it was cut.
        """
        # granian goes on taking pieces for a client that has hung up, or waits for it: only `receive` tells.
        gone = asyncio.create_task(_disconnected(receive))
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self._send_timeout) as limit:
                hung_up = _expire(limit, clock)
                gone.add_done_callback(hung_up)
                while not gone.done():
                    left -= len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
                    if left <= 0:
                        break
                    piece = await anext(pieces)
                    limit.reschedule(clock() + self._send_timeout)
        except TimeoutError:
            if not gone.done():
                log.info("client stalled", key=self._item.key)
        except DomainError as error:
            log.warning("download broken off", key=self._item.key, reason=error.message)
        finally:
            gone.remove_done_callback(hung_up)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone


def _expire(limit: asyncio.Timeout, clock: Callable[[], float]) -> Callable[[asyncio.Task[None]], None]:
    """Make a callback that lets a time limit run out now."""
    return lambda _: limit.reschedule(clock())


def _start(status: int, headers: Mapping[str, str]) -> Message:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
