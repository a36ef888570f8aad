"""Sign-in by a QR code: the device's twin of RFC 8628, in which the device's app gets a code instead of tokens.

Three secrets, each for one party: the ticket is the device's own, by which it asks how the sign-in stands; the link is
in the QR code and leads a person to the page on which they decide; the user code is shown on both, so that the person
sees that the page belongs to the device in front of them. Who photographs the screen can confirm, but can't ask for
the outcome.

Asking is cheap: one look-up by key, shared by those who ask at the same time, and nothing is written. The code follows
from the ticket under the server's key, so it is told to whoever holds the ticket as often as they ask, and stands
nowhere.
"""

import asyncio
import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from openstage.database.engine import Database
from openstage.database.lookups import SharedLookup
from openstage.database.notices import Notices
from openstage.database.text import storable
from openstage.identity import tokens
from openstage.identity.devices import CHANNEL, USER_CODE_LENGTH, DeviceState, letters_of, shown, store_grant
from openstage.identity.errors import AppNotUsable, DeviceUnknown
from openstage.identity.keys import Keys
from openstage.settings import Settings

LINK_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"
LINK_LENGTH: Final = 12
"""60 bits, for minutes: the QR code stays small, and nobody finds one by trying."""
INTERVAL: Final = 2
"""Seconds between two questions of a device that doesn't wait."""
GATHER_SECONDS: Final = 0.005
"""A thousand devices that ask every second, each at a time of its own, then make 200 statements and not 1,000."""
MOST_WAITING: Final = 6000
"""Long polls of one process; those beyond are answered at once, as if they had not wanted to wait."""

TicketState = Literal["waiting", "scanned", "confirmed", "refused", "over"]
STATES: Final[tuple[TicketState, ...]] = get_args(TicketState)
SETTLED: Final = frozenset({"confirmed", "refused", "over"})
"""Nothing that a device waits for comes after these."""


@dataclass(frozen=True, slots=True)
class TicketCodes:
    """What a device is told when it begins."""

    ticket: str
    link: str
    """Last part of the QR code's address."""
    user_code: str
    """As shown: `BCDF-GHJK`."""
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True)
class TicketStanding:
    """How a ticket stands."""

    state: TicketState
    code: str = ""
    """For the app's server, where it is confirmed."""
    seconds_left: float = 0.0
    """Until nobody can decide any more."""


@dataclass(frozen=True, slots=True)
class TicketRecord:
    """A ticket, as the operator sees it."""

    state: TicketState
    user_code: str
    client_id: str
    app_name: str
    device: str
    device_id: str
    scopes: list[str]
    issued_at: dt.datetime
    expires_at: dt.datetime
    """Until then somebody can decide."""
    account: str | None
    """Who confirmed it."""


