"""The one place where domain errors become this dialect's codes, and where no error may get past.

The document names no code but 0 (its table of codes is elsewhere and lost), so these are ours, in blocks of a hundred:

    10xx  the request itself: path, method, body, fields
    11xx  who asks: tokens, headers, apps
    12xx  files
    13xx  works
    14xx  addresses that the server is to fetch from or call
    19xx  the server

`docs/karaoke-dialect.md` lists them. HTTP is 200 for errors too, as everywhere in this dialect.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from openstage.deadlines import Within
from openstage.dialects.karaoke.envelope import reply
from openstage.dialects.multipart import MultipartBroken
from openstage.errors import DomainError, Unavailable
from openstage.identity import errors as identity
from openstage.observability.logs import get_logger
from openstage.outbound import errors as outbound
from openstage.publishing import errors as publishing
from openstage.storage import errors as storage
from openstage.uploads import errors as uploads
from openstage.works import errors as works

_log = get_logger("karaoke")

FAILURE: Final = 1900
"""What has no code of its own: something is wrong on the server's side, and may pass."""


class BadInput(DomainError):
    """A field is missing, of a wrong type, out of its bounds, or contradicts another."""

    code = "karaoke.bad_input"


class BadJson(DomainError):
    """What should be a JSON object isn't one: broken, too deep, with a key twice, or with text that can't be kept."""

    code = "karaoke.bad_json"


class BodyTooLarge(DomainError):
    """The body, or the JSON text in it, is longer than any call needs."""

    code = "karaoke.body_too_large"


class UnknownCall(DomainError):
    """The path is not one of this dialect."""

    code = "karaoke.unknown_call"


class NotBuilt(DomainError):
    """The platform's table of contents names the call; this server doesn't have it."""

    code = "karaoke.not_built"


class WrongMethod(DomainError):
    """The path is right, the HTTP method isn't."""

    code = "karaoke.wrong_method"


class RequestBroken(DomainError):
    """The request ended, or stopped, before its body was whole; nothing of it is kept."""

    code = "karaoke.request_broken"


class TokenMissing(DomainError):
    """There is no `X-Open-Access-Token`."""

    code = "karaoke.token_missing"


class WrongApp(DomainError):
    """`X-Open-App-ID` is missing, or the token belongs to another app."""

    code = "karaoke.wrong_app"


class WrongOpenId(DomainError):
    """`X-Open-ID` names somebody else than the token speaks for, or stands beside a token that speaks for nobody."""

    code = "karaoke.wrong_openid"


class UserTokenNeeded(DomainError):
    """The call concerns a user's own things, and the token speaks for the app alone."""

    code = "karaoke.user_token_needed"


class SignatureStale(DomainError):
    """`ts` is further than 5 minutes from the server's time."""

    code = "karaoke.signature_stale"


class PassbackInvalid(DomainError):
    """`passback` isn't one that this list gave to this user."""

    code = "karaoke.passback_invalid"


CODES: Final[dict[type[DomainError], int]] = {
    BadInput: 1001,
    BadJson: 1002,
    BodyTooLarge: 1003,
    UnknownCall: 1004,
    NotBuilt: 1005,
    WrongMethod: 1006,
    RequestBroken: 1007,
    MultipartBroken: 1007,
    uploads.SenderSilent: 1007,
    PassbackInvalid: 1008,
    TokenMissing: 1101,
    identity.TokenInvalid: 1102,
    identity.TokenExpired: 1103,
    WrongApp: 1104,
    WrongOpenId: 1105,
    UserTokenNeeded: 1106,
    identity.ScopeMissing: 1107,
    identity.AccountDisabled: 1108,
    identity.BadClient: 1120,
    identity.UnknownApp: 1120,
    identity.RefreshInvalid: 1121,
    identity.CodeInvalid: 1122,
    identity.BadScope: 1123,
    identity.SignatureWrong: 1124,
    identity.SignatureUsed: 1125,
    SignatureStale: 1126,
    identity.DeviceUnknown: 1127,
    identity.BadProof: 1122,
    identity.TooManyGuesses: 1130,
    publishing.WrongSize: 1201,
    publishing.WrongDigest: 1202,
    publishing.NotAMedium: 1203,
    uploads.BadSize: 1204,
    identity.QuotaExceeded: 1205,
    storage.StorageFull: 1206,
    publishing.EmptyFile: 1207,
    publishing.TooManyOrders: 1208,
    works.UnknownWork: 1301,
    works.WrongState: 1302,
    works.BadMetadata: 1303,
    works.UnknownSinger: 1304,
    outbound.OutboundError: 1400,
    outbound.BadAddress: 1401,
    outbound.ForbiddenAddress: 1402,
    Unavailable: 1901,
}
"""Codes by the error's class; what isn't listed takes the code of its nearest base class, or `FAILURE`."""

