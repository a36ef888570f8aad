"""A stage with a fresh database for each test."""

from collections.abc import AsyncIterator

import pytest

from openstage.database.engine import Database
from openstage.settings import Settings
from tests.publishing.stage import Stage, open_stage


@pytest.fixture
async def stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    async with open_stage(settings, database) as opened:
        yield opened
