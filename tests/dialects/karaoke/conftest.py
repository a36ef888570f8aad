"""A whole Openstage in the test's own process: server on a real port, worker, database, and singers with tokens."""

import asyncio
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from openstage.app import Services, application, open_services
from openstage.identity.codes import Wanted
from openstage.identity.issuing import Terms
from openstage.identity.models import App, AppCredentials
from openstage.publishing.worker import run_worker
from openstage.settings import Settings
from tests.support.database import TestServer
from tests.support.fixtures import make_clip
from tests.support.server import free_port, serving
from tests.support.waiting import wait_until

Reply = dict[str, Any]
UPLOAD = "/karaoke/file/v2/ugc_upload_by_file"
LINK = "/karaoke/file/v2/ugc_upload_by_link"

SAMPLE: dict[str, Any] = {
    "song_id": "0025ARRr0HqJLg",
    "song_name": "七里香",
    "song_type": 1,
    "publish_type": 0,
    "share_type": 0,
    "score": 1234,
    "score_rank": 2,
    "content": "我用全民k歌唱了一首歌",
    "cover": "http://shp.qpic.cn/ttkg/0/506dc4d51122c0af047e47ef83f9fafc598174ad/0?t=1",
    "file_name": "七里香.mp3",
    "file_sha": "",
    "file_size": 32361,
    "is_segment": False,
    "segment_start": 0,
    "segment_end": 0,
    "sentence_count": 60,
    "imei": "",
}
"""`data` as the document has it."""


@dataclasses.dataclass(frozen=True)
class Singer:
    """A user of an app, and the headers by which a device speaks for them."""

    openid: str
    headers: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Karaoke:
    """A running server and what tests do with it."""

    address: str
    settings: Settings
    services: Services
    http: httpx.AsyncClient
    credentials: AppCredentials

    async def app(self) -> App:
        """The app by which tests sing."""
        return await self.services.identity.authenticate(self.credentials.client_id, self.credentials.client_secret)

    async def singer(self, name: str, *, app: App | None = None) -> Singer:
        """A person with an account of that name, made now unless there is one, signed in to an app."""
        identity, app = self.services.identity, app or await self.app()
        known = [account for account in await identity.accounts.list() if account.name == name]
        account = known[0] if known else await identity.accounts.create(name, "correct horse battery")
        scopes = ["profile", "works.read", "works.write"]
        code = await identity.codes.make(account, Wanted(app, "https://app.test/back", False, scopes))
        terms = Terms(only_one=True, keeps_refresh=True)
        issued = await identity.redeem(app, code, redirect="https://app.test/back", terms=terms)
        return Singer(issued.openid, self.headers(issued.pair.access_token, issued.openid, app=app))

    async def app_headers(self) -> dict[str, str]:
        """Headers with a token that speaks for the app alone."""
        issued = await self.services.identity.authorise_app(await self.app())
        return self.headers(issued.pair.access_token)

    def headers(self, token: str, openid: str = "", *, app: App | None = None) -> dict[str, str]:
        """Headers of a device."""
        return {
            "X-Open-Access-Token": token,
            "X-Open-App-ID": app.client_id if app else self.credentials.client_id,
            "X-Open-ID": openid,
            "Device-ID": "imei-of-a-device",
        }

    async def post(self, path: str, headers: dict[str, str], body: Any = None) -> Reply:
        """Make a call with a JSON body; returns the envelope."""
        content = body if isinstance(body, bytes) else json.dumps(body or {}, ensure_ascii=False).encode()
        answer = await self.http.post(path, headers=headers, content=content)
        return envelope(answer)

    async def upload(
        self, singer: Singer | dict[str, str], sound: bytes, *, file_first: bool = False, **fields: Any
    ) -> Reply:
        """Upload a recording as the document has it, with its size; `fields` replace those of the sample."""
        headers = singer.headers if isinstance(singer, Singer) else singer
        data = json.dumps(SAMPLE | {"file_size": len(sound)} | fields, ensure_ascii=False)
        parts: list[Any] = [("data", (None, data)), ("ugc_file", ("七里香.mp3", sound, "audio/mpeg"))]
        answer = await self.http.post(UPLOAD, headers=headers, files=parts[::-1] if file_first else parts)
        return envelope(answer)

    async def state(self, ugc_id: str) -> str:
        """State of a recording's work."""
        row = await self.services.database.fetch_one(
            "select state from work join recording on work_id = work.id where ugc_id = %(id)s", {"id": ugc_id}
        )
        return str(row[0]) if row else ""

    async def reached(self, ugc_id: str, state: str = "published", within: float = 30.0) -> None:
        """Wait until a recording's work is in a state."""

        async def there() -> bool:
            return await self.state(ugc_id) == state

        await wait_until(there, within=within, what=state)

    async def held(self) -> tuple[int, int]:
        """Bytes of the app that are reserved and stored."""
        app = await self.app()
        return app.reserved, app.stored

    async def count(self) -> int:
        """Number of works there are."""
        row = await self.services.database.fetch_one("select count(*) from work")
        return int(row[0]) if row else 0

    def incoming(self) -> list[Path]:
        """Files that are coming in at the moment."""
        return list(self.settings.staging_folder.glob("incoming-*"))


def envelope(answer: httpx.Response) -> Reply:
    """The JSON of an answer, which must be an envelope."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: Reply = answer.json()
    assert set(body) == {"code", "msg", "data"}
    assert isinstance(body["code"], int)
    assert isinstance(body["msg"], str)
    assert isinstance(body["data"], dict)
    return body


@contextlib.asynccontextmanager
async def running_karaoke(data: Path, database: str, *, worker: bool) -> AsyncIterator[Karaoke]:
    """A server that fetches from, and calls, addresses of this machine; without a worker nothing is produced."""
    data.mkdir(parents=True)
    port = free_port()
    settings = Settings(
        data=data,
        database_url=database,
        listen=f"127.0.0.1:{port}",
        outbound_allow=["127.0.0.1"],
        piece_timeout=2.0,
    )
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(application(settings), port=port))
        services = await stack.enter_async_context(open_services(settings))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=60))
        working = asyncio.create_task(run_worker(settings, stop=stop)) if worker else None
        try:
            credentials = await services.identity.apps.create("A karaoke device")
            await services.database.fetch_one("update app set scopes = '{profile,works.read,works.write}' returning id")
            yield Karaoke(address, settings, services, http, credentials)
        finally:
            stop.set()
            if working is not None:
                await working


@pytest.fixture(scope="session")
async def karaoke(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Karaoke]:
    """A server without a worker, for all tests of calls: what comes in stays as it came."""
    with postgres.database() as database:
        async with running_karaoke(tmp_path_factory.mktemp("calls") / "数据 data", database, worker=False) as running:
            yield running


@pytest.fixture(scope="session")
async def stage(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Karaoke]:
    """A server with a worker, for all tests of what becomes of recordings."""
    with postgres.database() as database:
        async with running_karaoke(tmp_path_factory.mktemp("stage") / "数据 data", database, worker=True) as running:
            yield running


def recording(duration: float = 1.0, frequency: int = 440) -> bytes:
    """A sung file, as a device makes it."""
    return make_clip("mp3", vcodec=None, acodec="mp3", duration=duration, sample_rate=44100).read_bytes()


def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
