from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from argon2 import PasswordHasher

from openstage.app import application
from openstage.database.engine import Database
from openstage.identity import passwords
from openstage.identity.keys import Keys
from openstage.identity.models import App
from openstage.identity.service import Identity
from openstage.settings import Settings
from tests.oauth.person import Person
from tests.support.frontend import assets
from tests.support.server import serving

__all__ = ["assets"]

PASSWORD = "correct horse battery"
CALLBACK = "https://app.example/callback"


@dataclass(frozen=True)
class OauthServer:
    """A real server, and its identity to look behind."""

    address: str
    identity: Identity
    settings: Settings
    keys: Keys

    def person(self, language: str = "en") -> Person:
        """Somebody at a browser with nothing remembered."""
        return Person(self.address, language)


@dataclass(frozen=True)
class Client:
    """An app as its developer has it."""

    app: App
    secret: str

    @property
    def id(self) -> str:
        return self.app.client_id

    @property
    def credentials(self) -> dict[str, str]:
        return {"client_id": self.id, "client_secret": self.secret}


@pytest.fixture(scope="module", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hashing as slow as it should be is for the tests of passwords."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture(scope="module")
async def server(module_settings: Settings, module_database: Database) -> AsyncIterator[OauthServer]:
    settings = module_settings.model_copy(update={"sign_up": True})
    async with serving(application(settings)) as address:
        keys = Keys.load(settings.folder)
        identity = Identity(module_database, settings, keys)
        await identity.accounts.create("小明", PASSWORD)
        yield OauthServer(address, identity, settings, keys)


@pytest.fixture(autouse=True)
async def unlimited(module_database: Database) -> None:
    """Guesses of earlier tests are forgotten: all of them came from this machine."""
    async with module_database.connection() as connection:
        await connection.execute("delete from guess")


@pytest.fixture
async def client(server: OauthServer) -> Client:
    return await make_client(server)


@pytest.fixture
async def public(server: OauthServer) -> Client:
    return await make_client(server, public=True)


async def make_client(server: OauthServer, *, public: bool = False) -> Client:
    apps = server.identity.apps
    made = await apps.create("A camera <app>")
    scopes = ["profile", "works.read", "works.write"]
    app = await apps.configure(made.client_id, redirects=[CALLBACK], scopes=scopes, public=public)
    return Client(app, made.client_secret)


@pytest.fixture
async def person(server: OauthServer) -> AsyncIterator[Person]:
    async with server.person() as someone:
        await someone.sign_in("小明", PASSWORD)
        yield someone
