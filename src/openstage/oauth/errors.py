"""The one place where domain errors become OAuth's (RFC 6749, 5.2), and where no error may get past."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.base import invalid_error_characters
from authlib.oauth2.rfc6749 import (
    AccessDeniedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc8628 import AuthorizationPendingError, ExpiredTokenError, SlowDownError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from openstage.errors import DomainError, Unavailable
from openstage.identity import errors as identity
from openstage.observability.logs import get_logger

log = get_logger("oauth")

_KINDS: Final[dict[type[DomainError], type[OAuth2Error]]] = {
    identity.BadClient: InvalidClientError,
    identity.UnknownApp: InvalidClientError,
    identity.AppNotUsable: UnauthorizedClientError,
    identity.RefreshInvalid: InvalidGrantError,
    identity.CodeInvalid: InvalidGrantError,
    identity.AccountDisabled: InvalidGrantError,
    identity.DeviceUnknown: InvalidGrantError,
    identity.DeviceWaiting: AuthorizationPendingError,
    identity.DeviceTooFast: SlowDownError,
    identity.DeviceExpired: ExpiredTokenError,
    identity.DeviceRefused: AccessDeniedError,
    identity.BadScope: InvalidScopeError,
    identity.BadRedirect: InvalidRequestError,
    identity.BadProof: InvalidRequestError,
    identity.TooManyGuesses: SlowDownError,
}
"""What an error means to an OAuth client; anything not listed is `invalid_request`."""

_HEADERS: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "86400",
}

Handler = Callable[[Request], Awaitable[dict[str, Any]]]

_encode = msgspec.json.Encoder().encode


def oauth_error(error: DomainError) -> OAuth2Error:
    """Return what a domain error is to an OAuth client."""
    kind = next((_KINDS[each] for each in type(error).__mro__ if each in _KINDS), InvalidRequestError)
    return kind(description=tellable(error.message))


def tellable(message: str) -> str:
    """Return a message in the characters that `error_description` may have (RFC 6749, 5.2)."""
    for character in invalid_error_characters(message):
        message = message.replace(character, "'" if character == '"' else "?")
    return message


class Endpoint:
    """One endpoint: runs its handler and turns whatever goes wrong into OAuth's JSON.

    As an ASGI application it takes every method, so that no framework answers in our place.
    """

    def __init__(self, handler: Handler, *, method: str = "POST", pages: bool = False) -> None:
        """Wrap a handler; `pages`: scripts of other sites may call it (RFC 9700, 2.6)."""
        self._handler = handler
        self._method = method
        self._headers = {**_HEADERS, **(_CORS if pages else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        if request.method == "OPTIONS":
            response = Response(status_code=204)
        elif request.method != self._method and (request.method, self._method) != ("HEAD", "GET"):
            response = _reply(InvalidRequestError(f"Use {self._method}.", status_code=405))
            response.headers["Allow"] = self._method
        else:
            response = await self._respond(request)
        response.headers.update(self._headers)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            return Response(_encode(await self._handler(request)), media_type="application/json")
        except Exception as error:
            response = _reply(_told(error, request.url.path))
            if isinstance(error, identity.TooManyGuesses):
                response.headers["Retry-After"] = str(error.wait)
            return response


def _told(error: Exception, path: str) -> OAuth2Error:
    if isinstance(error, OAuth2Error):
        return error
    if isinstance(error, Unavailable):
        log.warning("unavailable", path=path, reason=error.message)
        return OAuth2Error(tellable(error.message), status_code=503, error="temporarily_unavailable")
    if isinstance(error, identity.TooManyGuesses):
        return SlowDownError(tellable(error.message), status_code=429)
    if isinstance(error, DomainError):
        return oauth_error(error)
    if isinstance(error, ClientDisconnect):
        return InvalidRequestError("The request ended before its body did.")
    log.error("call failed", path=path, exc_info=error)
    return OAuth2Error("Something went wrong on our side.", status_code=500, error="server_error")


def _reply(error: OAuth2Error) -> Response:
    if error.error == "invalid_client":
        error.status_code = 401  # with the scheme that may be used (RFC 6749, 5.2)
    status, body, _ = error()
    # Authlib's own header has no realm, which Basic needs (RFC 7617, 2).
    kept = {"WWW-Authenticate": f'Basic realm="openstage", error="{error.error}"'} if status == 401 else {}
    return Response(_encode(body), status, kept, media_type="application/json")