_CODES_OF_APP_STATES: Final = {"pending": 1110, "rejected": 1111, "frozen": 1112, "deleted": 1113}

REST_BYTES: Final = 256 * 1024
REST_SECONDS: Final = 5.0

Handler = Callable[[Request], Awaitable[Response]]
Failure = Callable[[int, str], Response]
"""Makes the reply of an error from its code and its message."""


def code_of(error: DomainError) -> int:
    """Code that stands for an error."""
    if isinstance(error, identity.AppNotUsable):
        return _CODES_OF_APP_STATES.get(error.state, FAILURE)
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), FAILURE)


def _in_envelope(code: int, message: str) -> Response:
    return reply(code=code, msg=message)


class _Rest:
    """What a handler has left unread of a request's body.

    It is read before the reply goes out: else the connection is closed with bytes in it that nobody took, which tells
    the client's kernel to throw the reply away.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._begun = False
        self._ended = False

    async def receive(self) -> Message:
        """Receive for the handler."""
        self._begun = True
        message = await self._receive()
        self._ended = self._ended or not message.get("more_body")
        return message

    async def drop(self) -> None:
        """Read the rest and forget it, unless it is longer or slower than any call's body."""
        if self._ended or (not self._begun and self._waits()):
            return
        left = REST_BYTES
        with contextlib.suppress(TimeoutError), Within(REST_SECONDS):
            while left > 0 and not self._ended:
                left -= len((await self.receive()).get("body", b""))

    def _waits(self) -> bool:
        """Whether the client waits for "100 Continue": then it sends nothing unless somebody reads."""
        return any(name == b"expect" for name, _ in self._scope["headers"])


class Call:
    """Endpoint of one call: runs its handler and turns whatever goes wrong into a reply.

    As an ASGI application it takes every method, so that no framework answers in our place.
    """

    def __init__(self, handler: Handler, *, method: str = "POST", failure: Failure = _in_envelope) -> None:
        """Wrap a handler.

        Args:
            handler: answers the request.
            method: the HTTP method it takes; empty: any.
            failure: makes the reply of an error, for calls that answer flat.

        """
        self._handler = handler
        self._method = method
        self._failure = failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = _Rest(scope, receive)
        response = await self.respond(Request(scope, body.receive))
        await body.drop()
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Reply to a request, whatever happens."""
        path: str = request.scope["path"]  # `request.url` is put together anew for each request
        try:
            self._require_method(request)
            return await self._handler(request)
        except DomainError as error:
            if isinstance(error, Unavailable):
                _log.warning("unavailable", path=path, reason=error.message)
            return self._failure(code_of(error), error.message)
        except ClientDisconnect:
            # Mostly nobody is there to read this; but a client that closed only its sending side is.
            return self._failure(CODES[RequestBroken], "The request ended before its body did; send it again.")
        except Exception:
            _log.exception("call failed", path=path)
            return self._failure(FAILURE, "Something went wrong on our side; it has been logged.")

    def _require_method(self, request: Request) -> None:
        if self._method and request.method != self._method:
            raise WrongMethod(f"{request.scope['path']} takes {self._method}, not {request.method}.")
