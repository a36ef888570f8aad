"""Fixtures for everybody: `settings` and `database` (fresh for each test), `module_settings` and `module_database`;
the pages' scripts (`frontend`).

A server that a test starts reads `settings` from the environment: see `tests/support/`.
"""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from openstage.database.engine import Database
from openstage.settings import Settings
from tests.support.database import TestServer, serving
from tests.support.frontend import build_hook, frontend
from tests.support.openstage_server import OpenstageServer, running_openstage

__all__ = ["build_hook", "frontend"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestServer]:
    """The PostgreSQL server of this test process."""
    with serving() as server:
        yield server


@pytest.fixture
def database_address(postgres: TestServer) -> Iterator[str]:
    """A fresh migrated database."""
    with postgres.database() as address:
        yield address


@pytest.fixture
def settings(tmp_path: Path, database_address: str) -> Settings:
    """Settings with a fresh database, a data folder with an awkward name, and a free port."""
    return settings_for(tmp_path, database_address)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """An open pool on the database of `settings`."""
    async with Database(settings.database_url, largest=4) as opened:
        yield opened


@pytest.fixture(scope="module")
def module_settings(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Like `settings`, one for all tests of a module."""
    with postgres.database() as address:
        yield settings_for(tmp_path_factory.mktemp("module"), address)


@pytest.fixture(scope="module")
async def module_database(module_settings: Settings) -> AsyncIterator[Database]:
    """Like `database`, one for all tests of a module."""
    async with Database(module_settings.database_url, largest=4) as opened:
        yield opened


@pytest.fixture(scope="session")
def openstage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenstageServer]:
    """A whole running server with its own database and worker, shared by all tests: don't stop it.

    It fetches from, and calls, servers of tests on 127.0.0.1; no other private address.
    """
    folder = tmp_path_factory.mktemp("openstage") / "数据 data"
    with running_openstage(folder, free_port(), outbound_allow="127.0.0.1") as server:
        yield server


def settings_for(folder: Path, address: str) -> Settings:
    """Settings as an operator would have them, in a folder of this test."""
    data = folder / "数据 data"
    data.mkdir()
    return Settings(data=data, database_url=address, listen=f"127.0.0.1:{free_port()}")


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
