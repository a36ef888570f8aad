"""Around each request: its id, its log line, its metrics.

Plain ASGI, because bodies of gigabytes pass through it.
"""

import functools
import re
import secrets
import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openstage.observability import logs, metrics

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# What can be told of a path without telling a token: its first part.
SURFACES = {
    "api": "video", "openupload": "video", "uploadfinish": "video", "cancelupload": "video", "uploadstatus": "video",
    "upload": "upload", "media": "media", "pictures": "media", "w": "pages", "e": "pages", "": "pages", "docs": "pages",
    "static": "pages", "sign-in": "pages", "sign-up": "pages", "sign-out": "pages", "account": "pages",
    "device": "pages", "qr": "pages", "oauth": "oauth", ".well-known": "oauth", "healthz": "operation",
    "readyz": "operation", "metrics": "operation", "plus": "music", "audio": "music", "library": "media",
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
        metrics.requests_in_flight.inc()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            metrics.requests_in_flight.dec()
            exchange.close()
            logs.request_id.reset(before)


class _Exchange:
    """One request and its reply, seen from outside."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request_id = _request_id(scope)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter()
        self._status = 0
        self._received = 0
        self._sent = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
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
        surface = _surface(path)
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        _answered(surface, method, self._status).inc()
        _seconds(surface).observe(seconds)
        if self._received:
            metrics.received_bytes.inc(self._received)
        metrics.sent_bytes.inc(self._sent)
        fields: dict[str, str | int | float] = {
            "method": method,
            "path": _tellable(path),
            "status": self._status,
            "ms": round(seconds * 1000, 1),
        }
        if self._received:
            fields["received"] = self._received
        if self._sent:
            fields["sent"] = self._sent
        fields["request_id"] = self.request_id
        logs.request_answered(fields)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


@functools.cache
def _answered(surface: str, method: str, status: int) -> Counter:
    """Return the counter of some requests; to look it up each time costs more than to count."""
    return metrics.requests.labels(surface, method, str(status))


@functools.cache
def _seconds(surface: str) -> Histogram:
    return metrics.request_seconds.labels(surface)


def _surface(path: str) -> str:
    if path == "/oauth/v2/light_qr_stat" or (path.startswith("/w/") and path.endswith("/events")):
        return "events"  # they last for minutes: not to be mixed with calls and pages
    return SURFACES.get(path.split("/", 2)[1] if "/" in path else "", "other")


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value).decode()
    return secrets.token_hex(8)


def _tellable(path: str) -> str:
    """Return a path without the token in it, and never longer than a line."""
    parts = path.split("/")
    if len(parts) > 2 and parts[1] in {"media", "library", "qr"}:
        parts[2] = "…"
    return "/".join(parts)[:200]
