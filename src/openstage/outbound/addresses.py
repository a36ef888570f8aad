"""Which URLs that users give may be called: their form, their port, and every address behind their name.

A URL is read once, by the parser whose result is connected to, and an IPv4 address counts in one notation only, so that
no two readers of it can disagree. The network addresses themselves are checked where the connection is made
(`connecting.py`): what a name leads to may change between two looks at it.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from openstage.outbound.errors import BadAddress, ForbiddenAddress
from openstage.outbound.networks import IPAddress, IPNetwork, is_own, refusal

LONGEST_URL: Final = 2048
LONGEST_HOST: Final = 253
"""Characters of a name in the DNS (RFC 1035)."""
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label like this makes a host an IPv4 address (URL standard, "ends in a number")."""
_ORDINARY_PORTS: Final = frozenset({80, 443})
_FIRST_FREE_PORT: Final = 1024
_LAST_PORT: Final = 65535
_BAD_PORTS: Final = frozenset(
    # What browsers don't speak HTTP to (Fetch standard, "bad port"), from 1024 on.
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
    # Databases, caches, brokers and control planes, which believe whoever reaches them.
    | {1433, 1521, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5672, 5900, 5984, 6379, 6443, 7001, 8500}
    | {9042, 9092, 9200, 9300, 10250, 10255, 11211, 27017, 50070}
)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in a form that may be called."""

    url: httpx.URL
    """With a lower-case ASCII host name without a dot at its end, without credentials and fragment."""
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Host and port, as one text."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def literal(self) -> IPAddress | None:
        """The address itself, where the host is one."""
        return _literal(self.host)


class Allowed:
    """What an operator allows beyond the public internet: host names, addresses and networks."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Take the entries of the setting `outbound_allow`.

        Args:
            entries: a name (`media.internal`), all names below one (`*.internal`), an address, or a network
                (`10.1.0.0/16`).

        """
        self._names: set[str] = set()
        self._parents: list[str] = []
        self._networks: list[IPNetwork] = []
        for entry in entries:
            text = entry.strip().lower().rstrip(".")
            try:
                self._networks.append(ipaddress.ip_network(text.strip("[]"), strict=False))
            except ValueError:
                if text.startswith("*."):
                    self._parents.append(text[1:])
                else:
                    self._names.add(text)

    def name(self, host: str) -> bool:
        """Whether everything that this name leads to is allowed."""
        return host in self._names or any(host.endswith(parent) for parent in self._parents)

    def address(self, address: IPAddress) -> bool:
        """Whether this address is allowed, whatever its name."""
        return any(address in network for network in self._networks)


def check_url(url: str, allowed_hosts: Allowed | Sequence[str] = ()) -> Target:
    """Check what can be told of a URL without asking anybody: its form, its port, its address if it holds one.

    Args:
        url: as a user gave it.
        allowed_hosts: what the operator allows besides (setting `outbound_allow`).

    Raises:
        BadAddress: it is no URL that may be called; the message says why.
        ForbiddenAddress: it holds an address that may not be called, or a port.

    """
    allowed = allowed_hosts if isinstance(allowed_hosts, Allowed) else Allowed(allowed_hosts)
    return check_target(read_url(url), allowed)


def read_url(url: str) -> Target:
    """Read a URL; whether it may be called is another question (`check_target`).

    Raises:
        BadAddress: it isn't http or https, or can't be read in one way only; the message says why.

    """
    if len(url) > LONGEST_URL:
        raise BadAddress(f"The address is longer than {LONGEST_URL} characters.")
    try:
        return target_of(httpx.URL(url.strip()))
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise BadAddress(f"The address can't be read: {error}") from None


def target_of(parsed: httpx.URL) -> Target:
    """Return what a URL that has been parsed leads to, where a redirect goes, for example; raises BadAddress."""
    if parsed.scheme not in {"http", "https"}:
        raise BadAddress("The address must begin with http:// or https://.")
    if parsed.userinfo:
        raise BadAddress("The address must not contain a user name or a password.")
    host = _host(parsed.raw_host.decode("ascii"))
    port = (443 if parsed.scheme == "https" else 80) if parsed.port is None else parsed.port
    if not 0 < port <= _LAST_PORT:
        raise BadAddress(f"There is no port {port}.")
    return Target(parsed.copy_with(host=host, fragment=None), host, port)


def check_target(target: Target, allowed: Allowed) -> Target:
    """Check the port of a target, and its address if it holds one; raises ForbiddenAddress."""
    literal = target.literal
    if allowed.name(target.host) or (literal is not None and allowed.address(literal)):
        return target
    if literal is not None:
        check_addresses(target.host, [literal], allowed)
    if not _port_allowed(target.port):
        raise ForbiddenAddress(f"Port {target.port} may not be called; use 80, 443, or a free one from 1024 on.")
    return target


def check_addresses(host: str, addresses: Sequence[IPAddress], allowed: Allowed) -> None:
    """Check what a host leads to: one forbidden address among public ones is enough to refuse it.

    Raises:
        ForbiddenAddress: the message says why, where a user may know.

    """
    if allowed.name(host):
        return
    for address in addresses:
        if allowed.address(address):
            continue
        why = refusal(address) or ("this server's own" if is_own(address) else "")
        if why and host == str(address):
            raise ForbiddenAddress(f"{host} may not be called: the address is {why}. The operator can allow it.")
        if why:
            raise ForbiddenAddress(
                f"{host} may not be called: it doesn't lead to the public internet alone. The operator can allow it.",
                f"{host} leads to {address}, which is {why}. OPENSTAGE_OUTBOUND_ALLOW can allow it.",
            )


def _host(raw: str) -> str:
    host = raw.removesuffix(".")
    if not host:
        raise BadAddress("The address names no host.")
    if ":" in host:
        if "%" in host:
            raise BadAddress("An address with a zone (%) has no meaning outside of one machine.")
        return str(ipaddress.IPv6Address(host))
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise BadAddress("An IPv4 address must be written as four decimal numbers, such as 192.0.2.1.") from None
    if len(host) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress(f"{host!r} can't be the name of a host.")
    return host


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _port_allowed(port: int) -> bool:
    return port in _ORDINARY_PORTS or (port >= _FIRST_FREE_PORT and port not in _BAD_PORTS)
