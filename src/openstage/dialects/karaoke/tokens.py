"""Tokens: of users for a code, of the app for its secret, and new ones for a refresh token.

These calls answer flat, with `error_code` and `error_msg` beside the fields. A reply has all its fields whatever
happened: those of a failure are empty, so that clients with a fixed shape read it.
"""

import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.dialects.karaoke.bodies import read_json
from openstage.dialects.karaoke.envelope import json_response
from openstage.dialects.karaoke.errors import BadInput, Call, SignatureStale
from openstage.identity.errors import AppNotUsable, BadClient, SignatureWrong
from openstage.identity.issuing import Terms
from openstage.identity.models import App
from openstage.identity.service import Identity
from openstage.identity.signing import SigningApp

SIGNATURE_WINDOW: Final = 300
"""Seconds that `ts` may be off, either way."""
FOR_USERS: Final = Terms(keeps_refresh=True, only_one=True)
FOR_APPS: Final = Terms(keeps_refresh=True)
"""Several servers of an app may each hold a token of it."""
OWN_ACCOUNT: Final = "1"
"""`orig_acnt_type` of a person whose account is on this server. All are: nobody signs in through another provider."""


class UserToken(msgspec.Struct):
    """Reply of `POST /oauth/v2/access_token` (the document's sample, field for field)."""

    access_token: str = ""
    expires_in: int = 0
    """Life of the access token in seconds."""
    refresh_token: str = ""
    """Used again and again, until it expires (`refresh_token_lifetime`) or a newer sign-in takes its place."""
    openid: str = ""
    """The person as this app alone knows them."""
    unionid: str = ""
    """The person as all apps of one developer know them."""
    scope: str = ""
    """What the person allowed, with blanks between."""
    orig_acnt_type: str = ""
    """Where the person's account comes from: `1`, from this server (`2` is kept for accounts of other providers, of
    which there are none). Empty unless the person allowed the scope `profile`."""
    error_code: str = "0"
    """A string here, as in the document's sample; an integer in the other calls."""
    error_msg: str = ""


class AppToken(msgspec.Struct):
    """Reply of `POST /api/v2/getToken` and `POST /test/api/v2/getToken`."""

    access_token: str = ""
    """Speaks for the app, for no user: don't send `X-Open-ID` with it."""
    expires_in: int = 0
    refresh_token: str = ""
    error_code: int = 0
    error_msg: str = ""


class RenewedToken(msgspec.Struct):
    """Reply of `POST /oauth/v2/refresh_token`; the refresh token stays the one that was sent."""

    access_token: str = ""
    """The one before it has ended."""
    expires_in: int = 0
    error_code: int = 0
    error_msg: str = ""


class CodeRequest(msgspec.Struct):
    """Body of `POST /oauth/v2/access_token`."""

    appid: str = ""
    secret: str = ""
    code: str = ""
    """From a confirmed QR ticket, or from `/oauth/authorize`; good for 5 minutes, once, for this app."""
    grant_type: str = ""
    """`authorization_code`."""
    redirect_uri: str = ""
    """Ours. The document has no such field, so it may be left out; if sent, it must be the one the code was sent to."""
    code_verifier: str = ""
    """Ours. Needed where the code was asked for with a `code_challenge` (RFC 7636)."""


class AppTokenRequest(msgspec.Struct):
    """Body of `getToken`."""

    appid: str = ""
    secret: str = ""
    grant_type: str = ""
    """`client_credential`; `client_credentials`, as OAuth spells it, is taken too."""


class RenewalRequest(msgspec.Struct):
    """Body of `POST /oauth/v2/refresh_token`."""

    appid: str = ""
    openid: str = ""
    """With a user's refresh token: theirs. With the app's own: left out or empty."""
    refresh_token: str = ""
    ts: int = 0
    """Unix time in seconds; may be 5 minutes off."""
    sign: str = ""
    """`md5("KG_" + appid + "_" + ts + "_" + appKey)`, 32 hex digits; appKey is the app's secret."""


