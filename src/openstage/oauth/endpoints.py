"""The endpoints that apps and devices call: tokens, device sign-in, revocation, introspection, metadata."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError, UnauthorizedClientError, UnsupportedGrantTypeError
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from openstage.identity.authorisations import Explanation
from openstage.identity.errors import UnknownAuthorisation
from openstage.identity.issuing import Terms
from openstage.identity.models import App, Issued
from openstage.identity.scopes import SCOPES, asked
from openstage.identity.service import Identity
from openstage.oauth.errors import Endpoint, tellable
from openstage.oauth.requests import address_of, client_of, read_form, required
from openstage.settings import Settings

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_WITH_SECRET: Final = ["client_secret_basic", "client_secret_post"]

Grant = Callable[[App, Mapping[str, str], str], Awaitable[Issued]]


class Endpoints:
    """OAuth's endpoints over identity."""

    def __init__(self, identity: Identity, settings: Settings) -> None:
        self._identity = identity
        self._issuer = settings.base("public")
        self._grants: dict[str, Grant] = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            "client_credentials": self._by_credentials,
            DEVICE_GRANT: self._by_device_code,
        }

    def routes(self) -> list[BaseRoute]:
        """Return the routes; each takes every method and answers in OAuth's JSON."""
        return [
            Route("/oauth/token", Endpoint(self.token, pages=True)),
            Route("/oauth/device", Endpoint(self.device, pages=True)),
            Route("/oauth/revoke", Endpoint(self.revoke, pages=True)),
            Route("/oauth/introspect", Endpoint(self.introspect)),
            Route("/.well-known/oauth-authorization-server", Endpoint(self.metadata, method="GET", pages=True)),
        ]

    async def token(self, request: Request) -> dict[str, Any]:
        """Give tokens for a grant (RFC 6749, 4 and 6; RFC 8628, 3.4)."""
        form = await read_form(request)
        grant = self._grants.get(required(form, "grant_type"))
        if grant is None:
            raise UnsupportedGrantTypeError(tellable(form["grant_type"])[:100])
        app = await client_of(self._identity, request, form)
        return _token_fields(await grant(app, form, address_of(request)))

    async def device(self, request: Request) -> dict[str, Any]:
        """Begin the sign-in of a device (RFC 8628, 3.1); `device_name` is ours: what the person is shown."""
        form = await read_form(request)
        app = await client_of(self._identity, request, form)
        scopes = asked(form.get("scope", ""), app.scopes)
        codes = await self._identity.devices.begin(app, scopes, device=form.get("device_name", ""))
        page = f"{self._issuer}/device"
        return {
            "device_code": codes.device_code,
            "user_code": codes.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={codes.user_code}",
            "expires_in": codes.expires_in,
            "interval": codes.interval,
        }

    async def revoke(self, request: Request) -> dict[str, Any]:
        """End the authorisation of one of the app's own tokens; any other is no error (RFC 7009, 2.2)."""
        form = await read_form(request)
        app = await client_of(self._identity, request, form, approved=False)
        found = await self._identity.authorisations.family_of(required(form, "token"))
        if found is not None and found[1] == app.id:
            await self._identity.authorisations.revoke(found[0], by="app")
        return {}

    async def introspect(self, request: Request) -> dict[str, Any]:
        """Tell an app what one of its own tokens is (RFC 7662, 2)."""
        form = await read_form(request)
        app = await client_of(self._identity, request, form, secret=True)
        try:
            found = await self._identity.authorisations.explain(required(form, "token"))
        except UnknownAuthorisation:
            return {"active": False}
        if not found.valid or found.client_id != app.client_id or found.kind not in {"access_token", "refresh_token"}:
            return {"active": False}
        return self._introspected(found)

    async def metadata(self, request: Request) -> dict[str, Any]:
        """Tell what is served (RFC 8414)."""
        base = self._issuer
        return {
            "issuer": base,
            "authorization_endpoint": f"{base}/oauth/authorize",
            "token_endpoint": f"{base}/oauth/token",
            "device_authorization_endpoint": f"{base}/oauth/device",
            "revocation_endpoint": f"{base}/oauth/revoke",
            "introspection_endpoint": f"{base}/oauth/introspect",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(self._grants),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [*_WITH_SECRET, "none"],
            "revocation_endpoint_auth_methods_supported": [*_WITH_SECRET, "none"],
            "introspection_endpoint_auth_methods_supported": _WITH_SECRET,
            "authorization_response_iss_parameter_supported": True,
            "ui_locales_supported": ["en", "zh-CN"],
            "service_documentation": f"{base}/docs/identity",
        }

    async def _by_code(self, app: App, form: Mapping[str, str], address: str) -> Issued:
        return await self._identity.redeem(
            app,
            required(form, "code"),
            redirect=form.get("redirect_uri", ""),
            verifier=form.get("code_verifier", ""),
            address=address,
        )

    async def _by_refresh_token(self, app: App, form: Mapping[str, str], address: str) -> Issued:
        token = required(form, "refresh_token")
        asked(form.get("scope", ""), app.scopes)  # less than was granted may be asked for; all of it is given, and told
        return await self._identity.renew(app.client_id, token, address=address, proven=not app.public)

    async def _by_credentials(self, app: App, form: Mapping[str, str], address: str) -> Issued:
        if app.public:
            raise UnauthorizedClientError("An app that can't keep a secret speaks for people only.")
        # A new one is as easily asked for: no refresh token (RFC 6749, 4.4.3).
        scopes = asked(form.get("scope", ""), app.scopes)
        return await self._identity.authorise_app(app, scopes=scopes, terms=Terms(refreshable=False))

    async def _by_device_code(self, app: App, form: Mapping[str, str], address: str) -> Issued:
        return await self._identity.poll(app, required(form, "device_code"), address=address)

    def _introspected(self, found: Explanation) -> dict[str, Any]:
        authorisation = found.authorisation
        if authorisation is None:
            raise InvalidRequestError("This is no token.")
        fields: dict[str, Any] = {
            "active": True,
            "iss": self._issuer,
            "client_id": found.client_id,
            "sub": authorisation.uid or found.client_id,
            "scope": " ".join(found.scopes),
            "iat": int(found.issued_at.timestamp()),
            "exp": int(found.expires_at.timestamp()),
        }
        if found.kind == "access_token":
            fields |= {"token_type": "Bearer"}
        if authorisation.account is not None and "profile" in found.scopes:
            fields["username"] = authorisation.account
        return fields


def _token_fields(issued: Issued) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "access_token": issued.pair.access_token,
        "token_type": "Bearer",
        "expires_in": issued.pair.expires_in,
        "scope": " ".join(issued.scopes),
    }
    if issued.pair.refresh_token:
        fields["refresh_token"] = issued.pair.refresh_token
    if issued.openid:
        fields |= {"openid": issued.openid, "unionid": issued.unionid}
    return fields
