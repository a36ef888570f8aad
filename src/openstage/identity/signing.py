"""The secrets of apps that sign their requests, looked up for many requests at once."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from openstage.database.engine import Database
from openstage.database.lookups import SharedLookup
from openstage.database.text import storable
from openstage.identity.keys import Keys
from openstage.identity.models import AppState

RECENT_SECONDS: Final = 0.5
"""For so long what was looked up serves those who said that this will do."""
MOST_RECENT: Final = 1000
"""Apps that are remembered for that."""


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
        self._recent: dict[str, tuple[float, SigningApp]] = {}
        self._apps = SharedLookup(
            database,
            """
            select asked.number, a.id, a.state, a.secret,
                   case when a.previous_secret_until > now() then a.previous_secret end
            from unnest(%s::text[]) with ordinality as asked (client_id, number)
            join app a using (client_id)
            """,
        )

    async def find(self, client_id: str, *, recent: bool = False) -> SigningApp | None:
        """Return an app, whatever its state; None where there is none, or it has been deleted.

        Args:
            client_id: the id.
            recent: whether what was true within the last `RECENT_SECONDS` will do: for calls that change nothing and
                tell nothing of the app itself, of which one app makes many.

        Raises:
            Unavailable: the database is away.

        """
        now = asyncio.get_running_loop().time()
        if recent and (known := self._recent.get(client_id)) and now - known[0] < RECENT_SECONDS:
            return known[1]
        row = await self._apps.row(storable(client_id))
        if row is None or row[1] == "deleted":
            self._recent.pop(client_id, None)
            return None
        app_id, state, *sealed = row
        secrets = tuple(self._keys.decrypt(each) for each in sealed if each is not None)
        found = SigningApp(app_id, client_id, state, secrets)
        self._recent.pop(client_id, None)  # it goes to the end: the first one is the one looked up longest ago
        if state == "approved":  # others may become so at any moment, and nobody shall wait then
            self._recent[client_id] = (now, found)
        if len(self._recent) > MOST_RECENT:
            del self._recent[next(iter(self._recent))]
        return found
