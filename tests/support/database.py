"""Databases for tests: one embedded server per test process, and copies of a migrated template made in milliseconds."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from openstage.database.cluster import NAME
from openstage.database.embedded import running_database
from openstage.settings import Settings

# Tests of durability make their own servers; the shared one may forget everything when the machine falls over.
CARELESS = {"autovacuum": "off", "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_numbers = itertools.count(1)


class TestServer:
    """A running PostgreSQL that hands out databases."""

    __test__ = False

    def __init__(self, address: str) -> None:
        self._address = address  # of a migrated database that nobody connects to, so that it can be copied

    def address(self, name: str, *, create: bool = False, template: str = "template0") -> str:
        """Address of a database, which is made first if asked."""
        if create:
            self._execute("create database {} template {} strategy file_copy", name, template)
        return self._address.replace(f"/{NAME}?", f"/{name}?")

    @contextlib.contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """Give a fresh database for the length of the block."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        yield self.address(name, create=True, template=NAME if migrated else "template0")
        self._execute("drop database {} with (force)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextlib.contextmanager
def serving() -> Iterator[TestServer]:
    """Run the shared server of a test process, in memory if the machine has some to spare (ten times as quick)."""
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1024**3
    folder = memory if roomy else Path(tempfile.gettempdir())
    for left in folder.glob("openstage-tests-*"):  # by test processes that were killed
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=f"openstage-tests-{os.getpid()}-", dir=folder) as data,
        running_database(Settings(data=Path(data), database_url=""), tuning=CARELESS) as address,
    ):
        yield TestServer(address)
