"""People: accounts, sessions, codes, device grants, what an app may ask for, limits on guesses."""

from alembic import op

from openstage.database.migrate import sql_files

revision = "0003"
down_revision = "0002"

AT_START = True
"""Nothing is taken away, and what is added has constant defaults: no table is written anew."""


def upgrade() -> None:
    """Make the tables of identity; apps, end users and tokens of before stay valid as they are."""
    # Straight to the driver: SQLAlchemy would take colons and percent signs for its own.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    for statements in sql_files(revision):
        driver.execute(statements)
