"""The foundation: apps, uploads, works, and the job queue."""

from alembic import op
from procrastinate.schema import SchemaManager

from openstage.database.migrate import sql_files

revision = "0001"
down_revision = None

AT_START = True
"""Whether a server may make this step by itself when it starts: it is quick and takes nothing away."""


def upgrade() -> None:
    """Make all tables."""
    # Straight to the driver: SQLAlchemy would take colons and percent signs for its own.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    for statements in (*sql_files(revision), SchemaManager.get_schema()):
        driver.execute(statements)
