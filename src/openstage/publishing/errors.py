"""What can go wrong on the way from upload to published."""

from openstage.errors import DomainError


class OriginalLost(DomainError):
    """The original is neither in the staging folder nor in the object store."""

    code = "publishing.original_lost"

    def __init__(self) -> None:
        super().__init__("The uploaded file is no longer there; it must be uploaded anew.")


class Superseded(Exception):
    """The work has been deleted, or another run has taken over: stop and clean up."""


class Later(Exception):
    """A run broke off for a reason that may pass.

    Attributes:
        delay: seconds until the next try.

    """

    def __init__(self, delay: float) -> None:
        super().__init__(f"again in {delay:.0f} s")
        self.delay = delay
