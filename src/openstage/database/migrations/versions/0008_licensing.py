"""Purchases, the ledger, certificates."""

from alembic import op

from openstage.database.migrate import sql_files

revision = "0008"
down_revision = "0007"

AT_START = True
"""Nothing is taken away, and what is added has constant defaults: no table is written anew."""


def upgrade() -> None:
    """Make what is new; everything of before stays valid as it is."""
    # Straight to the driver: SQLAlchemy would take colons and percent signs for its own.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    for statements in sql_files(revision):
        driver.execute(statements)
