"""The one place where domain errors become this dialect's codes, and where no error may get past.

The document knows one code, 1001; the others are ours and stand in `docs/music-dialect.md`. HTTP is 200 for errors
too: a client repeats anything else three times.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from openstage.catalogue import errors as catalogue
from openstage.dialects.music.envelope import failure
from openstage.errors import DomainError, Unavailable
from openstage.identity import errors as identity
from openstage.licensing import errors as licensing
from openstage.observability.logs import get_logger
from openstage.storage.errors import ObjectMissing

log = get_logger("music")


class BadParameter(DomainError):
    """A parameter is missing, or its value can't be what it should be."""

    code = "music.bad_parameter"


class RepeatedParameter(DomainError):
    """A parameter stands more than once, so that nobody knows which was meant."""

    code = "music.repeated_parameter"


class WrongPlace(DomainError):
    """The call was made by the wrong method, or its parameters stand where it doesn't take them."""

    code = "music.wrong_place"


class UnknownCall(DomainError):
    """The path is not one of this dialect."""

    code = "music.unknown_call"


class UnknownClient(DomainError):
    """No app has the client_id, or it has been deleted."""

    code = "music.unknown_client"


class WrongClock(DomainError):
    """`nonce_str` is no time in seconds, or too far from the server's clock."""

    code = "music.wrong_clock"


class WrongSignature(DomainError):
    """`sign` is not the signature of the parameters that came."""

    code = "music.wrong_signature"


class AmbiguousSignature(DomainError):
    """The string that was signed without encoding could stand for other parameters as well, and the call buys."""

    code = "music.ambiguous_signature"


FAILED: Final = 1001
"""The document's code for a failure; here: what is not the caller's doing."""

CODES: Final[dict[type[DomainError], int]] = {
    Unavailable: FAILED,
    BadParameter: 1002,
    licensing.BadOrder: 1002,
    catalogue.BadValue: 1002,
    catalogue.UnknownCategory: 1002,
    RepeatedParameter: 1003,
    WrongPlace: 1004,
    UnknownCall: 1005,
    UnknownClient: 1101,
    WrongClock: 1102,
    WrongSignature: 1103,
    AmbiguousSignature: 1104,
    identity.AppNotUsable: 1105,
    catalogue.UnknownTrack: 1201,
    catalogue.BadQuery: 1202,
    catalogue.TooDeep: 1203,
    licensing.UnknownPurchase: 1301,
    licensing.UnknownOffer: 1302,
    licensing.NotForSale: 1303,
    licensing.CreditExceeded: 1304,
    licensing.RequestReused: 1305,
    licensing.PurchaseRefunded: 1306,
    ObjectMissing: 1307,
}
"""Codes by error; anything not listed is 1001. `docs/music-dialect.md` explains each."""

Handler = Callable[[Request], Awaitable[Response]]


def code_of(error: DomainError) -> int:
    """Return the code that stands for an error."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), FAILED)


class Call:
    """Endpoint of one call: runs its handler and turns whatever goes wrong into an envelope.

    As an ASGI application it takes every method, so that no framework answers in our place.
    """

    def __init__(self, name: str, handler: Handler) -> None:
        """Wrap a handler; `name` is for the log."""
        self.name = name
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await (await self.respond(Request(scope, receive)))(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Reply to a request, whatever happens."""
        try:
            return await self._handler(request)
        except ObjectMissing:
            log.exception("object missing", call=self.name)
            return failure(CODES[ObjectMissing], "The file is missing in the server's store; tell its operator.")
        except DomainError as error:
            if isinstance(error, Unavailable):
                log.warning("unavailable", call=self.name, reason=error.message)
            return failure(code_of(error), error.message)
        except ClientDisconnect:
            return failure(CODES[BadParameter], "The request ended before its body did; send it again.")
        except Exception:
            log.exception("call failed", call=self.name)
            return failure(FAILED, "Something went wrong on our side; it has been logged.")
