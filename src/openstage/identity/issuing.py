"""Giving tokens and renewing them, as parts of a larger transaction."""

import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from openstage.database.engine import Connection
from openstage.database.text import storable
from openstage.identity import tokens
from openstage.identity.accounts import require_active
from openstage.identity.errors import RefreshInvalid, SignatureUsed
from openstage.identity.keys import Keys
from openstage.identity.models import EndedBy, Issued, Origin, TokenPair
from openstage.settings import Settings

OPENID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Terms:
    """How an authorisation's tokens behave; a dialect chooses."""

    refreshable: bool = True
    """A refresh token is given."""
    keeps_refresh: bool = False
    """The refresh token is used again and again; a new access token ends the ones before it."""
    only_one: bool = False
    """A new authorisation of an app by a user ends the earlier ones."""


STANDARD: Final = Terms()


@dataclass(frozen=True, slots=True)
class _Held:
    """A refresh token that was given, with its authorisation; its row is locked."""

    family_id: int
    used_at: dt.datetime | None
    now: dt.datetime
    keeps_refresh: bool
    scopes: tuple[str, ...]
    openid: str
    unionid: str


class Issuer:
    """Gives tokens. Nothing it stores opens anything: the database holds digests."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._settings = settings
        self._successor_key = keys.derive(b"refresh successors")
        self._union_key = keys.derive(b"unionid")

    async def issue(
        self,
        connection: Connection,
        *,
        app_id: int,
        user_id: int,
        scopes: Sequence[str],
        origin: Origin,
        terms: Terms = STANDARD,
    ) -> Issued:
        """Begin an authorisation and give its first tokens.

        Raises:
            AccountDisabled: the user is a person whose account has been disabled.

        """
        # Locked only where order matters: of two that are issued at once one is the newer.
        cursor = await connection.execute(
            f"""
            select u.account_id, u.uid, a.developer_id from end_user u join app a on a.id = u.app_id
            where u.id = %s {"for no key update of u" if terms.only_one else ""}
            """,
            (user_id,),
        )
        row = await cursor.fetchone()
        assert row is not None  # the caller has just read or made this user
        account_id, uid, developer_id = row
        if account_id is not None:
            await require_active(connection, account_id)
        if terms.only_one:
            await end_all_of(connection, user_id, by="newer")
        cursor = await connection.execute(
            "insert into token_family (app_id, user_id, scopes, origin, keeps_refresh) values (%s, %s, %s, %s, %s)"
            " returning id",
            (app_id, user_id, list(scopes), origin, terms.keeps_refresh),
        )
        made = await cursor.fetchone()
        assert made is not None  # an insert that returns gives a row
        pair = TokenPair(
            access_token=tokens.new_access_token(),
            expires_in=self._settings.access_token_lifetime,
            refresh_token=tokens.new_refresh_token() if terms.refreshable else "",
        )
        await self._store(connection, made[0], pair)
        return Issued(
            pair=pair,
            scopes=tuple(scopes),
            family_id=made[0],
            openid=uid if account_id is not None else "",
            unionid=self.unionid(developer_id, account_id),
        )

    async def refresh(
        self, connection: Connection, client_id: str, refresh_token: str, *, proven: bool = False
    ) -> Issued | None:
        """Give new tokens for a refresh token; None if it is misused, which ended its authorisation.

        The caller must let the transaction commit before it tells of the misuse.

        Args:
            connection: in a transaction.
            client_id: the app that the token was given to.
            refresh_token: the token.
            proven: the app has proved itself by its secret. Where the refresh token is kept it must have: nothing else
                would tell whoever found the token from the app.

        Raises:
            RefreshInvalid: unknown, expired, revoked, of another app, or a proof is missing.
            AccountDisabled: it speaks for a person whose account has been disabled.

        """
        held = await self._held(connection, client_id, refresh_token)
        if held.keeps_refresh:
            if not proven:
                raise RefreshInvalid("This refresh_token needs the app's secret or signature beside it.")
            return await self._replace(connection, held, refresh_token, tokens.new_access_token(), None)
        pair = TokenPair(
            access_token=tokens.successor_access_token(self._successor_key, refresh_token),
            expires_in=self._settings.access_token_lifetime,
            refresh_token=tokens.successor_refresh_token(self._successor_key, refresh_token),
        )
        if held.used_at is None:
            await connection.execute(
                "update refresh_token set used_at = now() where digest = %s", (tokens.digest(refresh_token),)
            )
            await self._store(connection, held.family_id, pair)
        elif held.now - held.used_at > dt.timedelta(seconds=self._settings.refresh_grace):
            await end(connection, held.family_id, by="reuse")
            return None
        return self._issued(held, pair)

    async def refresh_signed(
        self, connection: Connection, client_id: str, refresh_token: str, *, openid: str, ts: int
    ) -> Issued:
        """Give a new access token for a refresh token that is kept, to a request that the app has signed.

        The token follows from the refresh token and the time that was signed. So the same request again, within
        `settings.refresh_grace`, gets the same token (the reply may have been lost); later it gets none, and ends none.

        Args:
            connection: in a transaction.
            client_id: the app that the token was given to, and that has signed.
            refresh_token: the token.
            openid: of the person it speaks for; empty: it speaks for the app itself.
            ts: Unix time that was signed.

        Raises:
            RefreshInvalid: unknown, expired, revoked, of another app, somebody else's, or one that isn't kept.
            SignatureUsed: the request was answered before.
            AccountDisabled: it speaks for a person whose account has been disabled.

        """
        held = await self._held(connection, client_id, refresh_token)
        if not held.keeps_refresh:
            raise RefreshInvalid("This refresh_token was given by another interface, and is renewed there alone.")
        if not hmac.compare_digest(held.openid.encode(), openid.encode("utf-8", "replace")):
            raise RefreshInvalid(
                "openid is not whom this refresh_token speaks for; it is left out where that is the app itself."
            )
        access_token = tokens.successor_access_token(self._successor_key, f"{refresh_token}|{ts}")
        cursor = await connection.execute(
            """
            select replaced_at is null and now() - issued_at <= make_interval(secs => %s),
                   extract(epoch from expires_at - now())::int
            from access_token where family_id = %s and asked_ts = %s
            """,
            (self._settings.refresh_grace, held.family_id, ts),
        )
        row = await cursor.fetchone()
        if row is None:
            return await self._replace(connection, held, refresh_token, access_token, ts)
        may_be_told_again, expires_in = row
        if not may_be_told_again:
            raise SignatureUsed("This request was answered before; sign a new one with the present time.")
        return self._issued(held, TokenPair(access_token, expires_in, refresh_token))

    def unionid(self, developer_id: int | None, account_id: int | None) -> str:
        """Return the name under which all apps of a developer know a person; empty without an account."""
        if account_id is None:
            return ""
        return hmac.new(self._union_key, b"%d|%d" % (developer_id or 0, account_id), hashlib.sha256).hexdigest()[:32]

    @staticmethod
    def _issued(held: _Held, pair: TokenPair) -> Issued:
        return Issued(pair, held.scopes, held.family_id, held.openid, held.unionid)

    async def _replace(
        self, connection: Connection, held: _Held, refresh_token: str, access_token: str, ts: int | None
    ) -> Issued:
        """Put an access token in the place of those before it; these stay for a day, so that they can be explained."""
        await connection.execute(
            "update access_token set replaced_at = now(), expires_at = least(expires_at, now())"
            " where family_id = %s and replaced_at is null",
            (held.family_id,),
        )
        await connection.execute(
            "delete from access_token where family_id = %s and replaced_at < now() - interval '1 day'",
            (held.family_id,),
        )
        pair = TokenPair(access_token, self._settings.access_token_lifetime, refresh_token)
        await self._store(connection, held.family_id, replace(pair, refresh_token=""), ts)
        return self._issued(held, pair)

    async def _held(self, connection: Connection, client_id: str, refresh_token: str) -> _Held:
        cursor = await connection.execute(
            """
            select r.family_id, r.used_at, now(), f.keeps_refresh, f.scopes, u.account_id, u.uid, a.developer_id,
                   r.expires_at <= now() or f.revoked_at is not null
            from refresh_token r
            join token_family f on f.id = r.family_id
            join app a on a.id = f.app_id
            join end_user u on u.id = f.user_id
            where r.digest = %s and a.client_id = %s
            for update of r
            """,
            (tokens.digest(refresh_token), storable(client_id)),
        )
        row = await cursor.fetchone()
        if row is None:
            raise RefreshInvalid("The refresh_token is unknown; authorise again.")
        family_id, used_at, now, keeps_refresh, scopes, account_id, uid, developer_id, over = row
        if over:
            raise RefreshInvalid("The refresh_token is no longer valid; authorise again.")
        if account_id is not None:
            await require_active(connection, account_id)
        openid = uid if account_id is not None else ""
        unionid = self.unionid(developer_id, account_id)
        return _Held(family_id, used_at, now, keeps_refresh, tuple(scopes), openid, unionid)

    async def _store(self, connection: Connection, family_id: int, pair: TokenPair, ts: int | None = None) -> None:
        await connection.execute(
            """
            with access as (
                insert into access_token (digest, family_id, expires_at, asked_ts)
                values (%(access)s, %(family)s, now() + make_interval(secs => %(access_life)s), %(ts)s)
            )
            insert into refresh_token (digest, family_id, expires_at)
            select %(refresh)s, %(family)s, now() + make_interval(secs => %(refresh_life)s)
            where %(refresh)s::bytea is not null
            """,
            {
                "family": family_id,
                "access": tokens.digest(pair.access_token),
                "access_life": pair.expires_in,
                "refresh": tokens.digest(pair.refresh_token) if pair.refresh_token else None,
                "refresh_life": self._settings.refresh_token_lifetime,
                "ts": ts,
            },
        )


async def person_of(connection: Connection, app_id: int, account_id: int, name: str) -> int:
    """Return the end user that an account is to an app; made, with its openid, when the app first sees the person."""
    cursor = await connection.execute(
        """
        insert into end_user (app_id, realm, uid, nick, account_id)
        values (%(app)s, 'account', encode(%(openid)s, 'hex'), %(nick)s, %(account)s)
        on conflict (app_id, account_id) do update set nick = excluded.nick
        returning id
        """,
        {"app": app_id, "openid": tokens.random_bytes(OPENID_BYTES), "nick": name, "account": account_id},
    )
    row = await cursor.fetchone()
    assert row is not None  # an upsert that returns gives a row
    return int(row[0])


async def end(connection: Connection, family_id: int, *, by: EndedBy) -> bool:
    """End an authorisation with all its tokens; whether it was one that still held."""
    cursor = await connection.execute(
        "update token_family set revoked_at = now(), ended_by = %s where id = %s and revoked_at is null",
        (by, family_id),
    )
    return cursor.rowcount > 0


async def end_all_of(connection: Connection, user_id: int, *, by: EndedBy) -> int:
    """End all authorisations that speak for an end user; returns how many still held."""
    cursor = await connection.execute(
        "update token_family set revoked_at = now(), ended_by = %s where user_id = %s and revoked_at is null",
        (by, user_id),
    )
    return cursor.rowcount
