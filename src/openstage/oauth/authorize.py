"""The authorization endpoint (RFC 6749, 4.1.1): a person sees which app asks for what, and decides.

Where the app or its address isn't known for certain the person is told so and led nowhere (RFC 9700, 4.11). Everything
else that is wrong is told to the app, but only by a browser in which somebody is signed in: else any link to us would
lead on to the app's address unseen.
"""

from dataclasses import dataclass

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidRequestError, UnsupportedResponseTypeError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.errors import DomainError
from openstage.identity import redirects
from openstage.identity.codes import Wanted, require_challenge
from openstage.identity.errors import AppNotUsable, UnknownApp
from openstage.identity.labels import plain
from openstage.identity.models import Account, App
from openstage.identity.scopes import asked
from openstage.identity.service import Identity
from openstage.oauth.browser import Visitor, here, see_other, to_sign_in
from openstage.oauth.errors import oauth_error
from openstage.oauth.rendering import Pages, Stale, Undecided, decision_of
from openstage.oauth.requests import parse_fields
from openstage.settings import Settings


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of which it is known whom it comes from and where its answer goes."""

    app: App
    redirect: str
    fields: dict[str, str]


class AuthorizePage:
    """Handler of the authorization endpoint, on its own path and on that of the video dialect."""

    def __init__(self, identity: Identity, pages: Pages, settings: Settings) -> None:
        self._identity = identity
        self._pages = pages
        self._issuer = settings.base("public")

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        methods = ["GET", "POST"]
        return [
            Route("/oauth/authorize", self.authorize, methods=methods),
            Route("/api/oauth2/authorize", self.authorize, methods=methods),
        ]

    async def authorize(self, request: Request) -> Response:
        """Show what is asked for; take the decision where it is posted."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            whom = await self._whom(request)
        except (OAuth2Error, DomainError) as error:
            why = error.message if isinstance(error, DomainError) else str(error.get_error_description())
            return self._pages.page(request, visitor, "refused.html", status=400, why=why)
        if visitor.account is None:
            return to_sign_in(request)
        try:
            wanted = _wanted(whom)
        except OAuth2Error as error:
            return self._answer(whom, dict(error.get_body()))
        except DomainError as error:
            return self._answer(whom, dict(oauth_error(error).get_body()))
        if request.method == "POST":
            return await self._decide(request, visitor, visitor.account, whom, wanted)
        return await self._ask(request, visitor, wanted)

    async def _whom(self, request: Request) -> _Asked:
        """Read who asks and where the answer goes; raises OAuth2Error or DomainError where that isn't certain."""
        fields = parse_fields(request.url.query)
        if "client_id" not in fields:
            raise InvalidRequestError("client_id is missing.")
        app = await self._identity.apps.find(fields["client_id"])
        if app.state == "deleted":
            raise UnknownApp("There is no such app.")
        if app.state != "approved":
            raise AppNotUsable(app.state)
        return _Asked(app, redirects.chosen(app, fields.get("redirect_uri", "")), fields)

    async def _ask(
        self, request: Request, visitor: Visitor, wanted: Wanted, error: Undecided | None = None
    ) -> Response:
        return self._pages.page(
            request,
            visitor,
            "consent.html",
            error=error,
            app_name=plain(wanted.app.name),
            developer=await self._identity.apps.developer_of(wanted.app),
            wanted=wanted.scopes,
            target=redirects.target(wanted.redirect),
            action=here(request),
            # Browsers apply it to the redirect that answers the form, too.
            forms=("'self'", redirects.policy_source(wanted.redirect)),
        )

    async def _decide(
        self, request: Request, visitor: Visitor, account: Account, whom: _Asked, wanted: Wanted
    ) -> Response:
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, here(request))
        try:
            allowed = decision_of(form)
        except Undecided as error:
            return await self._ask(request, visitor, wanted, error)
        if not allowed:
            return self._answer(whom, dict(AccessDeniedError().get_body()))
        return self._answer(whom, {"code": await self._identity.codes.make(account, wanted)})

    def _answer(self, whom: _Asked, fields: dict[str, str]) -> Response:
        """Lead back to the app, with its `state` and our name (RFC 9207: which server answers)."""
        fields = {**fields, "iss": self._issuer}
        if "state" in whom.fields:
            fields["state"] = whom.fields["state"]
        return see_other(add_params_to_uri(whom.redirect, list(fields.items())))


def _wanted(whom: _Asked) -> Wanted:
    kind = whom.fields.get("response_type", "")
    if not kind:
        raise InvalidRequestError("response_type is missing.")
    if kind != "code":
        raise UnsupportedResponseTypeError("Only response_type=code is served.")
    if whom.fields.get("response_mode", "query") != "query":
        raise InvalidRequestError("Only response_mode=query is served.")
    if "request" in whom.fields or "request_uri" in whom.fields:
        raise InvalidRequestError("Request objects are not served.")
    challenge = require_challenge(
        whom.app, whom.fields.get("code_challenge", ""), whom.fields.get("code_challenge_method", "")
    )
    return Wanted(
        app=whom.app,
        redirect=whom.redirect,
        redirect_sent="redirect_uri" in whom.fields,
        scopes=asked(whom.fields.get("scope", ""), whom.app.scopes),
        challenge=challenge,
    )
