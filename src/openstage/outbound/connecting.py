"""Connections to addresses that users give: made to exactly the network address that was checked.

httpcore asks its network backend for a connection to a name. Ours asks the resolver once, checks every address that it
gives, and connects to one of those by number: a name server that answers otherwise the next time (DNS rebinding) is not
asked a next time. TLS is still verified against the name. There is no pool, so no connection outlives its check, and
there are no proxies: what the environment says of them is not read.
"""

import asyncio
import contextlib
import functools
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Final

import httpcore
import httpx
from typing_extensions import override

from openstage import __version__
from openstage.outbound.addresses import Allowed, Target, check_addresses, check_target, check_url, target_of
from openstage.outbound.errors import BadAddress, TooSlow, Unreachable
from openstage.outbound.networks import IPAddress
from openstage.settings import Settings

CONNECT_SECONDS: Final = 10.0
"""For resolving a name, reaching an address behind it, and TLS, each."""
_MOST_ADDRESSES: Final = 8
"""Addresses of one name that are tried."""

Resolve = Callable[[str], Awaitable[Sequence[IPAddress]]]
"""Returns the addresses of a name; OSError if there are none."""

# Of their own: names whose servers stay silent would keep the process' other threads from working.
_threads = ThreadPoolExecutor(32, thread_name_prefix="resolver")


async def resolve(host: str) -> Sequence[IPAddress]:
    """Return the addresses of a name in the order in which the system would use them (RFC 6724).

    Raises:
        OSError: the name isn't known, or no name server answers.

    """
    ask = functools.partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_threads, ask)
    return list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in found))


class Outbound:
    """Makes requests to addresses that users give."""

    def __init__(
        self, allowed: Iterable[str] = (), *, resolver: Resolve = resolve, tls: ssl.SSLContext | None = None
    ) -> None:
        """Prepare; nothing is called yet.

        Args:
            allowed: what the operator allows beyond the public internet (setting `outbound_allow`).
            resolver: finds the addresses of names.
            tls: whom to trust; None: what certifi, or `SSL_CERT_FILE`, names.

        """
        self.allowed = Allowed(allowed)
        self._resolver = resolver
        self._tls = tls

    @classmethod
    def of(cls, settings: Settings) -> "Outbound":
        """Return one that allows what the settings allow."""
        return cls(settings.outbound_allow)

    def check(self, url: str) -> Target:
        """Check what can be told of a URL without asking anybody (`addresses.check_url`)."""
        return check_url(url, self.allowed)

    def follow(self, target: Target, location: str) -> Target:
        """Return where a redirect leads to.

        Raises:
            BadAddress: it isn't a URL that may be called.
            ForbiddenAddress: it holds an address that may not be called.

        """
        try:
            url = target.url.join(location)
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise BadAddress("The address leads on to one that can't be read.") from None
        return check_target(target_of(url), self.allowed)

    @contextlib.asynccontextmanager
    async def request(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        content: bytes = b"",
        *,
        silence: float,
    ) -> AsyncIterator[httpcore.Response]:
        """Send a request and lend the answer, of which only the head has been read; the connection ends with the block.

        Args:
            method: of the request.
            target: where to.
            headers: of the request; `host`, `user-agent` and the length of its content come from here.
            content: its body.
            silence: seconds for which the other side may say nothing.

        Raises:
            ForbiddenAddress: the name leads into a network that isn't public.
            Unreachable: nobody answers, or (in the block, too) the connection broke off.
            TooSlow: silence for too long (in the block, too).

        """
        url = target.url
        core_url = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=target.port, target=url.raw_path)
        connection = httpcore.AsyncHTTPConnection(
            core_url.origin,
            ssl_context=(self._tls or _trust()) if url.scheme == "https" else None,
            network_backend=_Checked(self.allowed, self._resolver),
        )
        fields = {"user-agent": f"Openstage/{__version__}", "accept": "*/*", "connection": "close"} | dict(headers)
        timeouts = {"connect": CONNECT_SECONDS, "read": silence, "write": silence}
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(_translated(target))
            stack.push_async_callback(connection.aclose)
            answer = connection.stream(
                method,
                core_url,
                headers=list(fields.items()),
                content=content or None,
                extensions={"timeout": timeouts},
            )
            yield await stack.enter_async_context(answer)


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, allowed: Allowed, resolver: Resolve) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._network = httpcore.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        seconds = CONNECT_SECONDS if timeout is None else timeout
        addresses = (await self._addresses(host, seconds))[:_MOST_ADDRESSES]
        deadline = monotonic() + seconds
        for position, address in enumerate(addresses):
            # What is left of the time belongs to those that haven't been tried, in equal parts.
            share = max(deadline - monotonic(), 0.1) / (len(addresses) - position)
            try:
                return await self._network.connect_tcp(str(address), port, timeout=share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position == len(addresses) - 1:
                    raise
        raise Unreachable(f"{host} has no address.")

    async def _addresses(self, host: str, seconds: float) -> Sequence[IPAddress]:
        try:
            return [ipaddress.ip_address(host)]  # checked with the URL
        except ValueError:
            pass
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._resolver(host)
        except TimeoutError:
            raise TooSlow(f"No name server tells in time where {host} is.") from None
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Unreachable(f"Where {host} is can't be found out: {reason}.") from None
        check_addresses(host, addresses, self._allowed)
        return addresses


@contextlib.contextmanager
def _translated(target: Target) -> Iterator[None]:
    """Turn the errors of the connection into those of this domain."""
    try:
        yield
    except httpcore.ConnectTimeout:
        raise TooSlow(f"{target.origin} can't be reached in time.") from None
    except httpcore.TimeoutException:
        raise TooSlow(f"{target.origin} was silent for too long.") from None
    except httpcore.ConnectError as error:
        raise Unreachable(f"{target.origin} can't be reached: {_reason(error)}.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Unreachable(f"The connection to {target.origin} broke off: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({cause.verify_message})"
        if isinstance(cause, ConnectionRefusedError):
            return "nobody listens there"
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".") or type(error).__name__


@functools.cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context()
