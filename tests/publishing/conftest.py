"""A stage with a fresh database for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from openstage.database.engine import Database
from openstage.settings import Settings
from tests.publishing.producing import Worker, working
from tests.publishing.stage import Stage, open_stage
from tests.publishing.tools import FakeTools


@pytest.fixture
async def stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    async with open_stage(settings, database) as opened:
        yield opened


@pytest.fixture
def fake() -> FakeTools:
    return FakeTools()


@pytest.fixture
def worker(stage: Stage, fake: FakeTools, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr("openstage.publishing.progress._INTERVAL", 0.01)
    with working(stage, fake) as made:
        yield made
