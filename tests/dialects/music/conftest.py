"""One server for all tests of this dialect: each test makes its own app, and its own tracks where it changes them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from openstage.app import application
from openstage.database.engine import Database
from openstage.identity.apps import Apps
from openstage.identity.keys import Keys
from openstage.licensing.billing import BillingAccounts
from openstage.licensing.ledger import Ledger
from openstage.licensing.service import Licensing
from openstage.settings import Settings
from openstage.storage.objects import open_store
from tests.conftest import settings_for
from tests.licensing.shop import Shop
from tests.support.database import TestServer
from tests.support.music import App, MusicServer
from tests.support.server import serving


@pytest.fixture(scope="session")
def music_settings(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with postgres.database() as address:
        yield settings_for(tmp_path_factory.mktemp("music"), address)


@pytest.fixture(scope="session")
async def music(music_settings: Settings) -> AsyncIterator[MusicServer]:
    settings = music_settings
    async with (
        Database(settings.database_url, largest=4) as database,
        serving(application(settings), port=settings.port) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as http,
    ):
        keys = Keys.load(settings.folder)
        shop = Shop(
            database,
            Apps(database, settings, keys),
            Licensing(database, settings),
            BillingAccounts(database, settings),
            Ledger(database, settings),
        )
        yield MusicServer(address, http, shop, open_store(settings))


@pytest.fixture
async def app(music: MusicServer) -> App:
    """A fresh app of the server."""
    return await music.app()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "音乐 music"
    made.mkdir()
    return made
