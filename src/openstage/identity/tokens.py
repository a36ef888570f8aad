"""What tokens look like, how they are stored, and how a refresh token leads to its successors.

An access token is `2.` and 32 hex digits, as on the documented platform; the database holds its SHA-256 alone.

The successors of a refresh token are derived from it under the server's key. So a refresh whose reply was lost can
be answered again with the same tokens, though none of them is stored (RFC 9700, 4.14.2 asks for rotation; clients
on bad networks ask for the repetition).
"""

import hashlib
import hmac
import secrets

HEX_DIGITS = 32


def new_access_token() -> str:
    """Make an access token."""
    return "2." + secrets.token_hex(HEX_DIGITS // 2)


def new_refresh_token() -> str:
    """Make a refresh token."""
    return secrets.token_hex(HEX_DIGITS)


def new_code() -> str:
    """Make a code that an app exchanges for tokens, or by which a device asks for them."""
    # On a command line one that begins with a dash would be an option.
    while (code := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return code


def code_of_ticket(key: bytes, ticket_digest: bytes) -> str:
    """Return the code that a QR ticket gives once it is confirmed.

    It follows from the ticket under the server's key, so it can be told again and again though it isn't stored.
    """
    return hmac.new(key, b"code|" + ticket_digest, hashlib.sha256).hexdigest()


def random_bytes(count: int) -> bytes:
    """Return bytes that nobody can guess."""
    return secrets.token_bytes(count)


def digest(token: str) -> bytes:
    """Return what the database holds in a token's place."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def successor_access_token(key: bytes, refresh_token: str) -> str:
    """Return the access token that a refresh token leads to."""
    return "2." + _derive(key, b"access", refresh_token)[:HEX_DIGITS]


def successor_refresh_token(key: bytes, refresh_token: str) -> str:
    """Return the refresh token that follows a refresh token."""
    return _derive(key, b"refresh", refresh_token)


def _derive(key: bytes, what: bytes, refresh_token: str) -> str:
    return hmac.new(key, what + b"|" + refresh_token.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
