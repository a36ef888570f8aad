"""What is known of a person besides their name and password: where they live, and how many friends they have."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from psycopg.rows import class_row

from openstage.database.engine import Database
from openstage.identity.errors import BadCity, UnknownUser
from openstage.identity.models import Account

LARGEST_CITY: Final = 999_999


@dataclass(frozen=True, slots=True)
class Profile:
    """A person, as the apps that they signed in to may know them.

    Attributes:
        name: what others see: the account's name, else the nick that the app gave.
        city_id: where they live, as their apps number cities; None: not told.
        friends: how many they have.
        created_at: since when the app knows them.

    """

    name: str
    city_id: int | None
    friends: int
    created_at: dt.datetime


class Profiles:
    """Reads and changes profiles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: int) -> Profile:
        """Return the profile of an app's end user; raises UnknownUser."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Profile)) as rows:
            await rows.execute(
                """
                select coalesce(account.name, end_user.nick) as name, city_id, end_user.created_at,
                       (select count(*) from friendship where friendship.account_id = account.id) as friends
                from end_user left join account on account.id = account_id where end_user.id = %s
                """,
                (user_id,),
            )
            if profile := await rows.fetchone():
                return profile
        raise UnknownUser(f"There is no user number {user_id}.")

    async def set_city(self, account: Account, city_id: int | None) -> None:
        """Say where a person lives; what they have recorded before stays where it was. None: nowhere that is told.

        Raises:
            BadCity: no city has such a number.

        """
        if city_id is not None and not 1 <= city_id <= LARGEST_CITY:
            raise BadCity(f"A city's number is from 1 to {LARGEST_CITY}, such as 440300.")
        async with self._database.connection() as connection:
            await connection.execute("update account set city_id = %s where id = %s", (city_id, account.id))
