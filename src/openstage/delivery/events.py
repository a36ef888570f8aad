"""How a work stands, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from openstage.delivery.models import mark_of
from openstage.delivery.standing import Standing, Standings

BEAT: Final = 15.0
"""Seconds after which a comment is sent, so that proxies don't take the connection for dead."""
LONGEST: Final = 600.0
"""Seconds after which a connection is ended; browsers come back by themselves."""
MOST_LISTENERS: Final = 5000
"""Connections of one server; pages that get none ask now and then instead."""
RETRY: Final = 2000
"""Milliseconds after which a browser whose connection broke comes back."""
_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx would hold events back to fill its buffers
    "X-Content-Type-Options": "nosniff",
}
_GONE: Final = {"stage": "gone"}
Admits = Callable[[Request, str], Awaitable[bool]]
"""Tells whether who asks may see the work of a slug, which isn't public."""


async def nobody(_: Request, __: str) -> bool:
    """Let nobody see what isn't public."""
    return False


class Events:
    """Answers `/w/<slug>/events`."""

    def __init__(
        self, standings: Standings, *, admits: Admits = nobody, beat: float = BEAT, most: int = MOST_LISTENERS
    ) -> None:
        """Take who tells how works stand, and who may hear it, the heartbeat's pace, and the limit of connections."""
        self._standings = standings
        self._admits = admits
        self._beat = beat
        self._most = most

    async def events(self, request: Request) -> Response:
        """Send how a work stands whenever that changes, until it is settled.

        404 for what isn't there; 503 where too many listen already; 204, which makes browsers stop asking, where
        nothing has changed since the last event they saw and nothing will.

        Raises:
            Unavailable: the database is away.

        """
        slug = request.path_params["slug"]
        standing = await self._standings.now(slug)
        if standing is None or not await self._may_hear(request, slug, standing):
            return JSONResponse(_GONE, 404, headers={"Cache-Control": "no-store"})
        if standing.settled and request.headers.get("last-event-id") == _id(standing):
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        if self._standings.listeners >= self._most:
            return JSONResponse(
                {"code": "delivery.too_many_listeners"}, 503, headers={"Cache-Control": "no-store", "Retry-After": "30"}
            )
        changes = self._standings.changes(slug, standing, beat=self._beat)
        return _EventStream(changes, lambda standing: self._may_hear(request, slug, standing))

    async def _may_hear(self, request: Request, slug: str, standing: Standing) -> bool:
        return standing.access == "public" or await self._admits(request, slug)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/w/{slug}/events", self.events, methods=["GET"])]


class _EventStream(Response):
    """The reply: an event for each change, comments in between."""

    def __init__(
        self, changes: AsyncGenerator[Standing | None, None], may_hear: Callable[[Standing], Awaitable[bool]]
    ) -> None:
        super().__init__()
        self._changes = changes
        self._may_hear = may_hear

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the work is settled or the client is gone."""
        seen = Headers(scope=scope).get("last-event-id")
        headers = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        sending = asyncio.create_task(self._send(send, seen))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, timeout=LONGEST, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
        finally:
            for task in (sending, gone):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, seen: str | None) -> None:
        await send(_piece(f"retry: {RETRY}\n\n".encode()))
        async with aclosing(self._changes) as changes:
            async for standing in changes:
                if standing is None:
                    await send(_piece(b": still here\n\n"))
                elif not await self._may_hear(standing):
                    await send(_piece(b'data: {"stage":"gone"}\n\n'))
                    return
                elif _id(standing) != seen:
                    await send(_piece(b"id: %b\ndata: %b\n\n" % (_id(standing).encode(), standing.message)))


def _id(standing: Standing) -> str:
    return mark_of(standing.message.decode())


def _piece(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
