"""Apps: made, found, reviewed, frozen; their secrets."""

import hmac
import secrets

from psycopg.rows import class_row

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.identity.errors import BadClient, UnknownApp
from openstage.identity.keys import Keys
from openstage.identity.models import App, AppCredentials, AppState
from openstage.settings import Settings

COLUMNS = "id, client_id, name, state, quota, stored, reserved, created_at"


async def keys_of(database: Database, settings: Settings) -> Keys:
    """Read the master key of a data folder; make one only while nothing in the database needs another.

    Raises:
        MasterKeyUnusable: the key is damaged, or missing though there are apps.

    """
    row = await database.fetch_one("select exists (select from app)")
    return Keys.load(settings.folder, needed=bool(row and row[0]))


class Apps:
    """What can be done with apps."""

    def __init__(self, database: Database, settings: Settings, keys: Keys) -> None:
        self._database = database
        self._settings = settings
        self._keys = keys

    async def create(self, name: str, *, state: AppState = "approved", quota: int | None = None) -> AppCredentials:
        """Make an app; its secret is shown here and never again."""
        credentials = AppCredentials(client_id=secrets.token_hex(16), client_secret=secrets.token_hex(16))
        async with self._database.connection() as connection:
            await connection.execute(
                "insert into app (client_id, name, secret, state, quota) values (%s, %s, %s, %s, %s)",
                (
                    credentials.client_id,
                    storable(name),
                    self._keys.encrypt(credentials.client_secret),
                    state,
                    quota,
                ),
            )
        return credentials

    async def find(self, client_id: str) -> App:
        """Return an app by its id; raises UnknownApp."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(App)) as cursor:
            await cursor.execute(f"select {COLUMNS} from app where client_id = %s", (storable(client_id),))
            if app := await cursor.fetchone():
                return app
        raise UnknownApp(f"There is no app with the client_id {client_id}; see `openstage app list`.")

    async def list(self) -> list[App]:
        """Return all apps, the oldest first."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(App)) as cursor:
            await cursor.execute(f"select {COLUMNS} from app order by id")
            return await cursor.fetchall()

    async def set_state(self, client_id: str, state: AppState) -> App:
        """Approve, reject, freeze or delete an app (its works stay); raises UnknownApp."""
        return await self._update(client_id, "state = %(value)s", state)

    async def set_quota(self, client_id: str, quota: int | None) -> App:
        """Set an app's own quota in bytes; None: the server's setting, 0: no limit. Raises UnknownApp."""
        return await self._update(client_id, "quota = %(value)s", quota)

    async def rotate_secret(self, client_id: str) -> AppCredentials:
        """Give an app a new secret; the old one stays valid for `settings.secret_grace` seconds. Raises UnknownApp."""
        secret = secrets.token_hex(16)
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                update app
                set previous_secret = secret, previous_secret_until = now() + make_interval(secs => %(grace)s),
                    secret = %(secret)s, changed_at = now()
                where client_id = %(client)s
                """,
                {"client": client_id, "secret": self._keys.encrypt(secret), "grace": self._settings.secret_grace},
            )
        if not cursor.rowcount:
            raise UnknownApp(f"There is no app with the client_id {client_id}; see `openstage app list`.")
        return AppCredentials(client_id=client_id, client_secret=secret)

    async def authenticate(self, connection: Connection, client_id: str, client_secret: str) -> App:
        """Return the app whose id and secret these are, whatever its state; raises BadClient."""
        row = await (
            await connection.execute(
                f"""
                select {COLUMNS}, secret, case when previous_secret_until > now() then previous_secret end
                from app where client_id = %s
                """,
                (storable(client_id),),
            )
        ).fetchone()
        given = storable(client_secret).encode()
        # An unknown id costs a comparison too, so that time doesn't tell which ids exist.
        sealed = [secret for secret in row[-2:] if secret is not None] if row else []
        known = [self._keys.decrypt(secret).encode() for secret in sealed] or [secrets.token_hex(16).encode()]
        matches = [hmac.compare_digest(secret, given) for secret in known]
        if row is None or not any(matches):
            raise BadClient("The client_id is unknown or the client_secret is wrong.")
        return App(*row[:-2])

    async def _update(self, client_id: str, assignment: str, value: object) -> App:
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(App)) as cursor:
            await cursor.execute(
                f"update app set {assignment}, changed_at = now() where client_id = %(client)s returning {COLUMNS}",
                {"client": client_id, "value": value},
            )
            if app := await cursor.fetchone():
                return app
        raise UnknownApp(f"There is no app with the client_id {client_id}; see `openstage app list`.")
