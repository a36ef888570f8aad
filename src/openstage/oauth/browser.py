"""Who sits at the browser: its cookies, and proof that a form was ours.

Three things together keep other sites from sending our forms (CSRF): the session's cookie isn't sent along with their
POSTs (SameSite=Lax), the browser says where a POST comes from (Origin, Sec-Fetch-Site), and each form carries a token
that hangs on a cookie of this browser and on its session.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from openstage.identity.keys import Keys
from openstage.identity.models import Account
from openstage.identity.service import Identity
from openstage.identity.sessions import number_of
from openstage.oauth.requests import address_of
from openstage.settings import Settings

_SESSION: Final = "openstage_session"
_FORM: Final = "openstage_form"
_OWN_PAGES: Final = ("/oauth/authorize", "/api/oauth2/authorize", "/device", "/account")
_TICKET: Final = re.compile(r"/qr/[a-z0-9]{1,32}|/s/[A-Za-z0-9]{1,64}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody at a browser."""

    account: Account | None
    session: str
    """The session's secret; empty: not signed in."""
    form_key: str
    """What this browser's forms hang on."""
    known: bool
    """Whether the browser has that already."""

    @property
    def session_number(self) -> str:
        """Number of the session in the person's list."""
        return number_of(self.session) if self.session else ""


class Browsers:
    """Reads and writes the cookies."""

    def __init__(self, identity: Identity, keys: Keys, settings: Settings) -> None:
        self._identity = identity
        self._key = keys.derive(b"forms")
        self._secure = settings.base("public").startswith("https:")
        # `__Host-`: no other host of the domain, and nobody without TLS, can have set it (RFC 6265bis, 4.1.3.2).
        prefix = "__Host-" if self._secure else ""
        self._session, self._form = prefix + _SESSION, prefix + _FORM
        self._life = settings.session_lifetime
        self._origins = {
            _origin(settings.base("public")),
            _origin(settings.base("media")),
            _origin(settings.base("api")),
        }

    async def visitor(self, request: Request) -> Visitor:
        """Tell who it is."""
        session = request.cookies.get(self._session, "")
        account = await self._identity.sessions.find(session) if session else None
        form_key = request.cookies.get(self._form, "")
        known = len(form_key) == 32 and form_key.isalnum()
        return Visitor(
            account=account,
            session=session if account else "",
            form_key=form_key if known else secrets.token_hex(16),
            known=known,
        )

    def form_token(self, visitor: Visitor) -> str:
        """Return what our forms carry for this visitor."""
        text = f"{visitor.form_key}|{visitor.session}"
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def is_ours(self, request: Request, visitor: Visitor, token: str) -> bool:
        """Whether a form that arrived is one that we gave this visitor."""
        origin = request.headers.get("origin")
        if (
            origin is not None
            and origin not in self._origins
            and urlsplit(origin).netloc != request.headers.get("host")
        ):
            return False
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return False
        given, right = token.encode("utf-8", "replace"), self.form_token(visitor).encode()
        return visitor.known and hmac.compare_digest(given, right)

    def remember(self, response: Response, visitor: Visitor) -> None:
        """Give the browser what its forms hang on, if it has none."""
        if not visitor.known:
            response.set_cookie(
                self._form, visitor.form_key, httponly=True, samesite="lax", secure=self._secure, path="/"
            )

    async def begin(self, request: Request, account: Account) -> str:
        """Begin a session for a browser and return its secret, for `keep`; raises AccountDisabled."""
        agent = request.headers.get("user-agent", "")
        return await self._identity.sessions.begin(account, agent=agent, address=address_of(request))

    def keep(self, response: Response, secret: str) -> None:
        """Give the browser its session's cookie."""
        response.set_cookie(
            self._session,
            secret,
            max_age=self._life,
            httponly=True,
            samesite="lax",
            secure=self._secure,
            path="/",
        )

    def forget(self, response: Response) -> None:
        """Take the session's cookie away."""
        response.delete_cookie(self._session, path="/", secure=self._secure, httponly=True, samesite="lax")


def own_page(address: str, otherwise: str = "/account") -> str:
    """Return an address that a form or link asks to be led back to, if it is one of our own pages.

    Anything else is not followed: nobody shall be led elsewhere by us (RFC 9700, 4.11).
    """
    path = address.partition("?")[0]
    plain = all("!" <= character <= "~" for character in address) and "\\" not in address
    ours = path in _OWN_PAGES or _TICKET.fullmatch(path) is not None
    return address if plain and ours and len(address) < 6000 else otherwise


def here(request: Request) -> str:
    """Return the address of a request's page, to be led back to."""
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def to_sign_in(request: Request) -> Response:
    """Send somebody who isn't signed in to the sign-in page, and back here afterwards."""
    return see_other(f"/sign-in?next={quote(here(request), safe='')}")


def see_other(address: str) -> Response:
    """Redirect with 303: whatever was posted here is not posted there (RFC 9700, 4.12)."""
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
