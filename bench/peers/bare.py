"""The least that a server of ours could do: granian with our settings, and an application that answers at once."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from bench.processes import free_port, running

BODY = (
    b'{"code":"A00000","data":{"img":"","thumbnail":"","swfurl":"","urllist":{"mp4":{},"m3u8":{}},"msg":""},"msg":""}'
)


def create_app() -> ASGIApp:
    """Return an application that answers every request with the same few bytes of JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": BODY})

    return app


@contextlib.contextmanager
def running_bare(scratch: Path) -> Iterator[int]:
    """Run it for the length of the block; yields its port."""
    port = free_port()
    command = [sys.executable, "-m", "openstage.server.web", "127.0.0.1", str(port), f"{__name__}:create_app"]
    with running(command, log=scratch / "bare.log", port=port):
        yield port
