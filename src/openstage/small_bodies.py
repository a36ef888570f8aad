"""Bodies of calls, which are small and read whole."""

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from openstage.deadlines import Within


class BodyTooLong(Exception):
    """A body has more bytes than calls of its kind have."""


async def read_whole(receive: Receive, *, longest: int, seconds: float) -> bytes:
    """Return the body of a request.

    Args:
        receive: gives the messages of the request (ASGI).
        longest: bytes that it may have.
        seconds: time in which it must have arrived.

    Raises:
        BodyTooLong: it has more than `longest` bytes; the rest is left unread.
        TimeoutError: it didn't arrive in time.
        ClientDisconnect: the client went away before its end.

    """
    body, more = bytearray(), True
    with Within(seconds):
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > longest:
                raise BodyTooLong
    return bytes(body)
