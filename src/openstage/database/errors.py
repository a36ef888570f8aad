"""What can go wrong with the database as a whole."""

from openstage.errors import DomainError


class DatabaseNotStarted(DomainError):
    """The embedded PostgreSQL could not be set up or started."""

    code = "database.not_started"


class DataFolderBusy(DomainError):
    """Another process owns the data folder."""

    code = "database.folder_busy"


class DataFolderUnusable(DomainError):
    """The data folder can't be made, or can't be written to."""

    code = "database.folder_unusable"


class SchemaMismatch(DomainError):
    """The database has a schema that this program doesn't know, or one that has to be migrated first."""

    code = "database.schema_mismatch"


class DumpFailed(DomainError):
    """PostgreSQL's programs could not write or read a dump."""

    code = "database.dump_failed"
