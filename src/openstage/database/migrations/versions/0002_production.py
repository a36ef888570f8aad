"""Production in tasks: runs that survive their workers, rows that belong to a run, turns between apps."""

from alembic import op

from openstage.database.migrate import sql_files

revision = "0002"
down_revision = "0001"

AT_START = True
"""What is taken away is the old pipeline's book-keeping only: works that were being produced begin anew."""


def upgrade() -> None:
    """Make the tables of production, and tell the rows of works to which run they belong."""
    # Straight to the driver: SQLAlchemy would take colons and percent signs for its own.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    for statements in sql_files(revision):
        driver.execute(statements)
