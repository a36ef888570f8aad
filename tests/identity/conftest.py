from pathlib import Path

import pytest

from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.models import AppCredentials
from openstage.identity.service import Identity
from openstage.settings import Settings


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.load(tmp_path)


@pytest.fixture
def identity(database: Database, settings: Settings, keys: Keys) -> Identity:
    return Identity(database, settings, keys)


@pytest.fixture
async def credentials(identity: Identity) -> AppCredentials:
    return await identity.apps.create("A camera app")
