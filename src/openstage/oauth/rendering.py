"""What all our pages have in common."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openstage.console.languages import choose
from openstage.console.rendering import Renderer
from openstage.errors import DomainError
from openstage.identity import errors as identity
from openstage.oauth.browser import Browsers, Visitor, own_page
from openstage.oauth.requests import read_form


class Undecided(DomainError):
    """A form arrived that says neither yes nor no: a script's, or one that was sent without its buttons."""

    code = "oauth.undecided"


_TROUBLES: dict[type[DomainError], tuple[str, int]] = {
    identity.WrongPassword: ("wrong_password", 403),
    identity.PasskeyInvalid: ("passkey_invalid", 403),
    identity.AccountDisabled: ("account_disabled", 403),
    identity.BadName: ("bad_name", 400),
    identity.NameTaken: ("name_taken", 409),
    identity.BadPassword: ("bad_password", 400),
    identity.DeviceUnknown: ("device_unknown", 404),
    identity.AlreadyDecided: ("device_decided", 409),
    identity.AlreadyRefused: ("device_refused_before", 409),
    Undecided: ("undecided", 400),
}
"""What a person is told of an error, and with which status."""


class Stale(Exception):
    """A form arrived that we didn't give this visitor."""


def decision_of(form: Mapping[str, str]) -> bool:
    """Whether a person allowed what a form asked them; raises Undecided."""
    decision = form.get("decision")
    if decision not in {"allow", "refuse"}:
        raise Undecided("Neither allowed nor refused.")
    return decision == "allow"


class Pages:
    """Renders our pages: never cached, never framed, with what their forms carry."""

    def __init__(self, renderer: Renderer, browsers: Browsers) -> None:
        self._renderer = renderer
        self.browsers = browsers

    def page(
        self,
        request: Request,
        visitor: Visitor,
        template: str,
        *,
        status: int = 200,
        forms: tuple[str, ...] = ("'self'",),
        error: DomainError | None = None,
        **values: Any,
    ) -> Response:
        """Render a page of `templates/account/`.

        Args:
            request: whose language counts.
            visitor: who looks at it.
            template: file name.
            status: HTTP status where there is no error.
            forms: where its forms may lead.
            error: what went wrong, to be told; decides the status.
            values: what the template is given besides `account`, `form_token` and `trouble`.

        """
        trouble, status = self._trouble(request, error) if error else ("", status)
        values |= {"account": visitor.account, "form_token": self.browsers.form_token(visitor), "trouble": trouble}
        response = self._renderer.page(request, f"account/{template}", values, status=status, forms=forms)
        # A browser that goes back asks again; addresses of these pages hold what no other site need know.
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "same-origin"
        if isinstance(error, identity.TooManyGuesses):
            response.headers["Retry-After"] = str(error.wait)
        self.browsers.remember(response, visitor)
        return response

    async def form(self, request: Request, visitor: Visitor) -> dict[str, str]:
        """Return the fields of a form that was posted; raises Stale if it isn't ours."""
        try:
            fields = await read_form(request)
        except OAuth2Error as error:
            raise Stale from error
        if not self.browsers.is_ours(request, visitor, fields.get("form_token", "")):
            raise Stale
        return fields

    def told(self, request: Request, error: Stale | DomainError) -> Response:
        """Return what a page's script is told of an error: a message for the person.

        Raises:
            DomainError: it is none of what a person causes.

        """
        if isinstance(error, DomainError):
            text, status = self._trouble(request, error)
        else:
            text, status = choose(request).text("stale"), 403
        return JSONResponse({"message": text}, status, headers={"Cache-Control": "no-store"})

    def stale(self, request: Request, visitor: Visitor, again: str) -> Response:
        """Return the page that says that a form wasn't ours, with a way to do it again."""
        return self.page(request, visitor, "stale.html", status=403, next=own_page(again))

    @staticmethod
    def _trouble(request: Request, error: DomainError) -> tuple[str, int]:
        language = choose(request)
        if isinstance(error, identity.TooManyGuesses):
            many = error.wait > 90
            count = -(-error.wait // 60) if many else error.wait
            wait = language.text("wait_minutes" if many else "wait_seconds", count=count)
            return language.text("too_many", wait=wait), 429
        if type(error) not in _TROUBLES:
            raise error
        key, status = _TROUBLES[type(error)]
        return language.text(key), status
