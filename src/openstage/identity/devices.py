"""Sign-in of devices without a keyboard (RFC 8628): the device waits, a person confirms on a phone.

Two codes: the device's own, which is long and never shown, and a short one that a person types or scans. Who sees the
screen can confirm, but can't get the tokens. `tickets.py` is its twin, in which the device gets a code instead of
tokens; what a person sees and decides is the same for both, and is here.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, LiteralString

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.identity import tokens
from openstage.identity.accounts import require_active
from openstage.identity.errors import (
    AlreadyDecided,
    AlreadyRefused,
    DeviceExpired,
    DeviceRefused,
    DeviceTooFast,
    DeviceUnknown,
    DeviceWaiting,
)
from openstage.identity.issuing import STANDARD, Issuer, Terms, end, person_of
from openstage.identity.keys import Keys
from openstage.identity.labels import plain
from openstage.identity.models import Account, App, Issued
from openstage.settings import Settings

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no digits, so none is taken for a letter (RFC 8628, 6.1)."""
USER_CODE_LENGTH: Final = 8
"""34 bits; guesses are limited besides."""
INTERVAL: Final = 5
LONGEST_DEVICE: Final = 60
LONGEST_DEVICE_ID: Final = 128
CHANNEL: Final[LiteralString] = "openstage_ticket"
"""Where the database tells of a ticket that has changed (LISTEN): its digest in hex."""

DeviceState = Literal["waiting", "scanned", "confirmed", "refused", "used"]


