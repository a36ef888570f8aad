"""Authorisations: who may do what in whose name, since when; listed, explained and ended by user, app and operator."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from psycopg.rows import class_row

from openstage.database.engine import Database
from openstage.database.text import storable
from openstage.identity import tokens
from openstage.identity.errors import UnknownAuthorisation, UnknownUser
from openstage.identity.issuing import end
from openstage.identity.models import EndedBy, Origin, Realm

TokenKind = Literal["access_token", "refresh_token", "code", "device_code", "qr_ticket"]

_ENDED: dict[str, str] = {
    "user": "the person withdrew it",
    "app": "the app revoked it",
    "operator": "the operator revoked it",
    "reuse": "a refresh token or code of it was used twice, so somebody else may hold one",
    "newer": "a newer one of the same app and user took its place",
    "disabled": "the person's account was disabled",
    "": "it was revoked",
}
_USED: dict[TokenKind, str] = {
    "qr_ticket": "Its code has been exchanged for tokens.",
    "access_token": "A newer one has taken its place.",
}
_STATES: dict[str, str] = {
    "pending": "the app awaits review",
    "rejected": "the app was rejected in review",
    "frozen": "the app is frozen",
    "deleted": "the app has been deleted",
}


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One authorisation: the tokens that descend from one grant."""

    number: int
    client_id: str
    app_name: str
    realm: Realm
    uid: str
    """The app's own name for the user, or the openid of a person."""
    account: str | None
    """Name of the person's account."""
    scopes: list[str]
    origin: Origin
    created_at: dt.datetime
    renewed_at: dt.datetime | None
    """When tokens were last given."""
    ends_at: dt.datetime | None
    """When its last token expires."""
    ended_at: dt.datetime | None
    ended_by: str


@dataclass(frozen=True, slots=True)
class Holder:
    """In whose name a token or code is."""

    realm: Realm
    uid: str
    """The app's own name for the user, or the openid of a person."""
    account: str | None
    """Name of the person's account."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a token is, and whether it would be taken."""

    kind: TokenKind
    valid: bool
    why: str
    """Why it is refused, for a person; empty when it is taken."""
    issued_at: dt.datetime
    expires_at: dt.datetime
    used_at: dt.datetime | None
    app_state: str
    scopes: list[str]
    authorisation: Authorisation | None
    """None for a code that nobody has used yet."""
    holder: Holder | None
    """None for a ticket or device code that nobody has confirmed."""
    client_id: str
    app_name: str


_COLUMNS = """
    f.id as number, a.client_id, a.name as app_name, u.realm, u.uid, c.name as account,
    f.scopes, f.origin, f.created_at,
    (select max(issued_at) from access_token where family_id = f.id) as renewed_at,
    greatest((select max(expires_at) from access_token where family_id = f.id),
             (select max(expires_at) from refresh_token where family_id = f.id)) as ends_at,
    f.revoked_at as ended_at, f.ended_by
"""
_TABLES = """
    token_family f join app a on a.id = f.app_id join end_user u on u.id = f.user_id
    left join account c on c.id = u.account_id
"""
_HOLDS = """
    f.revoked_at is null
    and (exists (select from access_token t where t.family_id = f.id and t.expires_at > now())
         or exists (select from refresh_token r where r.family_id = f.id and r.expires_at > now()))
"""


