"""Passwords: argon2id (RFC 9106), and which ones are taken (NIST SP 800-63B, 3.1.1: length counts, not composition)."""

import asyncio
import functools
import itertools
import secrets
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from openstage.identity.errors import BadPassword

SHORTEST: Final = 8
LONGEST: Final = 1000
AT_ONCE: Final = 2
"""Passwords that one process hashes at once: each takes 64 MiB and about a tenth of a second."""

_OBVIOUS: Final = frozenset({
    "password", "password1", "passw0rd", "12345678", "123456789", "1234567890", "87654321", "qwertyui",
    "qwertyuiop", "1q2w3e4r", "iloveyou", "sunshine", "princess", "football", "baseball", "superman",
    "trustno1", "whatever", "letmein1", "welcome1", "admin123", "administrator", "openstage", "changeme",
    "abc12345", "a1234567", "woaini1314", "5201314520", "asdfghjkl", "zxcvbnm1", "88888888", "11223344",
    "password123",
})  # fmt: skip

_hasher = PasswordHasher()  # RFC 9106, 4: the second recommended option (3 passes, 64 MiB, 4 lanes)


class Passwords:
    """Hashes and verifies beside the event loop."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return what the database keeps of a password."""
        async with self._places:
            return await asyncio.to_thread(_hasher.hash, _plain(password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether it is the password; without a kept one it takes as long, and is not."""
        async with self._places:
            return await asyncio.to_thread(_matches, kept, _plain(password))

    @staticmethod
    def outdated(kept: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return _hasher.check_needs_rehash(kept)


def require_good(password: str, *, name: str) -> None:
    """Make sure that a new password isn't among the first that would be guessed.

    Raises:
        BadPassword: it is, or its length is out of bounds.

    """
    plain = _plain(password)
    if not SHORTEST <= len(plain) <= LONGEST:
        raise BadPassword(f"A password has {SHORTEST} to {LONGEST} characters.")
    folded = plain.casefold()
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(folded)}
    if folded in _OBVIOUS or folded == name.casefold() or len(steps) == 1 or len(set(folded)) < 3:
        raise BadPassword("This password is among the first that would be guessed; take another one.")


def _plain(password: str) -> str:
    # RFC 8265, 4.2: composed the same way on every keyboard.
    return unicodedata.normalize("NFC", password)


def _matches(kept: str | None, password: str) -> bool:
    try:
        return _hasher.verify(kept or _nobodys(), password.encode("utf-8", "replace")[: LONGEST * 4]) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_hex(16))
