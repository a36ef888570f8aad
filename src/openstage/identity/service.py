"""Authorisation: who may have a token, what a token says, and how it is renewed."""

import datetime as dt

from openstage.database.engine import Connection, Database
from openstage.database.lookups import SharedLookup
from openstage.database.text import storable
from openstage.identity import quota, tokens
from openstage.identity.apps import Apps
from openstage.identity.errors import AppNotUsable, BadClient, BadUid, RefreshInvalid, TokenExpired, TokenInvalid
from openstage.identity.keys import Keys
from openstage.identity.models import App, Caller, Realm, TokenPair
from openstage.identity.users import Users
from openstage.settings import Settings

LONGEST_UID = 256
"""Characters of an app's own name for its user."""


class Identity:
    """Apps, tokens and quota of one server."""

    def __init__(self, database: Database, settings: Settings, keys: Keys) -> None:
        self.apps = Apps(database, settings, keys)
        self.users = Users(database)
        self._database = database
        self._settings = settings
        self._successor_key = keys.derive(b"refresh successors")
        self._callers = SharedLookup(
            database,
            """
            select asked.number, t.expires_at <= now(), f.revoked_at is not null,
                   f.app_id, f.user_id, a.state, a.client_id, u.uid
            from unnest(%s::bytea[]) with ordinality as asked (digest, number)
            join access_token t using (digest)
            join token_family f on f.id = t.family_id
            join app a on a.id = f.app_id
            join end_user u on u.id = f.user_id
            """,
        )

    async def authorise(
        self, client_id: str, client_secret: str, *, realm: Realm = "app", uid: str = "", nick: str = ""
    ) -> TokenPair:
        """Issue tokens to an app, for itself or for one of its end users.

        A frozen or unreviewed app gets tokens too, as documented: its uploads are refused with the reason. A deleted
        one doesn't exist any more.

        Raises:
            BadClient: the id is unknown, the secret is wrong, or the app has been deleted.
            BadUid: the uid is too long.

        """
        async with self._database.transaction() as connection:
            app = await self.apps.authenticate(connection, client_id, client_secret)
            if app.state == "deleted":
                raise BadClient("This app has been deleted.")
            user_id = await self._user(connection, app, realm, uid, nick)
            row = await (
                await connection.execute(
                    "insert into token_family (app_id, user_id) values (%s, %s) returning id", (app.id, user_id)
                )
            ).fetchone()
            assert row is not None  # an insert that returns gives a row
            pair = TokenPair(
                access_token=tokens.new_access_token(),
                expires_in=self._settings.access_token_lifetime,
                refresh_token=tokens.new_refresh_token(),
            )
            await self._store(connection, row[0], pair)
        return pair

    async def resolve(self, access_token: str) -> Caller:
        """Tell whom an access token speaks for, whatever the state of the app.

        Raises:
            TokenInvalid: never issued, or revoked.
            TokenExpired: its life is over.

        """
        row = await self._callers.row(tokens.digest(access_token))
        if row is None:
            raise TokenInvalid("The access_token is unknown; authorise again.")
        expired, revoked, *caller = row
        if revoked:
            raise TokenInvalid("The access_token was revoked; authorise again.")
        if expired:
            raise TokenExpired("The access_token has expired; refresh it or authorise again.")
        return Caller(*caller)

    async def resolve_usable(self, access_token: str) -> Caller:
        """Like `resolve`, and raises AppNotUsable unless the app is approved."""
        caller = await self.resolve(access_token)
        if caller.app_state != "approved":
            raise AppNotUsable(caller.app_state)
        return caller

    async def refresh(self, client_id: str, refresh_token: str, client_secret: str | None = None) -> TokenPair:
        """Exchange a refresh token for new tokens.

        It can be used once. Again within `settings.refresh_grace` seconds it gives the same successor; later it
        revokes all that came of it, for then two parties hold it (RFC 9700, 4.14.2).

        Args:
            client_id: the app the token was issued to.
            refresh_token: the token.
            client_secret: checked where given.

        Raises:
            BadClient: no such app, or a wrong secret.
            RefreshInvalid: unknown, expired, revoked, used up, or of another app.

        """
        reused = False
        async with self._database.transaction() as connection:
            if client_secret:
                await self.apps.authenticate(connection, client_id, client_secret)
            row = await (
                await connection.execute(
                    """
                    select r.family_id, r.expires_at <= now(), r.used_at, now(), f.revoked_at is not null
                    from refresh_token r
                    join token_family f on f.id = r.family_id
                    join app a on a.id = f.app_id
                    where r.digest = %s and a.client_id = %s
                    for update of r
                    """,
                    (tokens.digest(refresh_token), storable(client_id)),
                )
            ).fetchone()
            if row is None:
                await self._require_app(connection, client_id)
                raise RefreshInvalid("The refresh_token is unknown; authorise again.")
            family_id, expired, used_at, now, revoked = row
            if revoked or expired:
                raise RefreshInvalid("The refresh_token is no longer valid; authorise again.")
            successor = TokenPair(
                access_token=tokens.successor_access_token(self._successor_key, refresh_token),
                expires_in=self._settings.access_token_lifetime,
                refresh_token=tokens.successor_refresh_token(self._successor_key, refresh_token),
            )
            if used_at is None:
                await connection.execute(
                    "update refresh_token set used_at = now() where digest = %s", (tokens.digest(refresh_token),)
                )
                await self._store(connection, family_id, successor)
            elif now - used_at > dt.timedelta(seconds=self._settings.refresh_grace):
                # Committed, not rolled back: that is why the error is raised after the transaction.
                await connection.execute("update token_family set revoked_at = now() where id = %s", (family_id,))
                reused = True
        if reused:
            raise RefreshInvalid(
                "The refresh_token was used before: what came of it has been revoked; authorise again."
            )
        return successor

    async def revoke(self, access_token: str) -> None:
        """End an access token and all that share its authorisation; an unknown one is no error (RFC 7009, 2.2)."""
        async with self._database.connection() as connection:
            await connection.execute(
                """
                update token_family set revoked_at = now()
                where revoked_at is null and id in (select family_id from access_token where digest = %s)
                """,
                (tokens.digest(access_token),),
            )

    async def reserve(self, connection: Connection, app_id: int, size: int) -> None:
        """Set bytes of an app's quota aside; see `quota.reserve`."""
        await quota.reserve(connection, app_id, size, default=self._settings.quota)

    async def settle(self, connection: Connection, app_id: int, *, reserved: int, stored: int) -> None:
        """Turn reserved bytes into stored ones; see `quota.settle`."""
        await quota.settle(connection, app_id, reserved=reserved, stored=stored)

    async def release(self, connection: Connection, app_id: int, *, stored: int) -> None:
        """Give stored bytes back; see `quota.release`."""
        await quota.release(connection, app_id, stored=stored)

    async def forget_expired(self) -> int:
        """Remove families of which no token can be used any more; returns how many."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                delete from token_family f
                where not exists (select from access_token t where t.family_id = f.id and t.expires_at > now())
                  and not exists (select from refresh_token r where r.family_id = f.id and r.expires_at > now())
                """
            )
        return cursor.rowcount

    async def _store(self, connection: Connection, family_id: int, pair: TokenPair) -> None:
        await connection.execute(
            """
            with access as (
                insert into access_token (digest, family_id, expires_at)
                values (%(access)s, %(family)s, now() + make_interval(secs => %(access_life)s))
            )
            insert into refresh_token (digest, family_id, expires_at)
            values (%(refresh)s, %(family)s, now() + make_interval(secs => %(refresh_life)s))
            """,
            {
                "family": family_id,
                "access": tokens.digest(pair.access_token),
                "access_life": pair.expires_in,
                "refresh": tokens.digest(pair.refresh_token),
                "refresh_life": self._settings.refresh_token_lifetime,
            },
        )

    @staticmethod
    async def _user(connection: Connection, app: App, realm: Realm, uid: str, nick: str) -> int:
        if len(uid) > LONGEST_UID:
            # Not cut: two users would become one.
            raise BadUid(f"A uid may have {LONGEST_UID} characters; this one has {len(uid)}.")
        row = await (
            await connection.execute(
                """
                insert into end_user (app_id, realm, uid, nick) values (%(app)s, %(realm)s, %(uid)s, %(nick)s)
                on conflict (app_id, realm, uid)
                do update set nick = case when excluded.nick = '' then end_user.nick else excluded.nick end
                returning id
                """,
                {"app": app.id, "realm": realm, "uid": storable(uid), "nick": storable(nick)[:LONGEST_UID]},
            )
        ).fetchone()
        assert row is not None  # an upsert that returns gives a row
        return int(row[0])

    @staticmethod
    async def _require_app(connection: Connection, client_id: str) -> None:
        row = await (
            await connection.execute(
                "select 1 from app where client_id = %s and state <> 'deleted'", (storable(client_id),)
            )
        ).fetchone()
        if row is None:
            raise BadClient("The client_id is unknown.")
