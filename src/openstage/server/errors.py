"""Why a server can't start."""

from openstage.errors import DomainError


class AddressTaken(DomainError):
    """Somebody else listens on the address, or it isn't this machine's."""

    code = "server.address_taken"


class ServerNotStarted(DomainError):
    """A part of the server ended before it was ready."""

    code = "server.not_started"


class BackupRefused(DomainError):
    """A backup or a restore can't be made as asked; nothing has been changed."""

    code = "server.backup_refused"
