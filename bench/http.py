"""A load sender that costs next to nothing: raw sockets, bodies by `sendfile` from the page cache.

One for all peers, so that what is compared is the servers. Like clients, it sends a whole request and then reads the
reply.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

RECEIVE_BUFFER: Final = 1024**2


class LoadError(Exception):
    """A peer didn't do what it was asked."""


@dataclass(frozen=True)
class Slice:
    """A stretch of an open file, with a little before and after it."""

    descriptor: int
    start: int
    length: int
    before: bytes = b""
    after: bytes = b""

    @property
    def total(self) -> int:
        """Bytes of all of it."""
        return len(self.before) + self.length + len(self.after)


@dataclass(frozen=True)
class Reply:
    """What came back. Of a range, the body is counted and not kept."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    received: int = 0


@dataclass
class Connection:
    """One keep-alive connection to 127.0.0.1."""

    port: int
    _socket: socket.socket = field(init=False)
    _buffer: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(RECEIVE_BUFFER)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: Slice | None = None,
        *,
        keep: bool = True,
    ) -> Reply:
        """Send a request and read its reply; `keep=False` throws the body away as it comes."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None or method in {"POST", "PUT", "PATCH"}:
            lines.append(f"Content-Length: {body.total if body else 0}")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        try:
            self._socket.sendall(head + (body.before if body else b""))
            if body is not None:
                self._send_file(body)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise LoadError(f"{method} {target}: {error}; {self._receive(method, keep=True)}") from error
        return self._receive(method, keep=keep)

    def post(self, target: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request with a small body and read its reply."""
        lines = [f"POST {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        return self._receive("POST", keep=True)

    def _send_file(self, body: Slice) -> None:
        position, end = body.start, body.start + body.length
        while position < end:
            # The socket has a time limit, so it may take less than it is given, or nothing for a moment.
            try:
                position += os.sendfile(self._socket.fileno(), body.descriptor, position, end - position)
            except BlockingIOError:
                wait_writable(self._socket)
        if body.after:
            self._socket.sendall(body.after)

    def _receive(self, method: str, *, keep: bool) -> Reply:
        head = b""
        while b"\r\n\r\n" not in head:
            more = self._socket.recv(65536)
            if not more:
                raise LoadError(f"The connection ended before a reply: {head[:200]!r}")
            head += more
        head, _, rest = head.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = int(status_line.split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if status in {204, 304} or method == "HEAD":
            return Reply(status, headers)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Reply(status, headers, self._chunked(rest))
        length = int(headers.get("content-length", "0"))
        if keep:
            while len(rest) < length:
                rest += self._more()
            return Reply(status, headers, rest, length)
        received = len(rest)
        while received < length:
            count = self._socket.recv_into(self._buffer)
            if not count:
                raise LoadError(f"{received} bytes of {length} came, then the connection ended.")
            received += count
        return Reply(status, headers, b"", received)

    def _chunked(self, data: bytes) -> bytes:
        while not data.endswith(b"0\r\n\r\n"):
            data += self._more()
        return data

    def _more(self) -> bytes:
        if more := self._socket.recv(65536):
            return more
        raise LoadError("The connection ended in the middle of a reply.")


def wait_writable(sock: socket.socket) -> None:
    """Wait until a socket takes more."""
    if not select.select([], [sock], [], 120)[1]:
        raise LoadError("The server takes nothing more.")


def together(count: int, work: Callable[[int], None]) -> float:
    """Run `work(0)` … `work(count - 1)` in threads at the same time; returns seconds from start to the last one's end.

    Raises:
        Exception: the first that `work` raised.

    """
    failures: list[Exception] = []
    ready = threading.Barrier(count + 1)

    def run(number: int) -> None:
        ready.wait()
        try:
            work(number)
        except Exception as error:  # it is raised in the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if failures:
        raise failures[0]
    return seconds
