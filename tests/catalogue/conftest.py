"""One catalogue of made-up tracks with a running index, shared by all tests that only search."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bench.search.generate import Generator
from openstage.catalogue.service import Catalogue
from openstage.database.engine import Database
from openstage.settings import Settings
from tests.catalogue.shelf import put, searching, until

MADE_UP = 1500
# Tracks with words that the made-up ones don't have.
SPECIAL: list[dict[str, Any]] = [
    {"external_id": "luck", "title": "Beginner's Luck", "artist": "Z01803360", "bpm": 95, "duration": 28},
    {"external_id": "tea", "title": "茶馆小调", "artist": "Ünïcödé Örchestra", "bpm": 59.9, "duration": 90.4},
    {"external_id": "produce", "title": "产品和服务", "artist": "Ada", "bpm": 60, "duration": 90.6},
    {"external_id": "robe", "title": "和服之美", "artist": "Ada", "bpm": 400, "heat": 3},
    {"external_id": "long", "title": "Longread", "artist": "Ada", "description": "春天的故事" * 30 + "琥珀"},
    {"external_id": "zither", "title": "Zitherspiel", "artist": "Ada", "instruments": ["齐特琴|Zither"], "heat": 7},
    {"external_id": "folded", "title": "ＷＩＤＥ Straße", "artist": "Ada", "vhifun": 1, "level": 3, "offers": "X=1.00"},
]


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """All rows of the shared catalogue, in the order of their import."""
    return [*Generator().rows(MADE_UP), *SPECIAL]


@pytest.fixture(scope="module")
async def catalogue(
    module_database: Database, module_settings: Settings, rows: list[dict[str, Any]]
) -> AsyncIterator[Catalogue]:
    """The shared catalogue: only to be searched."""
    await put(module_database, rows)
    async with searching(module_database, module_settings) as opened:
        await until(opened, lambda page: page.total == len(rows))
        yield opened
