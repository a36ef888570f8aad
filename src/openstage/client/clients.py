"""What the clients of all platforms have in common: they are opened, closed and shown."""

from types import TracebackType
from typing import Generic, Self, TypeVar

from openstage.client.transport import Transport, run


class AsyncClient:
    """A client for asyncio. Close it, or use it with `async with`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections; neither this object nor what came of it can call any more."""
        await self._transport.close()


C = TypeVar("C", bound=AsyncClient)


class BlockingClient(Generic[C]):
    """A client for plain threads: the logic is the asyncio one's, over a transport that blocks.

    Close it, or use it with `with`.
    """

    def __init__(self, inner: C) -> None:
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner).removeprefix("Async")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections; neither this object nor what came of it can call any more."""
        run(self._inner.aclose())
