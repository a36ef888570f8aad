"""A stage with one published work: two rungs, sound, two mp4 files and a picture."""

from collections.abc import AsyncIterator

import pytest

from openstage.database.engine import Database
from openstage.settings import Settings
from tests.delivery.stage import Stage, staged


@pytest.fixture
async def stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    async with staged(settings, database) as made:
        await made.work()
        await made.mp4("1")
        await made.mp4("2", 200_000)
        await made.hls("96")
        await made.hls("2")
        await made.hls("a")
        await made.picture()
        yield made
