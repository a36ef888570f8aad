from collections.abc import AsyncIterator

import httpx
import pytest

from openstage.app import application
from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.settings import Settings
from tests.support.openapi_client import Client
from tests.support.server import serving


@pytest.fixture(scope="module")
async def identity(module_database: Database, module_settings: Settings) -> Identity:
    return Identity(module_database, module_settings, Keys.load(module_settings.folder))


@pytest.fixture(scope="module")
async def http(module_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(application(module_settings)) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as client,
    ):
        yield client


@pytest.fixture
async def client(http: httpx.AsyncClient, identity: Identity) -> Client:
    client = Client(http, await identity.apps.create("A camera app"))
    reply = await client.get(
        "/api/iqiyi/authorize",
        client_id=client.credentials.client_id,
        client_secret=client.credentials.client_secret,
    )
    client.token = reply["data"]["access_token"]
    return client


@pytest.fixture
async def owner(client: Client, identity: Identity) -> tuple[int, int]:
    caller = await identity.resolve(client.token)
    return caller.app_id, caller.user_id
