"""Signed requests (CONTRACT 3.0; the document's 安全签名规则): pure functions, no input or output.

All parameters but `sign` and `client_secret`, sorted by name, joined as `name=value&…`, then `&client_secret=` and the
secret; the MD5 of that in small hex digits is `sign`. The document's own example leaves values as they are, real
clients encode them as forms do, others as addresses: each of these readings of the same parameters is taken.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final
from urllib.parse import quote

Pairs = Sequence[tuple[str, str]]
"""Parameters by name, in the order in which they came."""

UNSIGNED: Final = frozenset({"sign", "client_secret"})
WINDOW_SECONDS: Final = 600
"""By how much `nonce_str` may differ from the server's clock, before or after."""

_OPTIONAL = "*!'()"
# What encoders leave as it is beyond RFC 3986's letters, digits and `-._`, most usual first: Python, Go and PHP's
# rawurlencode; PHP's urlencode; Java's URLEncoder and the browsers' URLSearchParams; encodeURIComponent.
_KEPT: Final = ("~", "", "*", "~*!'()")


class Reading(StrEnum):
    """How values stand in the string that is signed.

    Attributes:
        RAW: as they are.
        FORM: percent-encoded UTF-8, a space as `+` (HTML forms).
        ADDRESS: percent-encoded UTF-8, a space as `%20` (RFC 3986).

    """

    RAW = "raw"
    FORM = "form"
    ADDRESS = "address"


def signed_string(pairs: Pairs, reading: Reading = Reading.FORM) -> str:
    """Return what is signed but for the secret: it ends in `client_secret=`."""
    return _joined(_sorted(pairs), reading, "~")


def digest(text: str, secret: str) -> str:
    """Return the signature of a string that ends in `client_secret=`; 32 small hex digits."""
    return hashlib.md5((text + secret).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def sign(pairs: Pairs, secret: str, reading: Reading = Reading.FORM) -> str:
    """Sign parameters, as a client does."""
    return digest(signed_string(pairs, reading), secret)


def reading_of(pairs: Pairs, secrets: Iterable[str], given: str) -> Reading | None:
    """Tell under which reading a signature fits one of the secrets; None: under none. Compares in constant time."""
    wanted = given.encode("utf-8", "replace")
    ordered, keys = _sorted(pairs), tuple(secrets)
    for reading, text in _candidates(ordered):
        if any(hmac.compare_digest(digest(text, key).encode(), wanted) for key in keys):
            return reading
    return None


def is_ambiguous(pairs: Pairs) -> bool:
    """Whether other parameters give the same raw string: a value holds `&`, or a name `&` or `=`."""
    return any("&" in name or "=" in name or "&" in value for name, value in pairs if name not in UNSIGNED)


def _sorted(pairs: Pairs) -> list[tuple[str, str]]:
    # Stable: several values of one name (`tags[]`) stay in their order.
    return sorted((pair for pair in pairs if pair[0] not in UNSIGNED), key=lambda pair: pair[0])


def _candidates(ordered: Pairs) -> Iterator[tuple[Reading, str]]:
    """Yield the strings that may have been signed, each once, the most usual first.

    Encoders disagree about a few characters; where one of those occurs, each usual spelling is tried. Percent-encoding
    can be undone whichever of them is left alone, so no two sets of parameters share a string.
    """
    plain = "".join(f"{name}{value}" for name, value in ordered)
    kept = _KEPT if any(character in plain for character in "~" + _OPTIONAL) else _KEPT[:1]
    seen = set()
    for spelling in kept:
        for reading in (Reading.FORM, Reading.ADDRESS):
            text = _joined(ordered, reading, spelling)
            if text not in seen:
                seen.add(text)
                yield reading, text
    raw = _joined(ordered, Reading.RAW, "")
    if raw not in seen:
        yield Reading.RAW, raw


def _joined(ordered: Pairs, reading: Reading, kept: str) -> str:
    fields = (f"{_spelt(name, reading, kept)}={_spelt(value, reading, kept)}" for name, value in ordered)
    return "&".join([*fields, "client_secret="])


def _spelt(text: str, reading: Reading, kept: str) -> str:
    if reading is Reading.RAW or (text.isalnum() and text.isascii()):
        return text
    encoded = quote(text, safe=kept.replace("~", ""), errors="replace")
    if "~" not in kept:
        encoded = encoded.replace("~", "%7E")
    return encoded.replace("%20", "+") if reading is Reading.FORM else encoded
