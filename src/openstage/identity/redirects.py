"""Addresses that authorization codes may be sent to: which may be registered, and which request names one of them."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from openstage.identity.errors import BadRedirect
from openstage.identity.models import App

LONGEST: Final = 2000
_SCHEME_OF_ITS_OWN: Final = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
"""An app's own scheme is a reversed domain name (RFC 8252, 7.1): it can't be `javascript:` or `data:`."""
_PLAIN: Final = re.compile(r"[!-~]+")


def acceptable(address: str) -> str:
    """Return the address if it may be registered (RFC 6749, 3.1.2; RFC 8252, 7; RFC 9700, 2.1).

    Raises:
        BadRedirect: it isn't https, http to the app's own machine, or a scheme of the app's own.

    """
    if len(address) > LONGEST or not _PLAIN.fullmatch(address) or "\\" in address or "*" in address:
        raise BadRedirect("A redirect address is plain ASCII without blanks, backslashes and wildcards.")
    try:
        parts = urlsplit(address)
        port_is_a_number = parts.port is None or parts.port > 0
    except ValueError as error:
        raise BadRedirect(f"{address} is no address: {error}.") from error
    if "#" in address or parts.username is not None or not port_is_a_number:
        raise BadRedirect("A redirect address has no fragment, no user and no port 0.")
    if parts.scheme == "https" and parts.hostname:
        return address
    if parts.scheme == "http" and (_loopback(parts) or parts.hostname == "localhost"):
        return address
    if _SCHEME_OF_ITS_OWN.fullmatch(parts.scheme):
        return address
    raise BadRedirect(
        "A redirect address is https://…, http:// to the own machine (127.0.0.1, [::1], localhost), or a scheme of the "
        "app's own such as com.example.app:/done."
    )


def chosen(app: App, given: str) -> str:
    """Return the address that an authorization request leads back to.

    Args:
        app: the app that asks.
        given: `redirect_uri` as sent; may be empty where the app has one address alone.

    Raises:
        BadRedirect: it is not among the registered ones; nobody may be sent there.

    """
    if not given and len(app.redirects) == 1:
        return app.redirects[0]
    if given in app.redirects or (app.public and _same_but_port(given, app.redirects)):
        return given
    if not app.redirects:
        raise BadRedirect("This app has no redirect address; its operator adds one with `openstage app set-oauth`.")
    raise BadRedirect("redirect_uri is missing." if not given else "redirect_uri is not registered for this app.")


def target(address: str) -> str:
    """Return where an address leads, as a person names it: an origin, or a scheme."""
    parts = urlsplit(address)
    if parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:"


def policy_source(address: str) -> str:
    """Return where an address leads as a Content-Security-Policy names it; that knows no IPv6 addresses."""
    named = target(address)
    return "http:" if "[" in named else named


def _same_but_port(given: str, registered: Sequence[str]) -> bool:
    """Whether it is a registered loopback address: a native app listens on whichever port it gets (RFC 8252, 7.3)."""
    try:
        parts = urlsplit(acceptable(given))
    except BadRedirect:
        return False
    if parts.scheme != "http" or not _loopback(parts):
        return False
    return any(_without_port(parts) == _without_port(known) for known in map(urlsplit, registered) if _loopback(known))


def _without_port(parts: SplitResult) -> tuple[str, str | None, str, str]:
    return parts.scheme, parts.hostname, parts.path, parts.query


def _loopback(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
