"""A server that misbehaves as a test wants: each answer is written to the connection byte by byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RawRequest:
    """What a client has sent."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


Answer = Callable[[RawRequest, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Listens on a port of its own; keeps every request."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        """May be exchanged while it runs."""
        self.requests: list[RawRequest] = []
        self.peers: list[str] = []
        """From where each connection came."""
        self.port = 0

    @property
    def url(self) -> str:
        """Its address, by number."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["RawServer"]:
        """Listen for the length of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        self._open: set[asyncio.Task[None]] = set()
        try:
            yield self
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            self.peers.append(writer.get_extra_info("peername")[0])
            await self.answer(await _request(reader), writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    def note(self, request: RawRequest) -> RawRequest:
        """Keep a request."""
        self.requests.append(request)
        return request


async def _request(reader: asyncio.StreamReader) -> RawRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return RawRequest(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of an answer; `_` in the names of header fields stands for `-`."""
    fields = {"content-length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Because\r\n{head}\r\n".encode() + body
