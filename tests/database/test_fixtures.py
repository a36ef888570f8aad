"""The shared fixtures keep what they promise to all other tests."""

from openstage.database.engine import Database
from openstage.settings import Settings
from tests.support.database import TestServer


async def test_each_test_gets_an_empty_migrated_database(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "insert into app (client_id, name, secret, state) values ('a', 'first', '', 'approved')"
        )
    assert await database.fetch_one("select count(*) from app") == (1,)


async def test_a_row_of_one_test_is_not_seen_by_another(database: Database) -> None:
    assert await database.fetch_one("select count(*) from app") == (0,)
    assert await database.fetch_one("select count(*) from procrastinate_jobs") == (0,)


def test_two_databases_differ(postgres: TestServer, settings: Settings) -> None:
    with postgres.database() as other:
        assert other != settings.database_url
