"""Which internet addresses belong to the public internet.

From IANA's special-purpose registries (RFC 6890 and its updates), by a table of our own: what Python's `ipaddress`
calls global has changed between its versions.
"""

import ipaddress
import socket
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_REFUSED_V4: Final[tuple[tuple[str, str], ...]] = (
    ("0.0.0.0/8", "unspecified (RFC 791)"),
    ("10.0.0.0/8", "private (RFC 1918)"),
    ("100.64.0.0/10", "shared by carriers (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    ("168.63.129.16/32", "a cloud's own service"),
    ("169.254.0.0/16", "link-local, clouds' metadata (RFC 3927)"),
    ("172.16.0.0/12", "private (RFC 1918)"),
    ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
    ("192.0.2.0/24", "documentation (RFC 5737)"),
    ("192.31.196.0/24", "AS112 (RFC 7535)"),
    ("192.52.193.0/24", "multicast tunnels (RFC 7450)"),
    ("192.88.99.0/24", "6to4 relays (RFC 7526)"),
    ("192.168.0.0/16", "private (RFC 1918)"),
    ("192.175.48.0/24", "AS112 (RFC 7534)"),
    ("198.18.0.0/15", "benchmarking (RFC 2544)"),
    ("198.51.100.0/24", "documentation (RFC 5737)"),
    ("203.0.113.0/24", "documentation (RFC 5737)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    ("240.0.0.0/4", "reserved, broadcast (RFC 1112)"),
)
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All that has ever been given out as global unicast (RFC 4291, IANA): what isn't in it is refused unseen."""
_REFUSED_V6: Final[tuple[tuple[str, str], ...]] = (
    ("2001::/23", "Teredo, benchmarking, ORCHID and other protocol assignments (RFC 2928)"),
    ("2001:db8::/32", "documentation (RFC 3849)"),
    ("2002::/16", "6to4 (RFC 3056)"),
    ("2620:4f:8000::/48", "AS112 (RFC 7534)"),
    ("3fff::/20", "documentation (RFC 9637)"),
)
_NAMED_V6: Final[tuple[tuple[str, str], ...]] = (
    ("::/128", "unspecified (RFC 4291)"),
    ("::1/128", "loopback (RFC 4291)"),
    ("::ffff:0:0/96", "an IPv4 address in an IPv6 one (RFC 4291)"),
    ("::/96", "an IPv4 address in an IPv6 one (RFC 4291)"),
    ("64:ff9b::/96", "an IPv4 address behind NAT64 (RFC 6052)"),
    ("64:ff9b:1::/48", "an IPv4 address behind NAT64 (RFC 8215)"),
    ("100::/64", "discarded (RFC 6666)"),
    ("fc00::/7", "private (RFC 4193)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local (RFC 3879)"),
    ("ff00::/8", "multicast (RFC 4291)"),
)
"""Names for what `_PUBLIC_V6` leaves out, so that the message can say why."""

_V4: Final = tuple((ipaddress.IPv4Network(network), why) for network, why in _REFUSED_V4)
_V6: Final = tuple((ipaddress.IPv6Network(network), why) for network, why in (*_REFUSED_V6, *_NAMED_V6))


def refusal(address: IPAddress) -> str:
    """Return why an address is none of the public internet, such as `private (RFC 1918)`; empty if it is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for network, why in _V4 if address in network), "")
    if address.scope_id is not None:
        return "bound to an interface of this machine (RFC 4007)"
    if why := next((why for network, why in _V6 if address in network), ""):
        return why
    return "" if address in _PUBLIC_V6 else "not given out to anybody (RFC 4291)"


def is_own(address: IPAddress) -> bool:
    """Return whether an address is one of this machine: what listens on it may be shielded from the outside only."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        try:
            # Nothing is sent: the kernel only chooses the address from which it would send.
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0]) == address
