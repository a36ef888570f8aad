"""The root of the domain errors.

Each domain has an `errors.py` whose classes derive from `DomainError`. A dialect maps the classes to its wire
codes in one place; what the user reads is the message, which says what is wrong and what to do.
"""

from typing import ClassVar


class DomainError(Exception):
    """Something a caller asked for can't be done; nothing has been changed.

    Attributes:
        code: stable dotted name, the same for ever, such as `upload.unknown`.
        message: one sentence for a person: what is wrong and what to do.

    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unavailable(DomainError):
    """A part the server needs is away for the moment (database, disk space, shutting down); try again later."""

    code = "unavailable"
