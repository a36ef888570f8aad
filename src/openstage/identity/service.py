"""Authorisation: who may have a token, what a token says, and how it is renewed."""

import contextlib
from collections.abc import Callable, Sequence

from openstage.database.engine import Connection, Database
from openstage.database.lookups import SharedLookup
from openstage.database.text import storable
from openstage.identity import quota, tokens
from openstage.identity.accounts import Accounts
from openstage.identity.apps import Apps
from openstage.identity.authorisations import Authorisations
from openstage.identity.codes import Codes
from openstage.identity.devices import Devices
from openstage.identity.errors import (
    AppNotUsable,
    BadClient,
    BadUid,
    CodeInvalid,
    DeviceUnknown,
    RefreshInvalid,
    ScopeMissing,
    SignatureWrong,
    TokenExpired,
    TokenInvalid,
    UnknownAuthorisation,
)
from openstage.identity.friends import Friends
from openstage.identity.guesses import Guesses
from openstage.identity.issuing import STANDARD, Issuer, Terms
from openstage.identity.keys import Keys
from openstage.identity.models import Account, App, Caller, EndedBy, Issued, Realm, TokenPair
from openstage.identity.passkeys import Passkeys
from openstage.identity.profiles import Profiles
from openstage.identity.scopes import Scope
from openstage.identity.sessions import Sessions
from openstage.identity.signing import SigningApp, SigningApps
from openstage.identity.tickets import Tickets, TicketStanding, TicketState
from openstage.identity.users import Users
from openstage.settings import Settings

LONGEST_UID = 256
"""Characters of an app's own name for its user."""


