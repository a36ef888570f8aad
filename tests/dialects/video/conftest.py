from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from openstage.app import application
from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.settings import Settings
from tests.support.openapi_client import Client
from tests.support.server import serving
from tests.uploads.application import UploadServices, upload_services
from tests.uploads.wire import Answer, Headers, call, query


@dataclass(frozen=True)
class UploadServer:
    """A real server of the upload calls, and a token for it."""

    address: str
    token: str
    services: UploadServices

    async def call(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Answer:
        return await call(self.address, method, target, headers, body)

    async def open(self, size: int, token: str | None = None) -> str:
        """File id of a new upload."""
        target = "/openupload" + query(access_token=token or self.token, filetype="mp4", filesize=size)
        opened = await self.call("GET", target)
        assert opened.code == "A00000", opened.json
        return str(opened.json["data"]["file_id"])

    async def send(self, file_id: str, span: str, body: bytes, *headers: tuple[str, str]) -> Answer:
        """Send a piece as most clients do: raw, said to be a form."""
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        return await self.call("POST", "/upload", [("file_id", file_id), ("range", span), kind, *headers], body)

    async def status(self, file_id: str) -> dict[str, object]:
        answer = await self.call("GET", "/uploadstatus" + query(access_token=self.token, file_id=file_id))
        assert answer.code == "A00000", answer.json
        data: dict[str, object] = answer.json["data"]
        return data

    async def received(self, file_id: str) -> object:
        return (await self.status(file_id))["received"]

    def content(self, file_id: str) -> bytes:
        """What the staging file holds."""
        return self.services.uploads.staging_path(file_id).read_bytes()


@pytest.fixture(scope="module")
async def server(module_settings: Settings) -> AsyncIterator[UploadServer]:
    settings = module_settings.model_copy(update={"piece_timeout": 1.0})
    async with (
        upload_services(settings, takeover=0.3) as services,
        serving(services.application()) as address,
    ):
        yield UploadServer(address, await services.token(), services)


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
