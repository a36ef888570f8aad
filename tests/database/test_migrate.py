"""Schemas: brought up to date once, refused with both versions named when they can't be worked with."""

import threading
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from openstage.database import migrate
from openstage.database.errors import SchemaMismatch
from openstage.errors import Unavailable
from tests.support.database import TestServer


def pretend(address: str, revision: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute("update alembic_version set version_num = %s", (revision,))


def test_the_newest_revision_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == migrate.head()
    assert [revision.revision for revision in script.walk_revisions()] == migrate.revisions()[::-1]
    assert all(isinstance(revision.module.AT_START, bool) for revision in script.walk_revisions())


def test_an_empty_database_is_refused_until_it_is_migrated(postgres: TestServer) -> None:
    with postgres.database(migrated=False) as address:
        with pytest.raises(SchemaMismatch, match=rf"schema none.*needs {migrate.head()}"):
            migrate.check(address)
        assert migrate.migrate(address, only_safe=True) == migrate.revisions()
        migrate.check(address)
        assert migrate.migrate(address) == []


def test_a_newer_schema_is_refused_with_both_versions_named(database_address: str) -> None:
    pretend(database_address, "9999")
    for refused in (migrate.check, migrate.migrate):
        with pytest.raises(SchemaMismatch, match=rf"9999.*newer.*{migrate.head()}"):
            refused(database_address)


def test_a_schema_of_another_program_is_refused(database_address: str) -> None:
    pretend(database_address, "0000ab")
    with pytest.raises(SchemaMismatch, match="unknown"):
        migrate.migrate(database_address)


def test_tables_of_somebody_else_are_left_alone(postgres: TestServer) -> None:
    with postgres.database(migrated=False) as address:
        with psycopg.connect(address) as connection:
            connection.execute("create table work (theirs text)")
        with pytest.raises(SchemaMismatch, match="give it an empty one"):
            migrate.migrate(address)
        with psycopg.connect(address) as connection:
            tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        assert tables == [("work",)]


def test_two_servers_at_once_migrate_once(postgres: TestServer) -> None:
    with postgres.database(migrated=False) as address:
        results: list[list[str]] = []
        threads = [threading.Thread(target=lambda: results.append(migrate.migrate(address))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [[], [], migrate.revisions()]


def test_a_step_that_is_not_safe_waits_for_the_operator(
    postgres: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    for source in (migrate.MIGRATIONS / "versions").glob("[0-9]*.py"):
        (versions / source.name).write_text(source.read_text())
    (tmp_path / "env.py").write_text((migrate.MIGRATIONS / "env.py").read_text())
    (tmp_path / "sql").symlink_to(migrate.MIGRATIONS / "sql")
    last = migrate.head()
    (versions / "8888_slow.py").write_text(
        f"from alembic import op\nrevision = '8888'\ndown_revision = '{last}'\nAT_START = False\n"
        "def upgrade():\n    op.execute('create table slow (x int)')\n"
    )
    with postgres.database() as address:
        monkeypatch.setattr(migrate, "MIGRATIONS", tmp_path)
        with pytest.raises(SchemaMismatch, match=rf"schema {last}.*needs 8888.*openstage migrate"):
            migrate.migrate(address, only_safe=True)
        assert migrate.current(address) == last
        assert migrate.migrate(address) == ["8888"]
        migrate.check(address)


def test_a_database_that_is_away_is_said_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        migrate.check(f"postgresql://x@/x?host={tmp_path}")
    assert "\n" not in caught.value.message
