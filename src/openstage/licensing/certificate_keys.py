"""The keys that sign certificates: Ed25519 (RFC 8032), in the database, their private parts under the master key.

All servers of a database sign with the same key; the newest that isn't retired. A retired key signs nothing more, and
what it signed can be verified for ever: it stays in the public list.
"""

import base64
import datetime as dt
import hashlib
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from psycopg.rows import class_row

from openstage.database.engine import Connection, Database
from openstage.identity.keys import Keys


@dataclass(frozen=True, slots=True)
class CertificateKey:
    """The public part of a key."""

    key_id: str
    """Its JWK thumbprint (RFC 7638)."""
    public: bytes
    """Raw, 32 bytes (RFC 8032)."""
    created_at: dt.datetime
    retired_at: dt.datetime | None
    """Since when it signs nothing more; None: it signs."""

    @property
    def jwk(self) -> dict[str, str]:
        """As a JSON Web Key (RFC 8037)."""
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64(self.public), "kid": self.key_id, "use": "sig"}

    @property
    def pem(self) -> str:
        """As OpenSSL reads it (SubjectPublicKeyInfo, RFC 8410)."""
        key = Ed25519PublicKey.from_public_bytes(self.public)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs."""

    key_id: str
    private: Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes; the same for the same message."""
        return self.private.sign(message)


_COLUMNS = "key_id, public, created_at, retired_at"


class CertificateKeys:
    """The keys of a database; the first is made when it is first needed."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys

    async def list(self) -> list[CertificateKey]:
        """Return all keys, the newest first: the first one signs."""
        await self._ensure()
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(CertificateKey)) as cursor,
        ):
            await cursor.execute(f"select {_COLUMNS} from certificate_key order by retired_at desc nulls first, key_id")
            return await cursor.fetchall()

    async def signing(self, key_id: str | None = None) -> SigningKey:
        """Return the key that signs, or the one of this id, which may have been retired since it was chosen.

        Raises:
            MasterKeyUnusable: it was encrypted under another master key.

        """
        await self._ensure()
        row = await self._database.fetch_one(
            """
            select key_id, sealed from certificate_key
            where case when %(id)s::text is null then retired_at is null else key_id = %(id)s end
            """,
            {"id": key_id},
        )
        assert row is not None, "keys are never removed, and one of them signs"
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self._keys.decrypt(row[1])))
        return SigningKey(row[0], private)

    async def rotate(self) -> CertificateKey:
        """Make a new key, which signs from now on; the others are retired. What was signed stays valid."""
        async with self._database.transaction() as connection:
            await connection.execute("lock table certificate_key in share row exclusive mode")
            await connection.execute("update certificate_key set retired_at = now() where retired_at is null")
            await self._insert(connection)
        return (await self.list())[0]

    async def _ensure(self) -> None:
        """Make the first key unless there is one; of several servers at once one succeeds."""
        if await self._database.fetch_one("select 1 from certificate_key where retired_at is null") is None:
            async with self._database.connection() as connection:
                await self._insert(connection)

    async def _insert(self, connection: Connection) -> None:
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        await connection.execute(
            """
            insert into certificate_key (key_id, public, sealed) values (%s, %s, %s)
            on conflict ((true)) where retired_at is null do nothing
            """,
            (thumbprint(public), public, self._keys.encrypt(private.private_bytes_raw().hex())),
        )


def thumbprint(public: bytes) -> str:
    """Return the JWK thumbprint of an Ed25519 key (RFC 7638; RFC 8037, A.3)."""
    text = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": _base64(public)}, separators=(",", ":"))
    return _base64(hashlib.sha256(text.encode()).digest())


def key_set(keys: list[CertificateKey]) -> str:
    """Return keys as a JSON Web Key Set (RFC 7517, 5)."""
    return json.dumps({"keys": [key.jwk for key in keys]}, indent=2) + "\n"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