@dataclass(frozen=True, slots=True)
class DeviceCodes:
    """What a device is told when it begins."""

    device_code: str
    user_code: str
    """As shown: `BCDF-GHJK`."""
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a person is shown before they decide."""

    user_code: str
    """As shown: `BCDF-GHJK`; the device shows it, too."""
    client_id: str
    app_name: str
    device: str
    """What the device calls itself; may be empty."""
    device_id: str
    scopes: Sequence[str]


class Devices:
    """Sign-ins that devices have begun."""

    def __init__(self, database: Database, settings: Settings, issuer: Issuer, keys: Keys) -> None:
        self._database = database
        self._life = settings.device_code_lifetime
        self._code_life = settings.code_lifetime
        self._issuer = issuer
        self._key = keys.derive(b"ticket codes")

    async def begin(self, app: App, scopes: Sequence[str], *, device: str = "") -> DeviceCodes:
        """Begin the sign-in of a device.

        Args:
            app: the app on it.
            scopes: what it asks for.
            device: what it calls itself, for the person who confirms.

        """
        device_code = tokens.new_code()
        letters = await store_grant(self._database, device_code, app.id, scopes, device=device, life=self._life)
        return DeviceCodes(device_code, shown(letters), self._life, INTERVAL)

    async def look(self, user_code: str) -> Waiting:
        """Return what waits under the short code that a device shows, and note that somebody looks at it.

        Raises:
            DeviceUnknown: nothing waits under it (any more).
            AlreadyDecided: somebody has confirmed it, or (AlreadyRefused) refused it.

        """
        return await self._look("user_code", letters_of(user_code))

    async def look_by_link(self, link: str) -> Waiting:
        """Like `look`, by the link of a ticket's QR code."""
        return await self._look("link", storable(link))

    async def app_of_link(self, link: str) -> str | None:
        """Return the name of the app whose QR code has a link; None: none waits for a decision there (any more)."""
        row = await self._database.fetch_one(
            "select a.name from device_grant d join app a on a.id = d.app_id"
            " where d.link = %(link)s and d.state in ('waiting', 'scanned') and d.expires_at > now()",
            {"link": storable(link)},
        )
        return plain(row[0]) if row else None

    async def knew_link(self, link: str) -> bool:
        """Whether a QR code has or had a link, as long as that is remembered."""
        known = "select true from device_grant where link = %(link)s"
        return await self._database.fetch_one(known, {"link": storable(link)}) is not None

    async def decide(self, user_code: str, account: Account | None, *, allow: bool) -> None:
        """Confirm or refuse in the name of a person; the first decision holds.

        Args:
            user_code: what the device shows.
            account: the person; None: the operator, who may only refuse.
            allow: whether to confirm.

        Raises:
            DeviceUnknown: nothing waits under the code.
            AlreadyDecided: somebody was first; AlreadyRefused: and refused.
            AccountDisabled: the person's account has been disabled meanwhile.

        """
        async with self._database.transaction() as connection:
            if account is not None:
                await require_active(connection, account.id)
            cursor = await connection.execute(
                "select digest, app_id, state, scopes, link is not null from device_grant"
                " where user_code = %s and expires_at > now() for update",
                (letters_of(user_code),),
            )
            row = await cursor.fetchone()
            if row is None:
                raise DeviceUnknown("No device shows this code, or it has expired.")
            digest, app_id, state, scopes, is_ticket = row
            _require_open(state)
            if not allow or account is None:
                await _settle(connection, digest, "refused")
                return
            user_id = await person_of(connection, app_id, account.id, account.name)
            code = await self._make_code(connection, digest, app_id, user_id, scopes) if is_ticket else None
            await _settle(connection, digest, "confirmed", user_id, code)

    async def poll(self, app: App, device_code: str, *, terms: Terms = STANDARD) -> Issued:
        """Give the device its tokens if the person has confirmed.

        Raises:
            DeviceWaiting: not yet.
            DeviceTooFast: not yet, and it asks too often.
            DeviceRefused: the person refused.
            DeviceExpired: nobody decided in time.
            DeviceUnknown: no such code, it was used, or it is another app's.
            AccountDisabled: the person's account has been disabled meanwhile.

        """
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                """
                select state, user_id, scopes, expires_at <= now(), family_id,
                       coalesce(polled_at > now() - make_interval(secs => interval_s), false)
                from device_grant where digest = %s and app_id = %s and link is null for update
                """,
                (tokens.digest(device_code), app.id),
            )
            row = await cursor.fetchone()
            if row is None:
                raise DeviceUnknown("The device_code is unknown, or was given to another app.")
            state, user_id, scopes, expired, family_id, too_fast = row
            if state == "confirmed" and not expired:
                issued = await self._issuer.issue(
                    connection, app_id=app.id, user_id=user_id, scopes=scopes, origin="device", terms=terms
                )
                await connection.execute(
                    "update device_grant set state = 'used', family_id = %s where digest = %s",
                    (issued.family_id, tokens.digest(device_code)),
                )
                return issued
            if state == "used" and family_id is not None:
                await end(connection, family_id, by="reuse")
            await connection.execute(
                "update device_grant set polled_at = now(), interval_s = interval_s + %s where digest = %s",
                (5 if too_fast else 0, tokens.digest(device_code)),
            )
        # After the commit: what was written above must stay.
        if state == "used":
            raise DeviceUnknown("The device_code was used before: what came of it has been revoked; begin again.")
        if state == "refused":
            raise DeviceRefused("The person refused.")
        if expired:
            raise DeviceExpired("Nobody confirmed in time; begin again.")
        if too_fast:
            raise DeviceTooFast("Asked again too soon; wait 5 s longer between two calls from now on.")
        raise DeviceWaiting("Nobody has confirmed yet; ask again.")

    async def forget_expired(self) -> int:
        """Remove what is over for an hour; until then the device is told why."""
        async with self._database.connection() as connection:
            cursor = await connection.execute("delete from device_grant where expires_at < now() - interval '1 hour'")
        return cursor.rowcount

    async def _look(self, column: LiteralString, value: str) -> Waiting:
        row = await self._database.fetch_one(
            f"""
            select d.digest, d.state, d.user_code, a.client_id, a.name, d.device, d.device_id, d.scopes
            from device_grant d join app a on a.id = d.app_id
            where d.{column} = %(value)s and d.expires_at > now()
            """,
            {"value": value},
        )
        if row is None:
            raise DeviceUnknown("No device shows this code, or it has expired.")
        digest, state, letters, client_id, app_name, *others = row
        _require_open(state)
        if state == "waiting":
            async with self._database.connection() as connection:
                await connection.execute(
                    """
                    with scanned as (
                        update device_grant set state = 'scanned' where digest = %s and state = 'waiting'
                        returning digest
                    )
                    select pg_notify(%s, encode(digest, 'hex')) from scanned
                    """,
                    (digest, CHANNEL),
                )
        return Waiting(shown(letters), client_id, plain(app_name), *others)

    async def _make_code(
        self, connection: Connection, ticket_digest: bytes, app_id: int, user_id: int, scopes: Sequence[str]
    ) -> bytes:
        """Make the code that a ticket gives, and return its digest."""
        digest = tokens.digest(tokens.code_of_ticket(self._key, ticket_digest))
        await connection.execute(
            """
            insert into authorization_code (digest, app_id, user_id, redirect, redirect_sent, scopes, expires_at)
            values (%s, %s, %s, '', false, %s, now() + make_interval(secs => %s))
            """,
            (digest, app_id, user_id, list(scopes), self._code_life),
        )
        return digest


