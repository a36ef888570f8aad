"""Apps: made, found, reviewed, frozen; their secrets."""

import hmac
import secrets
from collections.abc import Sequence

from psycopg.rows import class_row

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.identity.errors import BadClient, UnknownApp
from openstage.identity.keys import Keys
from openstage.identity.labels import plain
from openstage.identity.models import Account, App, AppCredentials, AppState
from openstage.identity.redirects import acceptable
from openstage.identity.scopes import known
from openstage.settings import Settings

COLUMNS = "id, client_id, name, state, quota, stored, reserved, created_at, developer_id, public, redirects, scopes"


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
        """Make an app; its secret is shown here and never again. For OAuth see `configure`."""
        credentials = AppCredentials(client_id=secrets.token_hex(16), client_secret=secrets.token_hex(16))
        async with self._database.connection() as connection:
            await connection.execute(
                "insert into app (client_id, name, secret, state, quota) values (%s, %s, %s, %s, %s)",
                (
                    credentials.client_id,
                    storable(plain(name)),
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

    async def exists(self, client_id: str) -> bool:
        """Whether an app has this id and has not been deleted."""
        row = await self._database.fetch_one(
            "select 1 from app where client_id = %(client)s and state <> 'deleted'", {"client": storable(client_id)}
        )
        return row is not None

    async def developer_of(self, app: App) -> str:
        """Return the name of the developer who owns an app; empty: the operator."""
        row = await self._database.fetch_one("select name from account where id = %(id)s", {"id": app.developer_id})
        return str(row[0]) if row else ""

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

    async def configure(
        self,
        client_id: str,
        *,
        redirects: Sequence[str] | None = None,
        scopes: Sequence[str] | None = None,
        public: bool | None = None,
    ) -> App:
        """Set what an app may do as an OAuth client; what is None stays. Tokens that were given stay as they are.

        Args:
            client_id: the app's id.
            redirects: addresses that codes may be sent to.
            scopes: what it may ask for.
            public: whether it can't keep a secret.

        Raises:
            BadRedirect: an address may not be registered.
            BadScope: there is no such scope.
            UnknownApp: no app has this id.

        """
        values: dict[str, object] = {}
        if redirects is not None:
            values["redirects"] = list(dict.fromkeys(map(acceptable, redirects)))
        if scopes is not None:
            values["scopes"] = known(scopes)
        if public is not None:
            values["public"] = public
        for column, value in values.items():
            await self._update(client_id, f"{column} = %(value)s", value)
        return await self.find(client_id)

    async def set_developer(self, client_id: str, developer: Account | None) -> App:
        """Give an app to a developer, or back to the operator: its users' unionids are that developer's from now on.

        Raises:
            UnknownApp: no app has this id.

        """
        return await self._update(client_id, "developer_id = %(value)s", developer.id if developer else None)

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
            raise BadClient("The app's id is unknown, or its secret is wrong.")
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
