"""The two ways of doing I/O behind one protocol.

All logic of this package is written once, as coroutines over `Transport`. `AsyncioTransport` runs them on asyncio.
`BlockingTransport` does its work before it returns, so that a coroutine over it never suspends and `run` can drive it
to its end in one step, in plain threads and without any event loop.
"""

import asyncio
import contextlib
import functools
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar

import httpx

from openstage import __version__
from openstage.client.requests import SECRET_PARAMETERS, Body, Reply, Request

T = TypeVar("T")
Job = Callable[[], Coroutine[Any, Any, None]]

USER_AGENT = f"openstage-python/{__version__}"
STOP_PATIENCE = 2.0
"""Seconds that an interrupted upload waits for its threads."""


class Transport(Protocol):
    """What the logic needs of the world."""

    async def send(self, request: Request) -> Reply:
        """Exchange one request for its reply; redirects are not followed.

        Raises:
            httpx.TransportError: no whole reply came.

        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...

    async def run_together(self, jobs: Sequence[Job]) -> None:
        """Run jobs at once. The first that fails stops the others, and its error is raised."""
        ...

    async def aside(self, work: Callable[[], T]) -> T:
        """Do work that blocks, such as reading a file, where it holds nobody else up."""
        ...

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Make a lock, for tasks or threads, whichever this transport runs."""
        ...

    async def close(self) -> None:
        """Close the connections that this transport opened itself."""
        ...


class RedactedUrl(httpx.URL):
    """An address whose text hides secrets: httpx logs each request's address, and errors carry it."""

    def __str__(self) -> str:
        hidden = [
            (name, "REDACTED" if name in SECRET_PARAMETERS else value) for name, value in self.params.multi_items()
        ]
        return str(httpx.URL(self, params=hidden)) if hidden else super().__str__()

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


class _Stopped(BaseException):
    """Unwinds a thread whose work is not wanted any more, since another one failed."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine over a `BlockingTransport` to its end."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a blocking transport suspended")


def _request(client: httpx.Client | httpx.AsyncClient, request: Request, content: Any) -> httpx.Request:
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **request.headers}
    made = client.build_request(
        request.method,
        request.url,
        params=dict(request.query) or None,
        headers=headers,
        content=content,
        timeout=_timeout(client.timeout, request.patience),
    )
    made.url = RedactedUrl(made.url)
    return made


def _timeout(usual: httpx.Timeout, patience: float | None) -> httpx.Timeout:
    if not patience or usual.read is None:
        return usual
    return httpx.Timeout(usual.connect, read=usual.read + patience, write=usual.write, pool=usual.pool)


def _reply(response: httpx.Response) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content)


class BlockingTransport:
    """Plain threads and `httpx.Client`; thread-safe."""

    def __init__(self, client: httpx.Client | None, timeout: float) -> None:
        self._client = client or httpx.Client(timeout=timeout, limits=_limits(), verify=_tls())
        self._owned = client is None
        self._here = threading.local()

    async def send(self, request: Request) -> Reply:
        """As `Transport.send`."""
        content = None if request.body is None else self._chunks(request.body)
        return _reply(self._client.send(_request(self._client, request, content)))

    def _chunks(self, body: Body) -> Iterator[bytes]:
        for chunk in body.chunks():
            self._stop_if_told()
            yield chunk
            body.sent(len(chunk))

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        stop: threading.Event | None = getattr(self._here, "stop", None)
        if stop is None:
            time.sleep(seconds)  # noqa: ASYNC251 - blocking is what this transport is for
        else:
            stop.wait(seconds)
        self._stop_if_told()

    def _stop_if_told(self) -> None:
        stop: threading.Event | None = getattr(self._here, "stop", None)
        if stop is not None and stop.is_set():
            raise _Stopped

    async def run_together(self, jobs: Sequence[Job]) -> None:
        """As `Transport.run_together`, in daemon threads: a stalled one keeps no program from ending."""
        stop = threading.Event()
        errors: list[BaseException] = []

        def work(job: Job) -> None:
            self._here.stop = stop
            try:
                run(job())
            except _Stopped:
                pass
            except BaseException as error:  # handed to the caller below
                errors.append(error)
                stop.set()

        threads = [threading.Thread(target=work, args=(job,), name="openstage-upload", daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            stop.set()
            deadline = time.monotonic() + STOP_PATIENCE
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            raise
        if errors:
            raise errors[0]

    async def aside(self, work: Callable[[], T]) -> T:
        """As `Transport.aside`: the thread is the caller's own."""
        return work()

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        """As `Transport.lock`."""
        return _ThreadLock()

    async def close(self) -> None:
        """As `Transport.close`."""
        if self._owned:
            self._client.close()


class _ThreadLock:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class AsyncioTransport:
    """asyncio and `httpx.AsyncClient`; files are read in threads."""

    def __init__(self, client: httpx.AsyncClient | None, timeout: float) -> None:
        self._client = client or httpx.AsyncClient(timeout=timeout, limits=_limits(), verify=_tls())
        self._owned = client is None

    async def send(self, request: Request) -> Reply:
        """As `Transport.send`."""
        content = None if request.body is None else self._chunks(request.body)
        return _reply(await self._client.send(_request(self._client, request, content)))

    async def _chunks(self, body: Body) -> AsyncIterator[bytes]:
        chunks = body.chunks()
        while chunk := await asyncio.to_thread(next, chunks, b""):
            yield chunk
            body.sent(len(chunk))

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        await asyncio.sleep(seconds)

    async def run_together(self, jobs: Sequence[Job]) -> None:
        """As `Transport.run_together`."""
        try:
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(job())
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None

    async def aside(self, work: Callable[[], T]) -> T:
        """As `Transport.aside`, in a thread."""
        return await asyncio.to_thread(work)

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        """As `Transport.lock`."""
        return asyncio.Lock()

    async def close(self) -> None:
        """As `Transport.close`."""
        if self._owned:
            await self._client.aclose()


@functools.cache
def _tls() -> ssl.SSLContext:
    """Make the TLS settings of all clients: reading the certificates takes 50 ms each time."""
    return httpx.create_ssl_context()


def _limits() -> httpx.Limits:
    return httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=15.0)