class Authorisations:
    """What can be done with authorisations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _select(self, condition: str, parameters: dict[str, object]) -> list[Authorisation]:
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(Authorisation)) as cursor,
        ):
            await cursor.execute(
                f"select {_COLUMNS} from {_TABLES} where {condition} order by f.id limit %(limit)s".encode(), parameters
            )
            return await cursor.fetchall()

    async def list(
        self,
        *,
        client_id: str | None = None,
        account_id: int | None = None,
        ended: bool = False,
        limit: int = 100,
        after: int = 0,
    ) -> list[Authorisation]:
        """Return authorisations by their number.

        Args:
            client_id: of this app only.
            account_id: of this person only.
            ended: also those that no longer hold.
            limit: how many at most.
            after: only those after this number.

        """
        return await self._select(
            "(%(client)s::text is null or a.client_id = %(client)s)"
            " and (%(account)s::bigint is null or u.account_id = %(account)s) and f.id > %(after)s"
            f" and (%(ended)s or ({_HOLDS}))",
            {"client": client_id, "account": account_id, "ended": ended, "after": after, "limit": limit},
        )

    async def revoke(self, number: int, *, by: EndedBy) -> Authorisation:
        """End an authorisation; one that has ended is no error. Raises UnknownAuthorisation."""
        async with self._database.connection() as connection:
            await end(connection, number, by=by)
        return await self._one(number)

    async def revoke_token(self, token: str, *, by: EndedBy) -> Authorisation:
        """End the authorisation that an access or refresh token belongs to; raises UnknownAuthorisation."""
        found = await self.family_of(token)
        if found is None:
            raise UnknownAuthorisation("No access token or refresh token is like this one; it may have been forgotten.")
        return await self.revoke(found[0], by=by)

    async def revoke_openid(self, openid: str, *, by: EndedBy) -> int:
        """End all that speaks for the person whom an app knows by this openid; returns how many authorisations ended.

        Raises:
            UnknownUser: no app knows anybody by it.

        """
        user: dict[str, object] = {"openid": storable(openid)}
        condition = "u.uid = %(openid)s and u.account_id is not null"
        if await self._database.fetch_one(f"select u.id from end_user u where {condition}", user) is None:
            raise UnknownUser("No app knows anybody by this openid; see `openstage token list`.")
        return await self._end_where(condition, user, by=by)

    async def family_of(self, token: str) -> tuple[int, int] | None:
        """Return the number of a token's authorisation, and the id of its app; None for an unknown token."""
        row = await self._database.fetch_one(
            """
            select f.id, f.app_id from token_family f
            where f.id = coalesce((select family_id from access_token where digest = %(digest)s),
                                  (select family_id from refresh_token where digest = %(digest)s))
            """,
            {"digest": tokens.digest(token)},
        )
        return (row[0], row[1]) if row else None

    async def withdraw(self, account_id: int, client_id: str) -> int:
        """End all that a person allowed to an app; returns how many authorisations ended."""
        return await self._end_where(
            "u.account_id = %(account)s and a.client_id = %(client)s",
            {"account": account_id, "client": storable(client_id)},
            by="user",
        )

    async def withdraw_all(self, account_id: int, *, by: EndedBy) -> int:
        """End all that a person allowed to anybody; returns how many authorisations ended."""
        return await self._end_where("u.account_id = %(account)s", {"account": account_id}, by=by)

    async def explain(self, token: str) -> Explanation:
        """Tell what a token or code is, whose, and whether it is taken; raises UnknownAuthorisation."""
        digest = tokens.digest(token)
        row = await self._database.fetch_one(
            """
            select 'access_token', issued_at, expires_at, replaced_at, '', f.id, f.app_id, f.scopes, f.user_id
            from access_token t join token_family f on f.id = t.family_id where digest = %(digest)s
            union all
            select 'refresh_token', issued_at, expires_at, used_at, case when keeps_refresh then 'kept' else '' end,
                   f.id, f.app_id, f.scopes, f.user_id
            from refresh_token t join token_family f on f.id = t.family_id where digest = %(digest)s
            union all
            select 'code', issued_at, expires_at, used_at, '', family_id, app_id, scopes, user_id
            from authorization_code where digest = %(digest)s
            union all
            select case when d.link is null then 'device_code' else 'qr_ticket' end, d.issued_at,
                   coalesce(c.expires_at, d.expires_at), c.used_at, d.state, coalesce(c.family_id, d.family_id),
                   d.app_id, d.scopes, d.user_id
            from device_grant d left join authorization_code c on c.digest = d.code_digest
            where d.digest = %(digest)s
            """,
            {"digest": digest},
        )
        if row is None:
            raise UnknownAuthorisation(
                "This server never gave such a token, or has forgotten it: that happens when its authorisation can't "
                "be renewed any more."
            )
        kind, issued_at, expires_at, used_at, state, number, app_id, scopes, user_id = row
        app = await self._database.fetch_one(
            "select client_id, name, state, now() from app where id = %(id)s", {"id": app_id}
        )
        assert app is not None  # apps are never removed
        client_id, app_name, app_state, now = app
        authorisation = await self._one(number) if number is not None else None
        why = _why(kind, state, authorisation, used=used_at is not None, expired=expires_at <= now, app_state=app_state)
        return Explanation(
            kind=kind,
            valid=not why,
            why=why,
            issued_at=issued_at,
            expires_at=expires_at,
            used_at=used_at,
            app_state=app_state,
            scopes=scopes,
            authorisation=authorisation,
            holder=await self._holder(user_id),
            client_id=client_id,
            app_name=app_name,
        )

    async def _holder(self, user_id: int | None) -> Holder | None:
        row = await self._database.fetch_one(
            "select u.realm, u.uid, c.name from end_user u left join account c on c.id = u.account_id"
            " where u.id = %(id)s",
            {"id": user_id},
        )
        return Holder(*row) if row else None

    async def _one(self, number: int) -> Authorisation:
        if found := await self._select("f.id = %(id)s", {"id": number, "limit": 1}):
            return found[0]
        raise UnknownAuthorisation(f"There is no authorisation number {number}; see `openstage token list`.")

    async def _end_where(self, condition: str, parameters: dict[str, object], *, by: EndedBy) -> int:
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                f"""
                update token_family f set revoked_at = now(), ended_by = %(by)s
                from end_user u, app a
                where u.id = f.user_id and a.id = f.app_id and f.revoked_at is null and {condition}
                """.encode(),
                {**parameters, "by": by},
            )
        return cursor.rowcount


def _why(
    kind: TokenKind,
    state: str,
    authorisation: Authorisation | None,
    *,
    used: bool,
    expired: bool,
    app_state: str,
) -> str:
    """Why a token is refused; empty when it is taken."""
    if authorisation is not None and authorisation.ended_at is not None:
        return f"Its authorisation has ended: {_ENDED[authorisation.ended_by]}."
    if kind in {"device_code", "qr_ticket"} and state != "confirmed":
        waiting = {"refused": "The person refused.", "used": "It has been exchanged for tokens."}
        return waiting.get(state, "It has expired." if expired else "Nobody has confirmed it yet.")
    if used and not (kind == "refresh_token" and state == "kept"):
        return _USED.get(kind, "It has been used; what replaced it counts.")
    if expired:
        return "It has expired."
    return f"The call may be refused: {_STATES[app_state]}." if app_state in _STATES else ""
