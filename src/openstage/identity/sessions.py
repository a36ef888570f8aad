"""Sessions: browsers that are signed in."""

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Final

from psycopg.rows import class_row

from openstage.database.engine import Database
from openstage.database.text import storable
from openstage.identity.accounts import require_active
from openstage.identity.models import Account
from openstage.identity.tokens import digest
from openstage.settings import Settings

LONGEST_AGENT: Final = 200
SEEN_EVERY: Final = 3600
"""Seconds between two notes of a session's use."""


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser, for the person's own list."""

    number: str
    """Names it in that list; opens nothing."""
    agent: str
    address: str
    created_at: dt.datetime
    seen_at: dt.datetime


class Sessions:
    """What can be done with sessions. A session's secret is in its cookie alone; the database keeps its digest."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._life = settings.session_lifetime

    async def begin(self, account: Account, *, agent: str = "", address: str = "") -> str:
        """Sign a browser in and return the session's secret; raises AccountDisabled."""
        secret = secrets.token_urlsafe(32)
        async with self._database.transaction() as connection:
            await require_active(connection, account.id)
            await connection.execute(
                """
                insert into session (digest, account_id, agent, address, expires_at)
                values (%s, %s, %s, %s, now() + make_interval(secs => %s))
                """,
                (digest(secret), account.id, storable(agent)[:LONGEST_AGENT], address, self._life),
            )
        return secret

    async def find(self, secret: str) -> Account | None:
        """Return who is signed in by this secret, if anybody."""
        row = await self._database.fetch_one(
            """
            select a.id, a.name, a.state, a.created_at, a.signed_in_at,
                   s.seen_at < now() - make_interval(secs => %(every)s)
            from session s join account a on a.id = s.account_id
            where s.digest = %(digest)s and s.expires_at > now() and a.state = 'active'
            """,
            {"digest": digest(secret), "every": SEEN_EVERY},
        )
        if row is None:
            return None
        *account, stale = row
        if stale:
            async with self._database.connection() as connection:
                await connection.execute(
                    "update session set seen_at = now(), expires_at = now() + make_interval(secs => %s)"
                    " where digest = %s",
                    (self._life, digest(secret)),
                )
        return Account(*account)

    async def list(self, account_id: int) -> list[Session]:
        """Return the browsers in which a person is signed in, the one used last first."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Session)) as rows:
            await rows.execute(
                """
                select encode(substring(digest from 1 for 8), 'hex') as number, agent, address, created_at, seen_at
                from session where account_id = %s and expires_at > now() order by seen_at desc limit 100
                """,
                (account_id,),
            )
            return await rows.fetchall()

    async def end(self, secret: str) -> None:
        """Sign a browser out; an unknown secret is no error."""
        async with self._database.connection() as connection:
            await connection.execute("delete from session where digest = %s", (digest(secret),))

    async def end_all(self, account_id: int) -> int:
        """Sign a person out everywhere; returns how many sessions ended."""
        async with self._database.connection() as connection:
            return (await connection.execute("delete from session where account_id = %s", (account_id,))).rowcount

    async def forget_expired(self) -> int:
        """Remove sessions that are over; returns how many."""
        async with self._database.connection() as connection:
            return (await connection.execute("delete from session where expires_at <= now()")).rowcount


def number_of(secret: str) -> str:
    """Return the number of a session in its person's list."""
    return digest(secret)[:8].hex()
