"""What can go wrong with works."""

from openstage.errors import DomainError
from openstage.works.models import State


class UnknownWork(DomainError):
    """No such work, or it is deleted, or it is somebody else's (which of them is not told)."""

    code = "work.unknown"

    def __init__(self, message: str = "There is no such work.") -> None:
        super().__init__(message)


class WrongState(DomainError):
    """The work's state doesn't allow what was asked for."""

    code = "work.wrong_state"

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state


class BadMetadata(DomainError):
    """A text is too long, or a number can't be what it is said to be."""

    code = "work.bad_metadata"


class Purged(DomainError):
    """The work's bytes have been removed for good; nothing brings them back."""

    code = "work.purged"


class UnknownSinger(DomainError):
    """An app knows nobody whom it calls so."""

    code = "work.unknown_singer"