class Tickets:
    """QR tickets. What a person sees and decides is in `Devices`."""

    def __init__(self, database: Database, settings: Settings, keys: Keys) -> None:
        self._database = database
        self._life = settings.ticket_lifetime
        self._key = keys.derive(b"ticket codes")
        self._notices = Notices(database, CHANNEL)
        self._lookup = SharedLookup(
            database,
            """
            select asked.number, d.state, d.expires_at <= now(), extract(epoch from d.expires_at - now())::float8,
                   c.used_at is null and c.expires_at > now(), a.state
            from unnest(%s::bytea[], %s::text[]) with ordinality as asked (digest, client_id, number)
            join device_grant d on d.digest = asked.digest and d.link is not null
            join app a on a.id = d.app_id and a.client_id = asked.client_id
            left join authorization_code c on c.digest = d.code_digest
            """,
            gather=GATHER_SECONDS,
        )

    async def begin(self, app_id: int, scopes: Sequence[str], *, device: str = "", device_id: str = "") -> TicketCodes:
        """Begin a sign-in.

        Args:
            app_id: the app on the device.
            scopes: what it asks for.
            device: what the device calls itself, for the person who confirms.
            device_id: its id, for the same person.

        """
        ticket = tokens.new_code()
        link = "".join(secrets.choice(LINK_LETTERS) for _ in range(LINK_LENGTH))
        letters = await store_grant(
            self._database, ticket, app_id, scopes, life=self._life, device=device, device_id=device_id, link=link
        )
        return TicketCodes(ticket, link, shown(letters), self._life, INTERVAL)

    async def standing(self, client_id: str, ticket: str) -> TicketStanding:
        """Tell how a ticket stands.

        Raises:
            DeviceUnknown: there is no such ticket (any more), or it is another app's.
            AppNotUsable: the app is not approved (any more).

        """
        digest = tokens.digest(ticket)
        row = await self._lookup.row(digest, storable(client_id))
        if row is None:
            raise DeviceUnknown("The qr_ticket is unknown, forgotten, or was given to another app; begin again.")
        state, expired, seconds_left, code_good, app_state = row
        if app_state != "approved":
            raise AppNotUsable(app_state)
        found = _state(state, expired=expired, code_good=bool(code_good))
        code = tokens.code_of_ticket(self._key, digest) if found == "confirmed" else ""
        return TicketStanding(found, code, max(0.0, seconds_left))

    async def change(
        self, client_id: str, ticket: str, *, seconds: float, seen: TicketState | None = None
    ) -> TicketStanding:
        """Tell how a ticket stands as soon as that is something else, or when the time is over.

        Args:
            client_id: the app that asks.
            ticket: its ticket.
            seconds: how long to wait at most.
            seen: what the device knows; None: how it stands now.

        Raises:
            DeviceUnknown: see `standing`.
            AppNotUsable: see `standing`.

        """
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        if seconds <= 0 or self._notices.waiting >= MOST_WAITING:
            return await self.standing(client_id, ticket)
        # The bell hangs before the first look: what happens after that is heard.
        with self._notices.bell(tokens.digest(ticket).hex()) as bell:
            standing = await self.standing(client_id, ticket)
            seen = seen or standing.state
            while standing.state == seen and standing.state not in SETTLED and not self._notices.ended:
                left = until - clock()
                if left <= 0:
                    break
                await self._notices.wait(bell, min(left, standing.seconds_left + 0.05))
                standing = await self.standing(client_id, ticket)
        return standing

    async def find(self, text: str) -> TicketRecord:
        """Return a ticket by whatever names it: the ticket itself, its QR code's address, or its user code.

        Device codes (RFC 8628) are found as well.

        Raises:
            DeviceUnknown: there is none (any more).

        """
        name = storable(text.strip().rstrip("/"))
        row = await self._database.fetch_one(
            """
            select d.state, d.expires_at <= now(),
                   coalesce(c.used_at is null and c.expires_at > now(), d.state = 'confirmed' and d.link is null),
                   d.user_code, a.client_id, a.name, d.device, d.device_id, d.scopes, d.issued_at, d.expires_at, p.name
            from device_grant d
            join app a on a.id = d.app_id
            left join end_user u on u.id = d.user_id
            left join account p on p.id = u.account_id
            left join authorization_code c on c.digest = d.code_digest
            where d.digest = %(digest)s or d.link = %(link)s or d.user_code = %(letters)s
            """,
            {
                "digest": tokens.digest(name),
                "link": name.rpartition("/")[2].removesuffix(".png").removesuffix(".svg"),
                "letters": letters_of(name) if len(name) <= USER_CODE_LENGTH + 1 else "",
            },
        )
        if row is None:
            raise DeviceUnknown("There is no such ticket; give the qr_ticket, the QR code's address, or the user code.")
        state, expired, code_good, letters, *others = row
        return TicketRecord(_state(state, expired=expired, code_good=code_good), shown(letters), *others)

    @property
    def waiting(self) -> int:
        """How many wait for a change at the moment."""
        return self._notices.waiting

    def end(self) -> None:
        """Answer everybody who waits, as the server is about to end."""
        self._notices.end()

    async def close(self) -> None:
        """Stop listening for changes."""
        await self._notices.close()


def _state(state: DeviceState, *, expired: bool, code_good: bool) -> TicketState:
    if state == "refused":
        return "refused"
    if state == "confirmed":
        return "confirmed" if code_good else "over"
    if expired or state == "used":
        return "over"
    return "scanned" if state == "scanned" else "waiting"
