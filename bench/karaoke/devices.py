"""Thousands of devices on one event loop: each a keep-alive connection with one request in flight at most."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, TypeVar, cast

import uvloop

from bench.http import LoadError
from bench.karaoke.party import accepted

T = TypeVar("T")
AT_ONCE: Final = 100
"""Connections that are opened at the same time: fewer than a listener's backlog."""
STAT: Final = "/oauth/v2/light_qr_stat"


class Line(asyncio.Protocol):
    """A connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's

    def data_received(self, data: bytes) -> None:
        """Collect a reply."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) >= length:
            self._buffer = b""
            self._end(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody answers any more."""
        self._transport = None
        self._end(LoadError(f"The connection of a device ended: {exc}"))

    def _end(self, outcome: bytes | Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if isinstance(outcome, bytes):
            answer.set_result(outcome)
        else:
            answer.set_exception(outcome)

    async def ask(self, request: bytes) -> bytes:
        """Send a request, and wait for the body of its reply.

        Raises:
            LoadError: the connection ended.

        """
        if self._transport is None:
            raise LoadError("The connection of a device has ended.")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


class Lines:
    """Connections that are opened together, and closed at the end of the block."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self.all: list[Line] = []

    async def __aenter__(self) -> list[Line]:
        loop = asyncio.get_running_loop()
        while len(self.all) < self._count:
            number = min(AT_ONCE, self._count - len(self.all))
            made = await asyncio.gather(*(loop.create_connection(Line, "127.0.0.1", self._port) for _ in range(number)))
            self.all += [line for _, line in made]
        return self.all

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self.all:
            line.close()


def stat_request(port: int, appid: str, ticket: str, **more: int) -> bytes:
    """Write a request of `light_qr_stat` as it goes over the wire."""
    body = json.dumps({"appid": appid, "qr_ticket": ticket, **more}).encode()
    head = f"POST {STAT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def poll(lines: list[Line], requests: list[bytes], *, seconds: int, every: float = 1.0) -> list[float]:
    """Let each device ask every so often, spread evenly; gives how long each answer took, from when it was due.

    A device that waits for an answer past the time of its next question asks that one late, and the delay counts.
    """
    loop = asyncio.get_running_loop()
    began = loop.time() + 0.2
    delays: list[float] = []

    async def device(number: int) -> None:
        first = began + every * number / len(lines)
        for turn in range(int(seconds / every)):
            due = first + turn * every
            await asyncio.sleep(max(0.0, due - loop.time()))
            accepted(STAT, await lines[number].ask(requests[number]))
            delays.append(loop.time() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(len(lines)):
            group.create_task(device(number))
    return delays


async def wait_for_code(line: Line, port: int, appid: str, ticket: str) -> float:
    """Ask in long polls until a ticket is confirmed; gives the loop's time of the answer that said so."""
    while True:
        request = stat_request(port, appid, ticket, wait=30, status=0)
        answer = accepted(STAT, await line.ask(request))
        if answer["status"] == 2 and answer["code"]:
            return asyncio.get_running_loop().time()
        if answer["status"] > 2:
            raise LoadError(f"{STAT} answers {answer}")


def run_on_loop(work: Callable[[], Awaitable[T]]) -> T:
    """Run to the end on a fast event loop."""

    async def whole() -> T:
        return await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(whole())
