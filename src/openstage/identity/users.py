"""End users of apps, as the operator sees them."""

import datetime as dt
from dataclasses import dataclass

from psycopg.rows import class_row

from openstage.database.engine import Database
from openstage.identity.errors import UnknownUser
from openstage.identity.models import Realm


@dataclass(frozen=True, slots=True)
class EndUser:
    """A person, as an app names them; in realm `app` the app itself."""

    id: int
    client_id: str
    app_name: str
    realm: Realm
    uid: str
    nick: str
    live_tokens: int
    """Authorisations that still hold."""
    created_at: dt.datetime


class Users:
    """What an operator can do with end users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _select(self, condition: str, parameters: dict[str, object]) -> list[EndUser]:
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(EndUser)) as cursor,
        ):
            await cursor.execute(
                f"""
                select u.id, a.client_id, a.name as app_name, u.realm, u.uid, u.nick, u.created_at,
                       (select count(*) from token_family f
                        where f.user_id = u.id and f.revoked_at is null
                          and exists (select from refresh_token r where r.family_id = f.id and r.expires_at > now())
                       ) as live_tokens
                from end_user u join app a on a.id = u.app_id
                where {condition}
                order by u.id limit %(limit)s
                """,
                parameters,
            )
            return await cursor.fetchall()

    async def list(self, *, client_id: str | None = None, limit: int = 100, after: int = 0) -> list[EndUser]:
        """Return end users by their number, `limit` at most, those after number `after`."""
        return await self._select(
            "(%(client)s::text is null or a.client_id = %(client)s) and u.id > %(after)s",
            {"client": client_id, "after": after, "limit": limit},
        )

    async def show(self, user_id: int) -> EndUser:
        """Return one end user; raises UnknownUser."""
        if users := await self._select("u.id = %(id)s", {"id": user_id, "limit": 1}):
            return users[0]
        raise UnknownUser(f"There is no user number {user_id}; see `openstage end-user list`.")

    async def sign_out(self, user_id: int) -> int:
        """Revoke all tokens that speak for a user; returns how many authorisations ended. Raises UnknownUser."""
        await self.show(user_id)
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "update token_family set revoked_at = now(), ended_by = 'operator'"
                " where user_id = %s and revoked_at is null",
                (user_id,),
            )
        return cursor.rowcount
