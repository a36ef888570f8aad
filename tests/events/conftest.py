"""An app with events, on a fresh database for each test."""

import pytest

from openstage.database.engine import Database
from openstage.settings import Settings
from tests.events.courier import Office


@pytest.fixture
async def office(settings: Settings, database: Database) -> Office:
    quick = settings.model_copy(update={"callback_retries": [0.02, 0.02, 0.02], "callback_timeout": 5.0})
    return await Office.opened(quick, database)
