"""The page on which a person confirms the sign-in of a device (RFC 8628, 3.3)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.errors import DomainError, Unavailable
from openstage.identity.devices import Waiting
from openstage.identity.models import Account
from openstage.identity.service import Identity
from openstage.oauth.browser import Visitor, to_sign_in
from openstage.oauth.rendering import Pages, Stale
from openstage.oauth.requests import address_of


class DevicePage:
    """Handler of `/device`. Only who is signed in may try codes, so that guesses can be counted."""

    def __init__(self, identity: Identity, pages: Pages) -> None:
        self._identity = identity
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [Route("/device", self.device, methods=["GET", "POST"])]

    async def device(self, request: Request) -> Response:
        """Ask for the code, show what waits under it, take the decision."""
        visitor = await self._pages.browsers.visitor(request)
        if visitor.account is None:
            return to_sign_in(request)
        if request.method == "POST":
            return await self._decide(request, visitor, visitor.account)
        code = request.query_params.get("user_code", "")
        if not code:
            return self._pages.page(request, visitor, "device.html", user_code="")
        try:
            waiting = await self._look(request, visitor.account, code)
        except Unavailable:
            raise
        except DomainError as error:
            return self._pages.page(request, visitor, "device.html", user_code=code[:20], error=error)
        return self._pages.page(request, visitor, "device_confirm.html", waiting=waiting)

    async def _look(self, request: Request, account: Account, code: str) -> Waiting:
        who = {"address": address_of(request), "target": str(account.id)}
        await self._identity.guesses.charge("user-code", **who)
        waiting = await self._identity.devices.look(code)
        await self._identity.guesses.refund("user-code", **who)
        return waiting

    async def _decide(self, request: Request, visitor: Visitor, account: Account) -> Response:
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/device")
        code = form.get("user_code", "")
        allowed = form.get("decision") == "allow"
        try:
            # Counted as a guess as well: the form could be sent with any code.
            await self._look(request, account, code)
            await self._identity.devices.decide(code, account, allow=allowed)
        except Unavailable:
            raise
        except DomainError as error:
            return self._pages.page(request, visitor, "device.html", user_code=code[:20], error=error)
        return self._pages.page(request, visitor, "device_done.html", allowed=allowed)
