"""Sign-in of devices without a keyboard (RFC 8628): the device waits, a person confirms on a phone.

Two codes: the device's own, which is long and never shown, and a short one that a person types or scans. Who sees the
screen can confirm, but can't get the tokens.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from openstage.database.engine import Database
from openstage.database.text import storable
from openstage.identity import tokens
from openstage.identity.errors import (
    AlreadyDecided,
    DeviceExpired,
    DeviceRefused,
    DeviceTooFast,
    DeviceUnknown,
    DeviceWaiting,
)
from openstage.identity.issuing import STANDARD, Issuer, Terms, end, person_of
from openstage.identity.models import Account, App, Issued
from openstage.settings import Settings

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no digits, so none is taken for a letter (RFC 8628, 6.1)."""
USER_CODE_LENGTH: Final = 8
"""34 bits; guesses are limited besides."""
INTERVAL: Final = 5
LONGEST_DEVICE: Final = 60

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
    client_id: str
    app_name: str
    device: str
    scopes: Sequence[str]


class Devices:
    """Sign-ins that devices have begun."""

    def __init__(self, database: Database, settings: Settings, issuer: Issuer) -> None:
        self._database = database
        self._life = settings.device_code_lifetime
        self._issuer = issuer

    async def begin(self, app: App, scopes: Sequence[str], *, device: str = "") -> DeviceCodes:
        """Begin the sign-in of a device.

        Args:
            app: the app on it.
            scopes: what it asks for.
            device: what it calls itself, for the person who confirms.

        """
        device_code = tokens.new_code()
        while True:
            letters = "".join(secrets.choice(LETTERS) for _ in range(USER_CODE_LENGTH))
            row = await self._database.fetch_one(
                """
                insert into device_grant (digest, user_code, app_id, scopes, device, interval_s, expires_at)
                values (%(digest)s, %(letters)s, %(app)s, %(scopes)s, %(device)s, %(interval)s,
                        now() + make_interval(secs => %(life)s))
                on conflict (user_code) do nothing returning true
                """,
                {
                    "digest": tokens.digest(device_code),
                    "letters": letters,
                    "app": app.id,
                    "scopes": list(scopes),
                    "device": storable(" ".join(device.split()))[:LONGEST_DEVICE],
                    "interval": INTERVAL,
                    "life": self._life,
                },
            )
            if row is not None:  # else another device shows these letters just now
                return DeviceCodes(device_code, shown(letters), self._life, INTERVAL)

    async def look(self, user_code: str) -> Waiting:
        """Return what waits under a short code, and note that somebody looks at it.

        Raises:
            DeviceUnknown: nothing waits under it (any more).
            AlreadyDecided: somebody has confirmed or refused it.

        """
        row = await self._database.fetch_one(
            """
            update device_grant d set state = case when d.state = 'waiting' then 'scanned' else d.state end
            from app a where a.id = d.app_id and d.user_code = %(code)s and d.expires_at > now()
            returning d.user_code, a.client_id, a.name, d.device, d.scopes, d.state
            """,
            {"code": letters_of(user_code)},
        )
        if row is None:
            raise DeviceUnknown("No device shows this code, or it has expired.")
        *waiting, state = row
        if state != "scanned":
            raise AlreadyDecided("This code has been used.")
        found = Waiting(*waiting)
        return Waiting(shown(found.user_code), found.client_id, found.app_name, found.device, found.scopes)

    async def decide(self, user_code: str, account: Account, *, allow: bool) -> None:
        """Confirm or refuse in the name of a person; the first decision holds.

        Raises:
            DeviceUnknown: nothing waits under the code.
            AlreadyDecided: somebody was first.

        """
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "select app_id, state from device_grant where user_code = %s and expires_at > now() for update",
                (letters_of(user_code),),
            )
            row = await cursor.fetchone()
            if row is None:
                raise DeviceUnknown("No device shows this code, or it has expired.")
            app_id, state = row
            if state not in {"waiting", "scanned"}:
                raise AlreadyDecided("This code has been used.")
            user_id = await person_of(connection, app_id, account.id, account.name) if allow else None
            await connection.execute(
                "update device_grant set state = %s, user_id = %s where user_code = %s",
                ("confirmed" if allow else "refused", user_id, letters_of(user_code)),
            )

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
                from device_grant where digest = %s and app_id = %s for update
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


def letters_of(typed: str) -> str:
    """Return a short code as it is kept: case, blanks and hyphens don't count (RFC 8628, 6.1)."""
    return "".join(letter for letter in typed[:50].upper() if letter in LETTERS)


def shown(letters: str) -> str:
    """Return a short code as people read it."""
    return f"{letters[:4]}-{letters[4:]}"
