"""Signed addresses: who holds one may fetch what it names until it expires.

An address is `/media/<token>/<slug>/<resource>`, its token `<kind><expiry>.<nonce>.<signature>`: the expiry in
seconds of the epoch to base 36, the signature an HMAC-SHA256 over kind, slug, resource, expiry and nonce (the first 128
bits, base64url). One made for somebody (`works.visibility.Audience`) has `<nonce>~<whom>`: `o` for who made the
work, `p<number>` for a person with an account. The token is compared as text, so no two spellings of one token pass.
"""

import binascii
import functools
import hmac
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from openstage.delivery.errors import AddressAltered, AddressExpired
from openstage.settings import Settings
from openstage.works.visibility import EVERYBODY, OWNER, REVIEWERS, Audience

_PURPOSE = b"media addresses"
_SIGNATURE_BYTES = 16
_NONCE_BYTES = 9
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_LONGEST_TOKEN = 80
_MOST_DIGITS = 12
"""Digits of an account's number to base 36: what PostgreSQL holds as bigint."""
_SHARED_FOR = 3600
"""Addresses that playlists list are the same for everybody for so many seconds: caches can hold what they name."""


class Kind(StrEnum):
    """What an address is for.

    Attributes:
        ADDRESS: given to a client; bound to one resource; a playback of it is counted.
        SEGMENT: made by playlists for what they list; bound to the work only.
        REVIEW: for reviewers; bound to the work only; opens works that are not published too.

    """

    ADDRESS = "a"
    SEGMENT = "s"
    REVIEW = "r"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token that was verified allows.

    Attributes:
        kind: see `Kind`.
        nonce: differs between addresses of kind `ADDRESS`; what play counting counts.
        expires: seconds of the epoch.
        audience: for whom it was made; whether they may see the work is asked again.

    """

    kind: Kind
    nonce: str
    expires: int
    audience: Audience


class DerivesKeys(Protocol):
    """What signing needs of `identity.keys.Keys`."""

    def derive(self, purpose: bytes, /) -> bytes:
        """Return the 32-byte key of a purpose."""


class AddressSigner:
    """Makes and verifies the tokens of media addresses."""

    def __init__(
        self,
        keys: DerivesKeys,
        settings: Settings,
        *,
        purpose: bytes = _PURPOSE,
        lifetime: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare.

        Args:
            keys: gives the key of the purpose.
            settings: gives the lifetime of addresses.
            purpose: tokens of one purpose are worth nothing for another.
            lifetime: seconds for which addresses live; None: the setting's.
            clock: gives seconds of the epoch.

        """
        self._key = keys.derive(purpose)
        self._clock = clock
        self._lifetime = settings.address_lifetime if lifetime is None else lifetime

    def address(self, slug: str, resource: str, audience: Audience = EVERYBODY) -> str:
        """Make the token of an address for a client."""
        expiry = int(self._clock()) + self._lifetime
        nonce = _text_of(os.urandom(_NONCE_BYTES)) + _mark_of(audience)
        return self._token(Kind.ADDRESS, slug, resource, expiry, nonce)

    def segments(self, slug: str, lifetime: int, audience: Audience = EVERYBODY) -> str:
        """Make the token under which playlists list media: it lives `lifetime` seconds, and up to an hour more."""
        expiry = -(-(int(self._clock()) + lifetime) // _SHARED_FOR) * _SHARED_FOR
        return self._token(Kind.SEGMENT, slug, "", expiry, "0" + _mark_of(audience))

    def review(self, slug: str, lifetime: int) -> str:
        """Make the token with which a reviewer sees everything of a work for `lifetime` seconds."""
        expiry = int(self._clock()) + lifetime
        return self._token(Kind.REVIEW, slug, "", expiry, _text_of(os.urandom(_NONCE_BYTES)))

    def verify(self, token: str, slug: str, resource: str) -> Grant:
        """Tell what a token allows for a resource of a work.

        Raises:
            AddressAltered: the token was not made here for this resource.
            AddressExpired: it was, and its life is over.

        """
        altered = AddressAltered("This address is not one we gave out: it was altered or cut. Ask for a fresh one.")
        parts = token.split(".")
        if len(token) > _LONGEST_TOKEN or len(parts) != 3 or not token.isascii() or parts[0][:1] not in set("asr"):
            raise altered
        kind, digits = Kind(parts[0][0]), parts[0][1:]
        if not digits or not set(digits) <= set(_DIGITS):
            raise altered
        bound_to = resource if kind is Kind.ADDRESS else ""
        # What is read of the nonce means nothing before the signature has been found right.
        audience = REVIEWERS if kind is Kind.REVIEW else _audience_of(parts[1])
        grant = Grant(kind, nonce=parts[1], expires=int(digits, 36), audience=audience)
        expected = self._token(kind, slug, bound_to, grant.expires, grant.nonce)
        if not hmac.compare_digest(expected.encode(), token.encode()):
            raise altered
        if grant.expires <= self._clock():
            raise AddressExpired(
                "This address has expired. Addresses live for a short time: ask for a fresh one before each playback."
            )
        return grant

    def _token(self, kind: Kind, slug: str, resource: str, expiry: int, nonce: str) -> str:
        stamp = kind + _base36(expiry)
        signed = "\n".join((stamp, slug, resource, nonce)).encode("utf-8", "surrogatepass")
        signature = hmac.digest(self._key, signed, "sha256")[:_SIGNATURE_BYTES]
        return f"{stamp}.{nonce}.{_text_of(signature)}"


def _text_of(data: bytes) -> str:
    """Return base64url without padding (RFC 4648, 5)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE).decode()


def _mark_of(audience: Audience) -> str:
    """Return what tells in a token for whom it was made; nothing for everybody."""
    if audience.owner:
        return "~o"
    return f"~p{_base36(audience.account_id)}" if audience.account_id else ""


def _audience_of(nonce: str) -> Audience:
    mark = nonce.partition("~")[2]
    if mark == "o":
        return OWNER
    digits = mark[1:]
    is_person = mark[:1] == "p" and len(digits) <= _MOST_DIGITS and bool(digits) and set(digits) <= set(_DIGITS)
    return Audience(account_id=int(digits, 36)) if is_person else EVERYBODY


@functools.lru_cache(maxsize=64)  # many addresses expire in the same second
def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
