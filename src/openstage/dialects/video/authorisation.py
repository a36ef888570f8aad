"""Sections 2 and 3 of the document: tokens for apps and for their end users."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from openstage.dialects.video.envelope import SUCCESS, reply
from openstage.dialects.video.errors import BadInput, UnsupportedGrant
from openstage.dialects.video.parameters import Parameters, read_parameters
from openstage.identity.errors import AppNotUsable
from openstage.identity.models import Realm, TokenPair
from openstage.identity.service import Identity


class Authorisation:
    """Calls that give tokens."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def authorize(
        self, realm: Realm = "app", *, uid: str | None = None, nick: str | None = None
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler of one of the `authorize` calls.

        Args:
            realm: whom the tokens speak for.
            uid: name of the parameter that holds the app's own name for its end user; None: the app itself.
            nick: name of the parameter that holds the end user's display name, if the call has one.

        """

        async def handler(request: Request) -> Response:
            parameters = await read_parameters(request)
            pair = await self._identity.authorise(
                parameters.required("client_id"),
                parameters.required("client_secret"),
                realm=realm,
                uid=parameters.required(uid) if uid else "",
                nick=parameters.text(nick) if nick else "",
                address=_address(request),
            )
            return reply(SUCCESS, data=_fields(pair))

        return handler

    async def token(self, request: Request) -> Response:
        """Refresh, or take a code; the fields stand flat, as documented, and under `data`, as some clients read."""
        parameters = await read_parameters(request)
        grant = parameters.text("grant_type")
        if not grant:
            raise BadInput("grant_type is missing: refresh_token or authorization_code.")
        if grant == "refresh_token":
            pair = await self._identity.refresh(
                parameters.required("client_id"),
                parameters.required("refresh_token"),
                parameters.text("client_secret") or None,
                address=_address(request),
            )
        elif grant == "authorization_code":
            pair = await self._redeem(parameters, _address(request))
        else:
            raise UnsupportedGrant("This grant_type is not served here; use refresh_token or authorization_code.")
        return reply(SUCCESS, data=_fields(pair), **_fields(pair))

    async def _redeem(self, parameters: Parameters, address: str) -> TokenPair:
        client_id, code = parameters.required("client_id"), parameters.required("code")
        app = await self._identity.authenticate(client_id, parameters.required("client_secret"), address=address)
        if app.state != "approved":
            raise AppNotUsable(app.state)
        redirect, verifier = parameters.text("redirect_uri"), parameters.text("code_verifier")
        issued = await self._identity.redeem(app, code, redirect=redirect, verifier=verifier, address=address)
        return issued.pair


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _fields(pair: TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access_token,
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh_token,
    }