class Identity:
    """Apps, people, tokens and quota of one server."""

    def __init__(self, database: Database, settings: Settings, keys: Keys) -> None:
        self.apps = Apps(database, settings, keys)
        self.users = Users(database)
        self.friends = Friends(database)
        self.profiles = Profiles(database)
        self.guesses = Guesses(database)
        self.accounts = Accounts(database, self.guesses)
        self.passkeys = Passkeys(database, settings, keys)
        self.sessions = Sessions(database, settings)
        self.authorisations = Authorisations(database)
        self._issuer = Issuer(settings, keys)
        self.codes = Codes(database, settings, self._issuer)
        self.devices = Devices(database, settings, self._issuer, keys)
        self.tickets = Tickets(database, settings, keys)
        self._signers = SigningApps(database, keys)
        self._database = database
        self._settings = settings
        self._callers = SharedLookup(
            database,
            """
            select asked.number, t.expires_at <= now(), f.revoked_at is not null, t.replaced_at is not null,
                   f.app_id, f.user_id, a.state, a.client_id, u.uid, f.scopes, u.account_id
            from unnest(%s::bytea[]) with ordinality as asked (digest, number)
            join access_token t using (digest)
            join token_family f on f.id = t.family_id
            join app a on a.id = f.app_id
            join end_user u on u.id = f.user_id
            """,
        )

    async def authenticate(self, client_id: str, client_secret: str, *, address: str = "") -> App:
        """Return the app whose id and secret these are.

        Args:
            client_id: the app's id.
            client_secret: the app's secret.
            address: from where it is tried, for the limit on guesses.

        Raises:
            BadClient: the id is unknown, the secret is wrong, or the app has been deleted.
            TooManyGuesses: it wasn't even looked at.

        """
        await self.guesses.check("secret", address=address, app=client_id)
        try:
            async with self._database.connection() as connection:
                app = await self.apps.authenticate(connection, client_id, client_secret)
        except BadClient:
            await self._charge_secret(client_id, address)
            raise
        if app.state == "deleted":
            raise BadClient("This app has been deleted.")
        return app

    async def authenticate_signature(
        self, client_id: str, proves: Callable[[str], bool], *, address: str = ""
    ) -> SigningApp:
        """Return the app that has signed something with its secret.

        Args:
            client_id: the app's id.
            proves: tells whether a secret is the one that it was signed with; must compare in constant time. It is
                asked for each secret that holds: during a rotation there are two.
            address: from where it comes, for the limit on guesses.

        Raises:
            SignatureWrong: the id is unknown or the app deleted, or it was signed with another secret.
            TooManyGuesses: it wasn't even looked at.

        """
        await self.guesses.check("secret", address=address, app=client_id)
        app = await self._signers.find(client_id)
        if app is None or not any(proves(secret) for secret in app.secrets):
            await self._charge_secret(client_id, address)
            raise SignatureWrong("The signature doesn't fit, or the app is unknown.")
        return app

    async def authorise(
        self,
        client_id: str,
        client_secret: str,
        *,
        realm: Realm = "app",
        uid: str = "",
        nick: str = "",
        address: str = "",
    ) -> TokenPair:
        """Issue tokens to an app, for itself or for one of its end users, with all that it may ask for.

        A frozen or unreviewed app gets tokens too, as documented: its uploads are refused with the reason. A deleted
        one doesn't exist any more.

        Raises:
            BadClient: the id is unknown, the secret is wrong, or the app has been deleted.
            BadUid: the uid is too long.
            TooManyGuesses: too many wrong secrets came from this address.

        """
        app = await self.authenticate(client_id, client_secret, address=address)
        return (await self.authorise_app(app, realm=realm, uid=uid, nick=nick)).pair

    async def authorise_app(
        self,
        app: App,
        *,
        realm: Realm = "app",
        uid: str = "",
        nick: str = "",
        scopes: Sequence[str] | None = None,
        terms: Terms = STANDARD,
    ) -> Issued:
        """Issue tokens to an app that has proved itself; `scopes`: all that it may ask for. Raises BadUid."""
        async with self._database.transaction() as connection:
            user_id = await self._user(connection, app, realm, uid, nick)
            return await self._issuer.issue(
                connection,
                app_id=app.id,
                user_id=user_id,
                scopes=app.scopes if scopes is None else scopes,
                origin="client",
                terms=terms,
            )

    async def resolve(self, access_token: str, *, needs: Scope | None = None) -> Caller:
        """Tell whom an access token speaks for, whatever the state of the app.

        Raises:
            TokenInvalid: never issued, or revoked.
            TokenExpired: its life is over.
            ScopeMissing: nobody allowed it what is needed here.

        """
        row = await self._callers.row(tokens.digest(access_token))
        if row is None:
            raise TokenInvalid("The access_token is unknown; authorise again.")
        expired, revoked, replaced, app_id, user_id, app_state, client_id, uid, scopes, account_id = row
        if revoked:
            raise TokenInvalid("The access_token was revoked; authorise again.")
        if replaced:
            raise TokenInvalid("A newer access_token has taken the place of this one; use that, or refresh.")
        if expired:
            raise TokenExpired("The access_token has expired; refresh it or authorise again.")
        if needs is not None and needs not in scopes:
            raise ScopeMissing(f"The access_token has no scope {needs}; ask the person for it.")
        return Caller(app_id, user_id, app_state, client_id, uid, tuple(scopes), account_id)

    async def resolve_usable(self, access_token: str, *, needs: Scope | None = None) -> Caller:
        """Like `resolve`, and raises AppNotUsable unless the app is approved."""
        caller = await self.resolve(access_token, needs=needs)
        if caller.app_state != "approved":
            raise AppNotUsable(caller.app_state)
        return caller

    async def refresh(
        self, client_id: str, refresh_token: str, client_secret: str | None = None, *, address: str = ""
    ) -> TokenPair:
        """Exchange a refresh token for new tokens; see `renew`."""
        if client_secret:
            await self.authenticate(client_id, client_secret, address=address)
        return (await self.renew(client_id, refresh_token, address=address, proven=bool(client_secret))).pair

    async def renew(self, client_id: str, refresh_token: str, *, address: str = "", proven: bool = False) -> Issued:
        """Exchange a refresh token for new tokens.

        It can be used once. Again within `settings.refresh_grace` seconds it gives the same successor; later it
        revokes all that came of it, for then two parties hold it (RFC 9700, 4.14.2). Where the authorisation keeps its
        refresh token (`Terms.keeps_refresh`) it is used again and again.

        Args:
            client_id: the app the token was issued to.
            refresh_token: the token.
            address: from where it is tried, for the limit on guesses.
            proven: the app has proved itself by its secret; needed where the refresh token is kept.

        Raises:
            BadClient: no such app.
            RefreshInvalid: unknown, expired, revoked, used up, of another app, or a proof is missing.
            AccountDisabled: the token speaks for a person whose account has been disabled.
            TooManyGuesses: too many wrong ones came from this address.

        """
        await self.guesses.check("code", address=address, app=client_id)
        try:
            async with self._database.transaction() as connection:
                issued = await self._issuer.refresh(connection, client_id, refresh_token, proven=proven)
        except RefreshInvalid:
            if not await self.apps.exists(client_id):
                raise BadClient("The app's id is unknown.") from None
            await self.guesses.charge("code", address=address, app=client_id)
            raise
        if issued is None:
            raise RefreshInvalid(
                "The refresh_token was used before: what came of it has been revoked; authorise again."
            )
        return issued

    async def renew_signed(
        self, client_id: str, refresh_token: str, *, openid: str, ts: int, address: str = ""
    ) -> Issued:
        """Give an app that has signed for it a new access token; see `Issuer.refresh_signed` for what it raises."""
        await self.guesses.check("code", address=address, app=client_id)
        try:
            async with self._database.transaction() as connection:
                return await self._issuer.refresh_signed(connection, client_id, refresh_token, openid=openid, ts=ts)
        except RefreshInvalid:
            await self.guesses.charge("code", address=address, app=client_id)
            raise

    async def redeem(
        self,
        app: App,
        code: str,
        *,
        redirect: str | None = "",
        verifier: str = "",
        address: str = "",
        terms: Terms = STANDARD,
    ) -> Issued:
        """Exchange an authorization code for tokens; see `Codes.redeem`.

        Raises:
            CodeInvalid: unknown, used, expired, of another app, or for another address or verifier.
            AccountDisabled: the person's account has been disabled meanwhile.
            TooManyGuesses: too many wrong ones came from this address.

        """
        await self.guesses.check("code", address=address, app=app.client_id)
        try:
            return await self.codes.redeem(app, code, redirect=redirect, verifier=verifier, terms=terms)
        except CodeInvalid:
            await self.guesses.charge("code", address=address, app=app.client_id)
            raise

    async def poll(self, app: App, device_code: str, *, address: str = "", terms: Terms = STANDARD) -> Issued:
        """Exchange a device's code for tokens once a person has confirmed; see `Devices.poll` for what it raises."""
        await self.guesses.check("code", address=address, app=app.client_id)
        try:
            return await self.devices.poll(app, device_code, terms=terms)
        except DeviceUnknown:
            await self.guesses.charge("code", address=address, app=app.client_id)
            raise

    async def ticket(
        self, client_id: str, ticket: str, *, address: str = "", seconds: float = 0, seen: TicketState | None = None
    ) -> TicketStanding:
        """Tell how a QR ticket stands, when that changes; see `Tickets.change`.

        Only wrong ones are counted, and a right one is always answered: nobody finds 256 bits, and a device that asks
        every second shall cost one look-up.

        Raises:
            DeviceUnknown: there is no such ticket (any more), or it is another app's.
            AppNotUsable: the app is not approved (any more).
            TooManyGuesses: too many wrong ones came from this address.

        """
        try:
            return await self.tickets.change(client_id, ticket, seconds=seconds, seen=seen)
        except DeviceUnknown:
            known = await self.apps.exists(client_id)
            await self.guesses.charge("ticket", address=address, app=client_id if known else "")
            raise

    async def revoke(self, access_token: str) -> None:
        """End an access token and all that share its authorisation; an unknown one is no error (RFC 7009, 2.2)."""
        with contextlib.suppress(UnknownAuthorisation):
            await self.authorisations.revoke_token(access_token, by="app")

    async def sign_out_everywhere(self, account: Account, *, by: EndedBy) -> tuple[int, int]:
        """End a person's sessions and all that they allowed to apps; returns how many of each ended."""
        sessions = await self.sessions.end_all(account.id)
        return sessions, await self.authorisations.withdraw_all(account.id, by=by)

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
        """Remove what no longer opens anything: tokens, codes, sessions, counts of guesses; returns how many."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                delete from token_family f
                where not exists (select from access_token t where t.family_id = f.id and t.expires_at > now())
                  and not exists (select from refresh_token r where r.family_id = f.id and r.expires_at > now())
                """
            )
        others = (
            self.codes.forget_expired,
            self.devices.forget_expired,
            self.passkeys.forget_expired,
            self.sessions.forget_expired,
            self.guesses.forget,
        )
        return cursor.rowcount + sum([await forget() for forget in others])

    async def _charge_secret(self, client_id: str, address: str) -> None:
        # Ids that nobody has count as one: else each would have a count of its own.
        known = await self.apps.exists(client_id)
        await self.guesses.charge("secret", address=address, app=client_id if known else "")

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
