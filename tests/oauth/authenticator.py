"""An authenticator in software: makes passkeys and signs with them, as it is asked or otherwise."""

import base64
import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Authenticator:
    """Holds one passkey (ES256)."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.handle = b""
        self.count = 0

    def make(self, options: dict[str, Any], **changes: Any) -> str:
        """What `navigator.credentials.create` gives, as the page sends it."""
        self.handle = base64.urlsafe_b64decode(options["user"]["id"] + "==")
        point = self.key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(key)
        data = self._data(options["rp"]["id"], HAS_CREDENTIAL, **changes) + credential
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options, **changes)
        return self._answer({"clientDataJSON": b64(client), "attestationObject": b64(attested)})

    def use(self, options: dict[str, Any], **changes: Any) -> str:
        """What `navigator.credentials.get` gives."""
        self.count += 1
        data = self._data(options["rpId"], 0, **changes)
        client = self._client("webauthn.get", options, **changes)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": b64(client),
                "authenticatorData": b64(data),
                "signature": b64(signature),
                "userHandle": b64(self.handle),
            }
        )

    def _answer(self, response: dict[str, str]) -> str:
        return json.dumps({"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": response})

    def _data(self, party: str, flags: int, *, verified: bool = True, count: int | None = None, **_: Any) -> bytes:
        flags |= PRESENT | (VERIFIED if verified else 0)
        counted = self.count if count is None else count
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + counted.to_bytes(4, "big")

    def _client(self, kind: str, options: dict[str, Any], *, origin: str = "", **_: Any) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": origin or self.origin}
        return json.dumps(said).encode()
