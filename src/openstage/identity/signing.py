"""The secrets of apps that sign their requests, looked up for many requests at once."""

from dataclasses import dataclass, field

from openstage.database.engine import Database
from openstage.database.lookups import SharedLookup
from openstage.database.text import storable
from openstage.identity.keys import Keys
from openstage.identity.models import AppState


@dataclass(frozen=True, slots=True)
class SigningApp:
    """An app as far as its signature goes."""

    id: int
    client_id: str
    state: AppState
    secrets: tuple[str, ...] = field(repr=False)
    """What it may sign with: its secret, and for a while after a rotation the one before."""


class SigningApps:
    """Finds apps by the id that a signed request names."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._keys = keys
        self._apps = SharedLookup(
            database,
            """
            select asked.number, a.id, a.state, a.secret,
                   case when a.previous_secret_until > now() then a.previous_secret end
            from unnest(%s::text[]) with ordinality as asked (client_id, number)
            join app a using (client_id)
            """,
        )

    async def find(self, client_id: str) -> SigningApp | None:
        """Return an app, whatever its state; None where there is none, or it has been deleted.

        Raises:
            Unavailable: the database is away.

        """
        row = await self._apps.row(storable(client_id))
        if row is None or row[1] == "deleted":
            return None
        app_id, state, *sealed = row
        secrets = tuple(self._keys.decrypt(each) for each in sealed if each is not None)
        return SigningApp(app_id, client_id, state, secrets)