class TokenCalls:
    """Handlers of the calls that give tokens."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        app_token = Call(self.app_token, failure=_no_app_token)
        return [
            Route("/oauth/v2/access_token", Call(self.user_token, failure=_no_user_token)),
            Route("/oauth/v2/refresh_token", Call(self.renewed_token, failure=_no_renewed_token)),
            Route("/api/v2/getToken", app_token),
            Route("/test/api/v2/getToken", app_token),
        ]

    async def user_token(self, request: Request) -> Response:
        """Give a user's tokens for a code; earlier ones of the same app and user end."""
        body = await read_json(request, CodeRequest)
        require(appid=body.appid, secret=body.secret, code=body.code, grant_type=body.grant_type)
        if body.grant_type != "authorization_code":
            raise BadInput("grant_type must be authorization_code.")
        app = await proven_app(self._identity, body.appid, body.secret, request)
        issued = await self._identity.redeem(
            app,
            body.code,
            redirect=body.redirect_uri or None,
            verifier=body.code_verifier,
            address=address_of(request),
            terms=FOR_USERS,
        )
        return json_response(
            UserToken(
                access_token=issued.pair.access_token,
                expires_in=issued.pair.expires_in,
                refresh_token=issued.pair.refresh_token,
                openid=issued.openid,
                unionid=issued.unionid,
                scope=" ".join(issued.scopes),
                orig_acnt_type=OWN_ACCOUNT if "profile" in issued.scopes else "",
            )
        )

    async def app_token(self, request: Request) -> Response:
        """Give an app a token of its own."""
        body = await read_json(request, AppTokenRequest)
        require(appid=body.appid, secret=body.secret, grant_type=body.grant_type)
        if body.grant_type not in {"client_credential", "client_credentials"}:
            raise BadInput("grant_type must be client_credential.")
        app = await proven_app(self._identity, body.appid, body.secret, request)
        if app.public:
            raise BadClient("An app that can't keep a secret speaks for people only.")
        pair = (await self._identity.authorise_app(app, terms=FOR_APPS)).pair
        return json_response(AppToken(pair.access_token, pair.expires_in, pair.refresh_token))

    async def renewed_token(self, request: Request) -> Response:
        """Give a new access token for a refresh token, which stays; the request is signed."""
        body = await read_json(request, RenewalRequest)
        require(appid=body.appid, refresh_token=body.refresh_token, ts=body.ts, sign=body.sign)
        now = int(time.time())
        if abs(now - body.ts) > SIGNATURE_WINDOW:
            raise SignatureStale(f"ts is more than {SIGNATURE_WINDOW} s from the server's time, which is {now}.")
        app = await self._signer(body, address_of(request))
        if app.state != "approved":
            raise AppNotUsable(app.state)
        issued = await self._identity.renew_signed(
            app.client_id, body.refresh_token, openid=body.openid, ts=body.ts, address=address_of(request)
        )
        return json_response(RenewedToken(issued.pair.access_token, issued.pair.expires_in))

    async def _signer(self, body: RenewalRequest, address: str) -> SigningApp:
        given = body.sign.lower().encode()

        def proves(secret: str) -> bool:
            return hmac.compare_digest(signature(body.appid, body.ts, secret).encode(), given)

        try:
            return await self._identity.authenticate_signature(body.appid, proves, address=address)
        except SignatureWrong as error:
            raise SignatureWrong(
                'sign must be the lower-case hex MD5 of "KG_" + appid + "_" + ts + "_" + the app\'s secret.'
            ) from error


def signature(appid: str, ts: int, secret: str) -> str:
    """Return the `sign` of a request to renew a token."""
    return hashlib.md5(f"KG_{appid}_{ts}_{secret}".encode(), usedforsecurity=False).hexdigest()


def require(**fields: str | int) -> None:
    """Make sure that fields were sent.

    Raises:
        BadInput: one is missing or empty; the message names it.

    """
    for name, value in fields.items():
        if not value:
            raise BadInput(f"{name} is missing.")


async def proven_app(identity: Identity, appid: str, secret: str, request: Request) -> App:
    """Return the app whose id and secret these are.

    Raises:
        BadClient: unknown, or a wrong secret.
        AppNotUsable: it isn't approved.
        TooManyGuesses: too many wrong secrets came from this address.

    """
    app = await identity.authenticate(appid, secret, address=address_of(request))
    if app.state != "approved":
        raise AppNotUsable(app.state)
    return app


def address_of(request: Request) -> str:
    """Return the client's address, for limits on guesses; empty where there is none (a Unix socket)."""
    return request.client.host if request.client else ""


def _no_user_token(code: int, message: str) -> Response:
    return json_response(UserToken(error_code=str(code), error_msg=message))


def _no_app_token(code: int, message: str) -> Response:
    return json_response(AppToken(error_code=code, error_msg=message))


def _no_renewed_token(code: int, message: str) -> Response:
    return json_response(RenewedToken(error_code=code, error_msg=message))
