"""Who a client is when a proxy stands between: its address is what the proxies we trust say of it."""

import functools
import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxied:
    """ASGI middleware that puts the client's own address where the proxy's stood (`scope["client"]`).

    `X-Forwarded-For` is read from its end: each trusted proxy has added whom it saw, and what stands before the first
    address that isn't a trusted proxy's may be anybody's invention.
    """

    def __init__(self, app: ASGIApp, proxies: str) -> None:
        """Take the setting `proxies`.

        Raises:
            ValueError: it names something that is no address or network.

        """
        self._app = app
        self._trusted = [
            ipaddress.ip_network(part.strip(), strict=False) for part in proxies.split(",") if part.strip()
        ]
        self._trusts = functools.lru_cache(maxsize=1024)(self._is_trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        client = scope.get("client")
        if client and self._trusts(client[0]):
            said = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
            if said and (address := self._beyond(",".join(said))):
                scope = {**scope, "client": (address, 0)}
        await self._app(scope, receive, send)

    def _beyond(self, said: str) -> str:
        """Return the last address that isn't a trusted proxy's; the first one where all are."""
        hops = [hop.strip() for hop in said.split(",") if hop.strip()]
        return next((hop for hop in reversed(hops) if not self._trusts(hop)), hops[0] if hops else "")

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return any((mapped or parsed) in network for network in self._trusted)
