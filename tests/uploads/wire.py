"""HTTP byte by byte: requests as clients really write them, odd ones included."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def code(self) -> str:
        return str(self.json["code"])


class Exchange:
    """One request in progress; nothing is sent but what the test sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(
        cls, address: str, method: str, target: str, headers: Headers = (), *, length: int | None = None
    ) -> "Exchange":
        """Connect and send the head, with a Content-Length if one is given."""
        where = urlsplit(address)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {where.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        exchange = cls(reader, writer)
        await exchange.send("\r\n".join([*lines, "", ""]).encode())
        return exchange

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> Answer:
        """Read the reply to its end."""
        async with asyncio.timeout(30):
            content = await self._reader.read()
        self._writer.close()
        head, _, body = content.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        if headers.get("transfer-encoding") == "chunked":
            raise AssertionError("replies have a length")
        return Answer(int(status.split(" ")[1]), headers, body)

    def half_close(self) -> None:
        """End sending, go on reading."""
        self._writer.write_eof()

    def drop(self) -> None:
        """Cut the connection at once (RST)."""
        self._writer.transport.abort()


async def call(address: str, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Answer:
    """Send a whole request and read its reply."""
    exchange = await Exchange.begin(address, method, target, headers, length=None if body is None else len(body))
    if body:
        await exchange.send(body)
    return await exchange.answer()


def query(**parameters: object) -> str:
    """Query string of parameters."""
    return "?" + "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())


def multipart(
    *parts: tuple[str, str | bytes],
    boundary: str = "----=_Part_7",
    line: bytes = b"\r\n",
    closing: bytes = b"--\r\n",
    header: str = "Content-Disposition",
) -> bytes:
    """Body of multipart/form-data; parts with bytes are files."""
    out = b""
    for name, value in parts:
        is_file = isinstance(value, bytes)
        content = value if isinstance(value, bytes) else value.encode()
        out += f"--{boundary}".encode() + line + f'{header}: form-data; name="{name}"'.encode()
        out += b'; filename="a.mp4"' + line + b"Content-Type: video/mp4" if is_file else b""
        out += line + line + content + line
    return out + f"--{boundary}".encode() + closing
