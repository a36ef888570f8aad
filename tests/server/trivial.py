"""An application for tests of the process tree: it answers, says who it is, and dies when asked."""

import os
import sys
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{os.getpid()} {os.environ['OPENSTAGE_DATABASE_URL']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b".", "more_body": True})
        await receive()
        await receive()  # until the client goes
    await send({"type": "http.response.body", "body": body})


def create() -> Any:
    return app


def broken() -> Any:
    sys.exit(3)
