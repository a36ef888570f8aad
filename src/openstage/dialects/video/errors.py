"""The one place where domain errors become this dialect's codes, and where no error may get past.

Codes are those of the document; `docs/video-dialect.md` lists them per call. HTTP is 200 for errors too, because
clients exist that throw on anything else; only `upload` answers 503 for what may pass, because one client reads
nothing but the status and would take a 200 for success.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from openstage.dialects.multipart import MultipartBroken
from openstage.dialects.video.envelope import FAILURE, reply
from openstage.errors import DomainError, Unavailable
from openstage.identity import errors as identity
from openstage.observability.logs import get_logger
from openstage.uploads import errors as uploads
from openstage.works import errors as works

log = get_logger("video")


class BadInput(DomainError):
    """A parameter is missing, garbled or contradicts another."""

    code = "video.bad_input"


class UnknownCall(DomainError):
    """The path or the method is not one of this dialect."""

    code = "video.unknown_call"


class UnsupportedGrant(DomainError):
    """The grant type is not one that this server gives tokens for (RFC 6749, 5.2)."""

    code = "video.unsupported_grant"


_CODES: Final[dict[type[DomainError], str]] = {
    identity.TokenInvalid: "A21332",
    identity.TokenExpired: "A21327",
    identity.BadClient: "A21324",
    identity.UnknownApp: "A21324",
    identity.RefreshInvalid: "A21325",
    identity.CodeInvalid: "A21325",
    identity.AccountDisabled: "A21330",
    identity.ScopeMissing: "A21330",
    identity.TooManyGuesses: "A21331",
    identity.QuotaExceeded: "A00018",
    uploads.UnknownUpload: "A00005",
    uploads.BadPiece: "A00010",
    uploads.BadSize: "A00010",
    uploads.StagingLost: "A00005",
    uploads.MissingRanges: "A00010",
    works.BadMetadata: "A00010",
    BadInput: "A00010",
    MultipartBroken: "A00010",
    UnsupportedGrant: "A21328",
    UnknownCall: "Q00002",
}
"""What an error means wherever the table below says nothing else; anything not listed is Q00001."""

_CODES_OF_CALLS: Final[dict[tuple[type[DomainError], str], str]] = {
    (works.UnknownWork, "fullStatus"): "A00003",
    (works.UnknownWork, "urllist"): "A00003",
    (works.UnknownWork, "upload"): "A00005",
    (works.UnknownWork, "uploadfinish"): "A00005",
    (works.UnknownWork, "cancelupload"): "A00005",
    (works.WrongState, "cancelupload"): "A00005",
    (works.UnknownWork, "uploadstatus"): "A00005",
    (BadInput, "info"): FAILURE,
    (BadInput, "fullStatus"): FAILURE,
    (BadInput, "videoList"): FAILURE,
    (BadInput, "urllist"): FAILURE,
    (BadInput, "video"): FAILURE,
    (BadInput, "authorize"): FAILURE,
    (BadInput, "token"): "A21323",
    (works.BadMetadata, "info"): FAILURE,
    (Unavailable, "authorize"): "A00007",
    (identity.TooManyGuesses, "authorize"): "A00007",
    (Unavailable, "token"): "A21331",
}
"""Where a call has a code of its own for an error."""

_CODES_OF_APP_STATES: Final = {"pending": "A00005", "rejected": "A00007", "frozen": "A00008", "deleted": "A00009"}

Handler = Callable[[Request], Awaitable[Response]]


def code_of(error: DomainError, call: str) -> str:
    """Code that stands for an error in the reply of a call (`openupload`, `info`, `fullStatus`, …)."""
    if isinstance(error, identity.AppNotUsable):
        return _CODES_OF_APP_STATES.get(error.state, FAILURE)
    for kind in type(error).__mro__:
        code = _CODES_OF_CALLS.get((kind, call)) or _CODES.get(kind)
        if code is not None:
            return code
    return FAILURE


def error_reply(error: DomainError, call: str) -> Response:
    """Reply that tells a domain error; missing ranges go under `data.missing`."""
    status = 503 if call == "upload" and isinstance(error, Unavailable) else 200
    if isinstance(error, uploads.MissingRanges):
        missing = [[start, end - 1] for start, end in error.missing]
        return reply(code_of(error, call), data={"missing": missing}, msg=error.message, status=status)
    return reply(code_of(error, call), msg=error.message, status=status)


class Call:
    """Endpoint of one call: runs its handler and turns whatever goes wrong into an envelope.

    As an ASGI application it takes every method, so that no framework answers in our place.
    """

    def __init__(self, name: str, handler: Handler, *, headers: Mapping[str, str] | None = None) -> None:
        """Wrap a handler; `name` chooses the codes (see `code_of`), `headers` go onto every reply."""
        self.name = name
        self._handler = handler
        self._headers = dict(headers or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = await self.respond(Request(scope, receive))
        if self._headers:
            response.headers.update(self._headers)
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Reply to a request, whatever happens."""
        try:
            return await self._handler(request)
        except DomainError as error:
            if isinstance(error, Unavailable):
                log.warning("unavailable", call=self.name, reason=error.message)
            return error_reply(error, self.name)
        except ClientDisconnect:
            # Mostly nobody is there to read this; but a client that closed only its sending side is, and so is one
            # whose chunked framing broke.
            message = "The request ended before its body did; send it again."
            return error_reply(Unavailable(message) if self.name == "upload" else BadInput(message), self.name)
        except Exception:
            log.exception("call failed", call=self.name)
            message = "Something went wrong on our side; it has been logged."
            return reply(
                code_of(Unavailable(message), self.name), msg=message, status=503 if self.name == "upload" else 200
            )
