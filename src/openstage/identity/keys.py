"""The master key and what is derived from it.

The master key lies in a file outside the database (`<data>/keys/master.key`, mode 0600), so that a copy of the
database alone opens no app secret and forges no address. It is part of a backup.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from openstage.errors import DomainError

KEY_BYTES = 32
NONCE_BYTES = 12


class MasterKeyUnusable(DomainError):
    """The master key file is damaged, or isn't the one the database was written with."""

    code = "identity.master_key_unusable"


class Keys:
    """Derives one key per purpose from the master key, and encrypts small secrets."""

    def __init__(self, master: bytes) -> None:
        """Take a master key of 32 bytes."""
        if len(master) != KEY_BYTES:
            raise MasterKeyUnusable(f"The master key must have {KEY_BYTES} bytes.")
        self._master = master
        self._secrets = AESGCM(self.derive(b"secrets"))

    @classmethod
    def load(cls, folder: Path, *, needed: bool = False) -> "Keys":
        """Read the master key of a data folder; make it at the first start.

        Args:
            folder: the data folder.
            needed: whether the database holds secrets already, so that a new key would be of no use.

        Raises:
            MasterKeyUnusable: the file doesn't hold a key, or is missing though it is needed.

        """
        file = folder / "keys" / "master.key"
        try:
            text = file.read_text()
        except FileNotFoundError:
            if needed:
                raise MasterKeyUnusable(
                    f"{file} is missing, and the database was written under it; restore it from a backup, or copy it "
                    "from another server of the same database."
                ) from None
            return cls._create(file)
        try:
            return cls(bytes.fromhex(text))
        except ValueError as error:
            raise MasterKeyUnusable(f"{file} does not hold a key; restore it from a backup.") from error

    @classmethod
    def _create(cls, file: Path) -> "Keys":
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        master = secrets.token_bytes(KEY_BYTES)
        fresh = file.with_name(f"master.{secrets.token_hex(8)}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(master.hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            # Two first starts at once: who links first made the key, the other one reads it.
            os.link(fresh, file)
        except FileExistsError:
            return cls(bytes.fromhex(file.read_text()))
        finally:
            fresh.unlink()
        return cls(master)

    def derive(self, purpose: bytes) -> bytes:
        """Return the 32-byte key of a purpose (HKDF-Expand with one block, RFC 5869)."""
        return hmac.digest(self._master, purpose + b"\x01", hashlib.sha256)

    def encrypt(self, secret: str) -> bytes:
        """Encrypt a secret for the database (AES-256-GCM, the nonce first)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._secrets.encrypt(nonce, secret.encode(), None)

    def decrypt(self, sealed: bytes) -> str:
        """Undo `encrypt`.

        Raises:
            MasterKeyUnusable: it was encrypted under another master key.

        """
        try:
            return self._secrets.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode()
        except InvalidTag as error:
            raise MasterKeyUnusable(
                "The database was written under another master key; restore keys/master.key."
            ) from error
