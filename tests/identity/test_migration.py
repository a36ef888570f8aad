"""A database of before: what apps and their users had stays valid when people come."""

import psycopg
from procrastinate.schema import SchemaManager

from openstage.database.engine import Database
from openstage.database.migrate import migrate, sql_files
from openstage.identity import tokens
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.settings import Settings
from tests.support.database import TestServer


def fill(address: str, keys: Keys) -> None:
    """A database with schema 0002 and an app, two of its users, and their tokens; one of them revoked."""
    with psycopg.connect(address, autocommit=True) as connection:
        for statements in (*sql_files("0001"), SchemaManager.get_schema(), *sql_files("0002")):
            connection.execute(statements)
        connection.execute("create table alembic_version (version_num varchar(32) primary key)")
        connection.execute("insert into alembic_version values ('0002')")
        connection.execute(
            "insert into app (client_id, name, secret, state) values ('c', 'n', %s, 'approved')", (keys.encrypt("s"),)
        )
        for uid, revoked in (("kept", None), ("revoked", "now")):
            connection.execute(
                """
                with u as (insert into end_user (app_id, realm, uid) values (1, 'person', %(uid)s) returning id),
                f as (insert into token_family (app_id, user_id, revoked_at)
                      select 1, id, %(at)s::timestamptz from u returning id),
                a as (insert into access_token select %(access)s, id, now(), now() + interval '1 h' from f)
                insert into refresh_token select %(refresh)s, id, now(), now() + interval '1 h' from f
                """,
                {"uid": uid, "at": revoked, "access": tokens.digest(f"a-{uid}"), "refresh": tokens.digest(f"r-{uid}")},
            )


async def test_tokens_of_before_stay_what_they_were(postgres: TestServer, settings: Settings) -> None:
    with postgres.database(migrated=False) as address:
        keys = Keys.load(settings.folder)
        fill(address, keys)
        assert migrate(address, only_safe=True)[0] == "0003"
        async with Database(address, largest=2) as database:
            identity = Identity(database, settings, keys)
            caller = await identity.resolve_usable("a-kept", needs="works.write")
            assert (caller.uid, caller.scopes) == ("kept", ("works.read", "works.write"))
            again = await identity.authorise("c", "s", realm="person", uid="kept")
            assert (await identity.resolve(again.access_token)).user_id == caller.user_id
            assert await identity.refresh("c", "r-kept")
            assert "operator" in (await identity.authorisations.explain("a-revoked")).why
