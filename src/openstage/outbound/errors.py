"""What can go wrong with requests to addresses that users give."""

from typing import ClassVar

from openstage.errors import DomainError


class OutboundError(DomainError):
    """A request to an address that a user gave has failed.

    Attributes:
        passing: whether the same request may succeed later.

    """

    code = "outbound.failed"
    passing: ClassVar[bool] = True


class BadAddress(OutboundError):
    """The address isn't one that may be called at all: no URL, another scheme, a password in it, …."""

    code = "outbound.bad_address"
    passing = False


class ForbiddenAddress(OutboundError):
    """The address leads, or was redirected, to a network that is none of the public internet.

    Attributes:
        detail: what a name leads to and why that is refused, for the operator alone: users aren't told what names of
            inner networks there are.

    """

    code = "outbound.forbidden_address"
    passing = False

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail or message


class Unreachable(OutboundError):
    """The name isn't known, nobody answers there, the certificate is wrong, or the connection broke off."""

    code = "outbound.unreachable"


class TooSlow(OutboundError):
    """The answer did not come, or not wholly, within the time that it may take."""

    code = "outbound.too_slow"


class TooLarge(OutboundError):
    """The answer has more bytes than it may have."""

    code = "outbound.too_large"
    passing = False


class TooManyRedirects(OutboundError):
    """The address leads on and on."""

    code = "outbound.too_many_redirects"
    passing = False


class BadAnswer(OutboundError):
    """The server there answered, but not with the file.

    Attributes:
        status: its HTTP status.

    """

    code = "outbound.bad_answer"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
