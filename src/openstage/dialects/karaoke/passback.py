"""`passback`: where the next page of a list begins, sealed, so that a client can neither read nor make one.

It is bound to the list that gave it: the call, what was asked for, and who asked. Nothing is kept of it here, and it
doesn't expire: a list can be turned on after a restart, or days later.
"""

import base64
import binascii
import os
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from openstage.dialects.karaoke.errors import PassbackInvalid
from openstage.identity.keys import Keys
from openstage.works.listing import Place

_PURPOSE: Final = b"passback"
_NONCE_BYTES: Final = 12
_FORM: Final = struct.Struct(">qq")
_LENGTH: Final = 4 * -(-(_NONCE_BYTES + _FORM.size + 16) // 3)


class Passbacks:
    """Seals places of lists, and opens them again."""

    def __init__(self, keys: Keys) -> None:
        self._cipher = AESGCM(keys.derive(_PURPOSE))

    def seal(self, name: str, place: Place | None) -> str:
        """Return the passback of a place in the list `name`; empty where nothing follows."""
        if place is None:
            return ""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, _FORM.pack(*place), name.encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, name: str, passback: str) -> Place | None:
        """Return the place that a passback stands for in the list `name`; None for an empty one: the list's begin.

        Raises:
            PassbackInvalid: this list didn't give it, or not so.

        """
        if not passback:
            return None
        try:
            text = passback.encode("ascii")
            if len(text) > _LENGTH:
                raise PassbackInvalid(_REFUSAL)
            sealed = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return tuple(_FORM.unpack(self._cipher.decrypt(nonce, rest, name.encode())))
        except (ValueError, binascii.Error, InvalidTag) as error:
            raise PassbackInvalid(_REFUSAL) from error


_REFUSAL: Final = "passback is not one that this list gave to this user; leave it out to begin anew."