async def store_grant(
    database: Database,
    secret: str,
    app_id: int,
    scopes: Sequence[str],
    *,
    life: int,
    device: str = "",
    device_id: str = "",
    link: str | None = None,
) -> str:
    """Store what a device has begun, under letters that no other device shows just now; returns the letters.

    Args:
        database: where.
        secret: the device's own code, or its ticket.
        app_id: the app on the device.
        scopes: what it asks for.
        life: seconds until it expires.
        device: what the device calls itself.
        device_id: its id.
        link: of the QR code; None: it isn't a ticket.

    """
    while True:
        letters = "".join(secrets.choice(LETTERS) for _ in range(USER_CODE_LENGTH))
        row = await database.fetch_one(
            """
            insert into device_grant (digest, user_code, app_id, scopes, device, device_id, link, interval_s,
                expires_at)
            values (%(digest)s, %(letters)s, %(app)s, %(scopes)s, %(device)s, %(device_id)s, %(link)s, %(interval)s,
                now() + make_interval(secs => %(life)s))
            on conflict (user_code) do nothing returning true
            """,
            {
                "digest": tokens.digest(secret),
                "letters": letters,
                "app": app_id,
                "scopes": list(scopes),
                "device": storable(plain(device))[:LONGEST_DEVICE],
                "device_id": storable(plain(device_id))[:LONGEST_DEVICE_ID],
                "link": link,
                "interval": INTERVAL,
                "life": life,
            },
        )
        if row is not None:  # else another device shows these letters just now
            return letters


async def _settle(
    connection: Connection,
    digest: bytes,
    state: DeviceState,
    user_id: int | None = None,
    code_digest: bytes | None = None,
) -> None:
    await connection.execute(
        """
        with decided as (
            update device_grant set state = %s, user_id = %s, code_digest = %s where digest = %s returning digest
        )
        select pg_notify(%s, encode(digest, 'hex')) from decided
        """,
        (state, user_id, code_digest, digest, CHANNEL),
    )


def _require_open(state: DeviceState) -> None:
    """Raise AlreadyDecided unless somebody may decide still."""
    if state == "refused":
        raise AlreadyRefused("This sign-in has been refused.")
    if state not in {"waiting", "scanned"}:
        raise AlreadyDecided("This code has been used.")


def letters_of(typed: str) -> str:
    """Return a short code as it is kept: case, blanks and hyphens don't count (RFC 8628, 6.1)."""
    return "".join(letter for letter in typed[:50].upper() if letter in LETTERS)


def shown(letters: str) -> str:
    """Return a short code as people read it."""
    return f"{letters[:4]}-{letters[4:]}"
