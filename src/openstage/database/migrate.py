"""Bringing a database's schema to the one this program knows, or refusing it.

Alembic does the work, but only when there is some: a server that starts on a current schema reads one row and goes on
(importing Alembic alone takes longer than starting PostgreSQL).
"""

from pathlib import Path
from typing import cast

import psycopg
from psycopg.abc import Query

import openstage
from openstage.database import locks
from openstage.database.errors import SchemaMismatch
from openstage.errors import Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """List the revisions that this program knows, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def head() -> str:
    """Name the revision that this program works with."""
    return revisions()[-1]


def sql_files(revision: str) -> list[Query]:
    """Read the SQL of a revision, file by file in the order of their names."""
    return [cast(Query, path.read_bytes()) for path in sorted((MIGRATIONS / "sql").glob(f"{revision}_*.sql"))]


def current(address: str) -> str | None:
    """Read the revision of a database; None if it has never been migrated.

    Raises:
        Unavailable: no answer from the database.

    """
    with _connect(address) as connection:
        return _current(connection)


def check(address: str) -> None:
    """Make sure that the schema is the one this program knows. For processes that don't migrate.

    Raises:
        SchemaMismatch: it is older, newer or missing; both versions are in the message.
        Unavailable: no answer from the database.

    """
    found = current(address)
    if found != head():
        _refuse_unknown(found)
        raise SchemaMismatch(
            f"The database has schema {found or 'none'}, {_this()} needs {head()}: "
            "run `openstage migrate`, or start the server, first."
        )


def migrate(address: str, *, only_safe: bool = False) -> list[str]:
    """Bring the schema to the newest revision. One process at a time; the others wait and find it done.

    Args:
        address: the database.
        only_safe: make only steps that are marked as safe to make when a server starts.

    Returns:
        The revisions that were applied, oldest first.

    Raises:
        SchemaMismatch: the schema is newer than this program or unknown to it, or a step is not safe, or tables of
            somebody else are in the way.
        Unavailable: no answer from the database.

    """
    with _connect(address) as connection:
        if _current(connection) == head():
            return []
        connection.execute("select pg_advisory_lock(%s)", (locks.MIGRATION,))  # until the connection ends
        found = _current(connection)
        _refuse_unknown(found)
        pending = [revision for revision in revisions() if found is None or revision > found]
        if pending:
            _apply(address, found, pending, only_safe=only_safe)
        return pending


def _apply(address: str, found: str | None, pending: list[str], *, only_safe: bool) -> None:
    # Slow to import, and needed only here.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from sqlalchemy import create_engine, exc  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    unsafe = [name for name in pending if not script.get_revision(name).module.AT_START]
    if unsafe and only_safe and found is not None:
        raise SchemaMismatch(
            f"The database has schema {found}, {_this()} needs {head()}, and the step {unsafe[0]} takes time or takes "
            "something away: make a backup (`openstage backup`), then run `openstage migrate`."
        )
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(address), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except (exc.ProgrammingError, psycopg.errors.DuplicateTable) as error:
        first = str(error).splitlines()[0]
        raise SchemaMismatch(
            f"The database holds tables that Openstage did not make; give it an empty one ({first})."
        ) from error


def _refuse_unknown(found: str | None) -> None:
    if found is None or found in revisions():
        return
    which = "newer than" if found > head() else "unknown to"
    raise SchemaMismatch(
        f"The database has schema {found}, which is {which} {_this()} (schema {head()}): "
        "use the Openstage that made it, or a later one."
    )


def _current(connection: "psycopg.Connection[tuple[str]]") -> str | None:
    try:
        row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return row[0] if row else None


def _connect(address: str) -> "psycopg.Connection[tuple[str]]":
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=10, application_name="openstage migrate")
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database does not answer: {str(error).strip().splitlines()[0]}") from error


def _this() -> str:
    return f"this Openstage ({openstage.__version__})"
