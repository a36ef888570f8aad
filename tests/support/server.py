"""A real HTTP server around any ASGI application, on a free port of 127.0.0.1.

`serving(app)` runs granian in the test's own event loop, so that the application may share the test's objects.
`server_process("package.module:create_app")` runs it as `openstage serve` does: a process of its own.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

from tests.support.waiting import wait_for, wait_until


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.asynccontextmanager
async def serving(app: Any, *, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Serve `app` from this event loop; gives the address without a slash at its end.

    Args:
        app: the ASGI application; its lifespan is run.
        port: where; 0: at a free one.
        options: further arguments of `granian.server.embed.Server`.

    """
    port = port or free_port()
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_enabled=False,
        **options,
    )
    task = asyncio.create_task(server.serve())

    async def answers() -> bool:
        if task.done():
            task.result()
        return listens(port)

    try:
        await wait_until(answers, within=10, what="the server's port", every=0.005)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await task


@dataclass
class ServerProcess:
    """A running granian; `address` has no slash at its end, `pid` is the supervising process."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """`kill -9` the server and its worker processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@contextlib.contextmanager
def server_process(
    target: str, *, folder: Path, env: Mapping[str, str] | None = None, options: tuple[str, ...] = ()
) -> Iterator[ServerProcess]:
    """Serve `module:factory` from a process of its own, and end it with the block.

    Args:
        target: a factory of the ASGI application, called without arguments.
        folder: where the log goes.
        env: variables besides this process's own.
        options: further arguments of granian's command line.

    """
    log, port = folder / "server.log", free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws", "--host", "127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--loop", "uvloop", *options, target],
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = ServerProcess(f"http://127.0.0.1:{port}", process, log)

    def answers() -> bool:
        assert process.poll() is None, f"The server does not start: {log.read_text()[-4000:]}"
        return listens(port)

    try:
        wait_for(answers, within=30, what="the server's port")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
