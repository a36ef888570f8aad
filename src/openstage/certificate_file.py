"""The form of a certificate's file: a PDF that carries its facts and one Ed25519 signature over every other byte.

Both stand in comments (ISO 32000-1, 7.2.4) before the PDF's last lines, so that any viewer opens the file:

    … the PDF …
    %openstage-certificate 1
    %<the facts: JSON in UTF-8, base64, at most 76 characters a line>
    %openstage-signature ed25519 <key id> <128 hex digits>
    startxref
    <10 digits>
    %%EOF

The signed message is the file without the 128 digits. The lines after them have 28 bytes, always: what is signed can be
cut out with `head` and `tail`. Stands alone (the client verifies without a server); needs `cryptography` to verify.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

FORMAT: Final = 1
LARGEST: Final = 16 * 1024**2
"""Bytes; a certificate has about 100 KB."""
LARGEST_KEYS: Final = 1024**2

_FACTS: Final = f"\n%openstage-certificate {FORMAT}\n".encode()
_SIGNATURE: Final = b"%openstage-signature ed25519 "
_END: Final = re.compile(rb"\nstartxref\n(\d{1,10})\n%%EOF\s*\Z")
_SIGNED: Final = re.compile(
    re.escape(_SIGNATURE) + rb"([A-Za-z0-9_-]{43}) ([0-9a-f]{128})\nstartxref\n\d{10}\n%%EOF\n\Z"
)
_LINE: Final = 76
_AFTER: Final = 28
"""Bytes after the signature's digits."""
_DIGITS: Final = 128

Reason = Literal["", "not_a_certificate", "unknown_key", "changed"]


class NotPdf(ValueError):
    """What shall be signed doesn't end as a PDF does."""


class BadKeys(ValueError):
    """A list of public keys can't be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a certificate's signature says.

    Attributes:
        valid: whether one of the keys signed exactly these bytes.
        reason: why it isn't valid; empty if it is. With `unknown_key` it may be genuine, but none of the keys given
            made it.
        message: the same for a person, with what to do.
        key_id: the key that it names; empty where it names none.
        facts: what it certifies; empty unless it is valid.

    """

    valid: bool
    reason: Reason
    message: str
    key_id: str
    facts: Mapping[str, Any]


def prepare(pdf: bytes, facts: Mapping[str, Any], key_id: str) -> tuple[bytes, bytes]:
    """Put facts and the place for a signature into a PDF.

    Args:
        pdf: a whole PDF.
        facts: what it certifies, as JSON knows it.
        key_id: names the key that will sign.

    Returns:
        what stands before the signature's digits, and what stands after them. Both together, without the digits, are
        the message to sign.

    Raises:
        NotPdf: it doesn't end as a PDF does.

    """
    end = _END.search(pdf[-64:])
    if end is None or not pdf.startswith(b"%PDF-"):
        raise NotPdf("The file doesn't begin and end as a PDF does.")
    body = pdf[: max(0, len(pdf) - 64) + end.start()]
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    packed = base64.b64encode(text.encode())
    lines = b"".join(b"%" + packed[at : at + _LINE] + b"\n" for at in range(0, len(packed), _LINE))
    after = b"\nstartxref\n%010d\n%%%%EOF\n" % int(end[1])
    return body + _FACTS + lines + _SIGNATURE + key_id.encode() + b" ", after


def assemble(before: bytes, signature: bytes, after: bytes) -> bytes:
    """Return the whole file: `prepare`'s parts around a signature of 64 bytes."""
    return before + signature.hex().encode() + after


def verify(data: bytes, keys: Mapping[str, bytes]) -> Verdict:
    """Tell whether a certificate is exactly what one of the keys signed. Any changed, added or missing byte fails.

    Args:
        data: the file.
        keys: public keys, raw (32 bytes), by their ids (`read_keys`).

    Raises:
        ModuleNotFoundError: the package `cryptography` isn't installed.

    """
    # Imported where it is needed: the client works without it until somebody verifies.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    signed = _SIGNED.search(data, max(0, len(data) - 512)) if len(data) <= LARGEST else None
    if signed is None:
        return _refused("not_a_certificate", "This is no certificate of Openstage, or its end was changed.")
    key_id = signed[1].decode()
    if key_id not in keys:
        return _refused(
            "unknown_key",
            f"It names the key {key_id}, which is not among the {len(keys)} given: fetch the keys of the server that "
            "the certificate should come from, or don't trust it.",
            key_id,
        )
    # Only the one spelling in small letters matches above, and OpenSSL refuses an S that isn't reduced: nobody can
    # write the same signature in another way.
    message = data[: -_AFTER - _DIGITS] + data[-_AFTER:]
    changed = _refused("changed", "It was changed after it was signed, or this key never signed it.", key_id)
    try:
        Ed25519PublicKey.from_public_bytes(keys[key_id]).verify(bytes.fromhex(signed[2].decode()), message)
        facts = _facts(data[: signed.start()])
    except (InvalidSignature, ValueError):
        return changed
    return Verdict(valid=True, reason="", message="Signed by this server, and unchanged.", key_id=key_id, facts=facts)


def read_keys(text: str | bytes) -> dict[str, bytes]:
    """Read a list of public keys (JSON Web Key Set, RFC 7517 and RFC 8037); keys of other kinds are passed over.

    Returns:
        raw public keys (32 bytes) by their ids.

    Raises:
        BadKeys: it isn't one, or holds no Ed25519 key.

    """
    try:
        listed = json.loads(text)["keys"]
        found = {
            str(each["kid"]): _unpadded(str(each["x"]))
            for each in listed
            if each.get("kty") == "OKP" and each.get("crv") == "Ed25519"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadKeys("This is no list of public keys: a JSON Web Key Set is expected.") from error
    if not found or any(len(raw) != 32 for raw in found.values()):
        raise BadKeys("The list holds no Ed25519 key, or one that isn't 32 bytes long.")
    return found


def _facts(before: bytes) -> dict[str, Any]:
    """Read the facts off the lines before the signature; ValueError if there are none."""
    lines = before[before.rindex(_FACTS) + len(_FACTS) :].splitlines()
    facts = json.loads(base64.b64decode(b"".join(line.removeprefix(b"%") for line in lines), validate=True))
    if not isinstance(facts, dict):
        raise ValueError("The facts are no object.")  # noqa: TRY004 - one error for all that can't be read
    return facts


def _unpadded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _refused(reason: Reason, message: str, key_id: str = "") -> Verdict:
    return Verdict(valid=False, reason=reason, message=message, key_id=key_id, facts={})
