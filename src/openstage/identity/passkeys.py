"""Passkeys: signing in without a password (Web Authentication, Level 3). The password goes on working beside them.

A challenge is signed once, within minutes, in the browser that asked for it: it is taken out of the database as its
answer is read, right or wrong.
"""

import asyncio
import datetime as dt
import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from psycopg.rows import class_row

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.identity import tokens
from openstage.identity.errors import PasskeyInvalid
from openstage.identity.keys import Keys
from openstage.identity.models import Account
from openstage.settings import Settings

if TYPE_CHECKING:
    from openstage.identity.authenticators import Party

CHALLENGE_BYTES: Final = 32
CHALLENGE_SECONDS: Final = 300
MOST_PASSKEYS: Final = 20
"""Passkeys of one account."""
LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey, for the person's own list."""

    id: int
    name: str
    synced: bool
    """It may be on several of the person's devices."""
    created_at: dt.datetime
    used_at: dt.datetime | None


class Passkeys:
    """What can be done with passkeys."""

    def __init__(self, database: Database, settings: Settings, keys: Keys) -> None:
        self._database = database
        self._key = keys.derive(b"passkey handles")
        self._base = settings.base("public")

    @property
    def possible(self) -> bool:
        """Whether browsers make passkeys for this server: it needs a domain name and TLS, or is `localhost`."""
        parts = urlsplit(self._base)
        host = parts.hostname or ""
        return host == "localhost" or (parts.scheme == "https" and not _is_address(host))

    async def ask_to_make(self, account: Account, browser: str) -> str:
        """Return what a browser is to ask an authenticator for, as JSON.

        Args:
            account: whose passkey it will be.
            browser: what this browser's forms hang on.

        Raises:
            PasskeyInvalid: the account has as many as it may, or there can't be any here.

        """
        party = self._party()
        async with self._database.connection() as connection:
            cursor = await connection.execute("select credential from passkey where account_id = %s", (account.id,))
            known = [bytes(row[0]) for row in await cursor.fetchall()]
        if len(known) >= MOST_PASSKEYS:
            raise PasskeyInvalid(f"An account has {MOST_PASSKEYS} passkeys at most; remove one first.")
        challenge = await self._challenge(browser, account.id)
        from openstage.identity import authenticators  # noqa: PLC0415 - slow to load, and seldom needed

        return authenticators.options_to_make(party, challenge, self._handle(account.id), account.name, known)

    async def make(self, account: Account, browser: str, answer: str, *, name: str) -> None:
        """Keep a passkey that an authenticator has made.

        Args:
            account: whose it is.
            browser: what this browser's forms hang on.
            answer: of `navigator.credentials.create`, as JSON.
            name: for the person's list.

        Raises:
            PasskeyInvalid: it isn't the answer to what this browser was asked, or the passkey is known.

        """
        party = self._party()
        from openstage.identity import authenticators  # noqa: PLC0415 - slow to load, and seldom needed

        credential, _, challenge = authenticators.parsed(answer)
        async with self._database.connection() as connection:
            await _take_challenge(connection, challenge, browser, account.id)
            made = await asyncio.to_thread(authenticators.verified_make, party, credential, challenge)
            cursor = await connection.execute(
                """
                insert into passkey (account_id, credential, public_key, sign_count, name, synced)
                values (%s, %s, %s, %s, %s, %s) on conflict (credential) do nothing
                """,
                (account.id, made.id, made.public_key, made.sign_count, storable(name)[:LONGEST_NAME], made.synced),
            )
        if not cursor.rowcount:
            raise PasskeyInvalid("This passkey is known already.")

    async def ask_to_use(self, browser: str) -> str:
        """Return what a browser is to ask an authenticator for so that somebody signs in, as JSON."""
        party = self._party()
        challenge = await self._challenge(browser, None)
        from openstage.identity import authenticators  # noqa: PLC0415 - slow to load, and seldom needed

        return authenticators.options_to_use(party, challenge)

    async def use(self, browser: str, answer: str) -> Account:
        """Return whose passkey has signed.

        Args:
            browser: what this browser's forms hang on.
            answer: of `navigator.credentials.get`, as JSON.

        Raises:
            PasskeyInvalid: it isn't the answer to what this browser was asked, or no passkey of this server.

        """
        party = self._party()
        from openstage.identity import authenticators  # noqa: PLC0415 - slow to load, and seldom needed

        credential, identifier, challenge = authenticators.parsed(answer)
        async with self._database.transaction() as connection:
            await _take_challenge(connection, challenge, browser, None)
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                """
                select p.id, p.public_key, p.sign_count, a.id, a.name, a.state, a.created_at, a.signed_in_at
                from passkey p join account a on a.id = p.account_id where p.credential = %s for no key update of p
                """,
                (identifier,),
            )
            row = await cursor.fetchone()
            if row is None:
                raise PasskeyInvalid("This passkey is not known here (any more).")
            number, public_key, sign_count, *account = row
            count = await asyncio.to_thread(
                authenticators.verified_use, party, credential, challenge, bytes(public_key), sign_count
            )
            await connection.execute(
                "update passkey set sign_count = %s, used_at = now() where id = %s", (count, number)
            )
            await connection.execute("update account set signed_in_at = now() where id = %s", (account[0],))
        return Account(*account)

    async def list(self, account_id: int) -> list[Passkey]:
        """Return a person's passkeys, the oldest first."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Passkey)) as rows:
            await rows.execute(
                "select id, name, synced, created_at, used_at from passkey where account_id = %s order by id",
                (account_id,),
            )
            return await rows.fetchall()

    async def remove(self, account_id: int, number: int) -> bool:
        """Remove one of a person's passkeys; whether there was one."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "delete from passkey where account_id = %s and id = %s", (account_id, number)
            )
        return cursor.rowcount > 0

    async def remove_all(self, account_id: int) -> int:
        """Remove all passkeys of a person; returns how many."""
        async with self._database.connection() as connection:
            return (await connection.execute("delete from passkey where account_id = %s", (account_id,))).rowcount

    async def forget_expired(self) -> int:
        """Remove challenges that nobody has answered; returns how many."""
        async with self._database.connection() as connection:
            return (await connection.execute("delete from passkey_challenge where expires_at <= now()")).rowcount

    def _party(self) -> "Party":
        if not self.possible:
            raise PasskeyInvalid("Passkeys need a server with a domain name and TLS.")
        from openstage.identity.authenticators import Party  # noqa: PLC0415 - slow to load, and seldom needed

        parts = urlsplit(self._base)
        return Party(parts.hostname or "", f"{parts.scheme}://{parts.netloc}")

    async def _challenge(self, browser: str, account_id: int | None) -> bytes:
        challenge = tokens.random_bytes(CHALLENGE_BYTES)
        async with self._database.connection() as connection:
            await connection.execute(
                "insert into passkey_challenge (digest, browser, account_id, expires_at)"
                " values (%s, %s, %s, now() + make_interval(secs => %s))",
                (hashlib.sha256(challenge).digest(), tokens.digest(browser), account_id, CHALLENGE_SECONDS),
            )
        return challenge

    def _handle(self, account_id: int) -> bytes:
        """Return what stands for an account at authenticators: always the same, and nobody can tell whose it is."""
        return hmac.digest(self._key, b"%d" % account_id, hashlib.sha256)


async def _take_challenge(connection: Connection, challenge: bytes, browser: str, account_id: int | None) -> None:
    cursor = await connection.execute(
        """
        delete from passkey_challenge
        where digest = %s and browser = %s and account_id is not distinct from %s and expires_at > now()
        """,
        (hashlib.sha256(challenge).digest(), tokens.digest(browser), account_id),
    )
    if not cursor.rowcount:
        raise PasskeyInvalid("This took too long, or was answered before; try once more.")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
