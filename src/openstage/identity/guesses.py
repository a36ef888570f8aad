"""Limits on guesses: at passwords, secrets, codes. They hold over all servers of a database.

Wrong guesses fill a bucket that leaks; a full one refuses every guess, right ones too, until it has leaked. There is
one for each address that guesses, and one for what is guessed at where people choose it themselves. Where the secret
is long and random it is one for each address and app: nobody finds it, nobody shall lock an app out by trying, and a
broken program shall not lock out others behind the same address.
"""

import hashlib
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from openstage.database.engine import Database
from openstage.identity.errors import TooManyGuesses

Kind = Literal["password", "sign-up", "secret", "code", "ticket", "user-code"]
"""What is guessed at: a person's password; whether a name is free (sign-up); an app's secret; codes and tokens that an
app was given; QR tickets (counted apart: a device that goes on asking for a forgotten one shall not keep its app from
renewing tokens); the short code that a device shows, and the link in its QR code."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many guesses at once, and in how many seconds each of them is forgotten."""

    at_once: int
    seconds_each: float


LIMITS: Final[dict[tuple[Kind, Literal["address", "target"]], Limit]] = {
    ("password", "target"): Limit(10, 180),
    ("password", "address"): Limit(50, 20),
    ("sign-up", "address"): Limit(10, 600),
    ("secret", "address"): Limit(50, 5),
    ("code", "address"): Limit(50, 5),
    ("ticket", "address"): Limit(50, 5),
    ("user-code", "target"): Limit(10, 60),
    ("user-code", "address"): Limit(30, 20),
}
"""`target`: what is guessed at, or who is signed in while guessing. A kind without one is counted by address alone, or
by address and app."""


class Guesses:
    """Counts guesses. Each call commits by itself: what is rolled back because of a refusal is counted all the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, kind: Kind, *, address: str = "", target: str = "", app: str = "") -> None:
        """Count a guess before it is looked at, so that many at once can't slip through; see `refund`.

        Args:
            kind: what is guessed at.
            address: of the client; empty: unknown, not counted.
            target: what is guessed at; empty: not counted.
            app: the app whose secret, code or token is guessed at; addresses are counted for each by itself.

        Raises:
            TooManyGuesses: the guess must not be looked at; it says for how long.

        """
        charged: list[bytes] = []
        for subject, limit in _subjects(kind, address, target, app):
            row = await self._database.fetch_one(
                """
                insert into guess as g (subject, level) values (%(subject)s, 1)
                on conflict (subject) do update
                    set level = greatest(0, g.level - extract(epoch from now() - g.changed_at) / %(seconds)s) + 1,
                        changed_at = now()
                    where greatest(0, g.level - extract(epoch from now() - g.changed_at) / %(seconds)s) + 1
                          <= %(most)s
                returning true
                """,
                {"subject": subject, "seconds": limit.seconds_each, "most": limit.at_once},
            )
            if row is None:
                await self._take_back(charged)
                await self._refuse_full([(subject, limit)], certain=True)
            charged.append(subject)

    async def refund(self, kind: Kind, *, address: str = "", target: str = "") -> None:
        """Take a guess back that was right. Who knows a password starts anew; else only this one is given back.

        Short codes can be had for the asking: a right one now and then must not buy any number of wrong ones.
        """
        anew = kind == "password"
        await self._take_back([subject for subject, _ in _subjects(kind, address, "" if anew else target)])
        if target and anew:
            async with self._database.connection() as connection:
                await connection.execute("delete from guess where subject = %s", (_subject(kind, "target", target),))

    async def check(self, kind: Kind, *, address: str = "", app: str = "") -> None:
        """Make sure that a guess may be looked at, without counting it: for what is right nearly always.

        Raises:
            TooManyGuesses: it must not.

        """
        if subjects := _subjects(kind, address, "", app):
            await self._refuse_full(subjects)

    async def forget(self) -> int:
        """Remove buckets that have run dry; returns how many."""
        slowest = max(limit.at_once * limit.seconds_each for limit in LIMITS.values())
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "delete from guess where changed_at < now() - make_interval(secs => %s)", (slowest,)
            )
        return cursor.rowcount

    async def _take_back(self, subjects: Sequence[bytes]) -> None:
        if not subjects:
            return
        async with self._database.connection() as connection:
            await connection.execute(
                "update guess set level = greatest(0, level - 1) where subject = any(%s)", (list(subjects),)
            )

    async def _refuse_full(self, subjects: Sequence[tuple[bytes, Limit]], *, certain: bool = False) -> None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "select subject, level, extract(epoch from now() - changed_at)::float8 from guess"
                " where subject = any(%s)",
                ([subject for subject, _ in subjects],),
            )
            rows = await cursor.fetchall()
        limits = dict(subjects)
        waits = [0.0]
        for subject, level, age in rows:
            limit = limits[bytes(subject)]
            waits.append(limit.seconds_each * (max(0.0, level - age / limit.seconds_each) + 1 - limit.at_once))
        if certain or max(waits) > 0:
            raise TooManyGuesses(max(1, math.ceil(max(waits))))


def _subjects(kind: Kind, address: str, target: str, app: str = "") -> list[tuple[bytes, Limit]]:
    found = []
    if target and (limit := LIMITS.get((kind, "target"))):
        found.append((_subject(kind, "target", target), limit))
    if address and (limit := LIMITS.get((kind, "address"))):
        found.append((_subject(kind, "address", f"{network(address)} {app}"), limit))
    return found


def _subject(kind: Kind, side: str, what: str) -> bytes:
    return hashlib.sha256(f"{kind}\n{side}\n{what}".encode("utf-8", "replace")).digest()


def network(address: str) -> str:
    """Return what counts as one guesser: an IPv4 address, or the /64 that a household has of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
