"""Around each request: its id, its log line, its metrics.

Plain ASGI, because bodies of gigabytes pass through it.
"""

import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openstage.observability import logs, metrics

_LONGEST_LENGTH = 18
"""Digits of a Content-Length that is read; Python refuses to read thousands of them."""
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# What can be told of a path without telling a token: its first part.
SURFACES = {
    "api": "video", "openupload": "video", "uploadfinish": "video", "cancelupload": "video", "uploadstatus": "video",
    "upload": "upload", "media": "media", "pictures": "media", "w": "pages", "e": "pages", "": "pages", "docs": "pages",
    "static": "pages", "sign-in": "pages", "sign-up": "pages", "sign-out": "pages", "account": "pages",
    "device": "pages", "qr": "pages", "s": "pages", "certificates": "pages", "favicon.ico": "pages",
    "favicon.svg": "pages", "robots.txt": "pages", "oauth": "oauth", ".well-known": "oauth", "healthz": "operation",
    "readyz": "operation", "metrics": "operation", "plus": "music", "audio": "music", "library": "media",
    "karaoke": "karaoke", "test": "karaoke", "play": "media",
}  # fmt: skip


class Observed:
    """ASGI middleware that gives each request an id (`X-Request-Id`), logs it once answered, and counts it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        before = logs.request_id.set(exchange.request_id)
        metrics.traffic.in_flight += 1
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            metrics.traffic.in_flight -= 1
            exchange.close()
            logs.request_id.reset(before)


class _Exchange:
    """One request and its reply, seen from outside."""

    __slots__ = ("_announced", "_began", "_receive", "_received", "_scope", "_send", "_sent", "_status", "request_id")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request_id = ""
        self._announced = -1
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter()
        self._status = 0
        self._received = 0
        self._sent = 0
        self._read_headers()

    def _read_headers(self) -> None:
        """Take the id that a proxy gave, or make one, and the number of bytes that the body is to have."""
        # HTTP/2 ends a body by a mark on its last frame: to go before that comes would break the stream off.
        in_chunks = self._scope.get("http_version") not in {"1.0", "1.1"}
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit() and len(value) <= _LONGEST_LENGTH:
                self._announced = int(value)
            elif name == b"transfer-encoding":
                in_chunks = True
            elif name == b"x-request-id" and not self.request_id and REQUEST_ID.fullmatch(value):
                self.request_id = bytes(value).decode()
        if in_chunks:
            self._announced = -1  # RFC 9112, 6.3: the chunks tell, whatever the length says
        if not self.request_id:
            # Whoever guesses one gains nothing, and it takes a tenth of the time of a secret.
            self.request_id = f"{random.getrandbits(64):016x}"

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            # The server tells the end of a body by a message of its own, after a further round through its threads.
            if self._received == self._announced:
                message["more_body"] = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message = {**message, "headers": [*message["headers"], (b"x-request-id", self.request_id.encode())]}
        elif message["type"] == "http.response.body":
            self._sent += len(message.get("body", b""))
        await self._send(message)

    def close(self) -> None:
        seconds = time.perf_counter() - self._began
        path: str = self._scope["path"]
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        traffic = metrics.traffic
        traffic.count(surface_of(path), method, self._status, seconds)
        traffic.received += self._received
        traffic.sent += self._sent
        logs.request_answered(
            method=method,
            path=_tellable(path),
            status=self._status,
            ms=round(seconds * 1000, 1),
            received=self._received,
            sent=self._sent,
            request_id=self.request_id,
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def surface_of(path: str) -> str:
    """Tell under which surface requests of a path are counted (`SURFACES`, `events`, or `other`)."""
    if path == "/oauth/v2/light_qr_stat" or (path.startswith("/w/") and path.endswith("/events")):
        return "events"  # they last for minutes: not to be mixed with calls and pages
    return SURFACES.get(path.split("/", 2)[1] if "/" in path else "", "other")


def _tellable(path: str) -> str:
    """Return a path without the token in it, and never longer than a line."""
    parts = path.split("/")
    if len(parts) > 2 and parts[1] in {"media", "library", "qr", "certificates"}:
        parts[2] = "…"
    return "/".join(parts)[:200]
