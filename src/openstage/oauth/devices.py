"""The pages on which a person confirms a device's sign-in: by its short code (RFC 8628, 3.3), or by its QR code."""

import asyncio
import functools
import io
from typing import Final

import segno
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from openstage.errors import DomainError, Unavailable
from openstage.identity.devices import Waiting
from openstage.identity.errors import TooManyGuesses
from openstage.identity.models import Account
from openstage.identity.service import Identity
from openstage.oauth.browser import Visitor, to_sign_in
from openstage.oauth.rendering import Pages, Stale, Undecided, decision_of
from openstage.oauth.requests import address_of
from openstage.settings import Settings

_PICTURES: Final = {"png": "image/png", "svg": "image/svg+xml"}


class DevicePages:
    """Handlers of `/device` and `/qr/…`.

    Only who is signed in may try short codes, so that guesses can be counted. The link of a QR code is long: whoever
    opens it is told at once whether it leads anywhere, and the device that it has been scanned.
    """

    def __init__(self, identity: Identity, pages: Pages, settings: Settings) -> None:
        self._identity = identity
        self._pages = pages
        self._base = settings.base("public")

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/device", self.device, methods=["GET", "POST"]),
            Route("/qr/{link}.png", self.png, methods=["GET"]),
            Route("/qr/{link}.svg", self.svg, methods=["GET"]),
            Route("/qr/{link}", self.ticket, methods=["GET", "POST"]),
        ]

    async def device(self, request: Request) -> Response:
        """Ask for the code, show what waits under it, take the decision."""
        visitor = await self._pages.browsers.visitor(request)
        if visitor.account is None:
            return to_sign_in(request)
        if request.method == "POST":
            return await self._decide_by_code(request, visitor, visitor.account)
        code = request.query_params.get("user_code", "")
        if not code:
            return self._pages.page(request, visitor, "device.html", user_code="")
        try:
            waiting = await self._look(request, visitor, code=code)
        except Unavailable:
            raise
        except DomainError as error:
            return self._pages.page(request, visitor, "device.html", user_code=code[:20], error=error)
        return self._ask_by_code(request, visitor, waiting)

    async def ticket(self, request: Request) -> Response:
        """Show what waits behind a QR code, take the decision."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            waiting = await self._look(request, visitor, link=request.path_params["link"])
            if visitor.account is None:
                return to_sign_in(request)
            if request.method == "POST":
                return await self._decide_by_link(request, visitor, visitor.account, waiting)
            return self._ask_by_link(request, visitor, waiting)
        except Unavailable:
            raise
        except DomainError as error:
            return self._pages.page(request, visitor, "ticket_over.html", error=error)

    async def png(self, request: Request) -> Response:
        """Answer with a QR code as a picture of pixels."""
        return await self._picture(request, "png")

    async def svg(self, request: Request) -> Response:
        """Answer with a QR code as a drawing, which takes the size it is given."""
        return await self._picture(request, "svg")

    def _ask_by_code(
        self, request: Request, visitor: Visitor, waiting: Waiting, error: Undecided | None = None
    ) -> Response:
        back = f"/device?user_code={waiting.user_code}"
        return self._pages.page(
            request, visitor, "device_confirm.html", error=error, waiting=waiting, action="/device", back=back
        )

    def _ask_by_link(
        self, request: Request, visitor: Visitor, waiting: Waiting, error: Undecided | None = None
    ) -> Response:
        path = request.url.path
        return self._pages.page(
            request, visitor, "device_confirm.html", error=error, waiting=waiting, action=path, back=path
        )

    async def _look(self, request: Request, visitor: Visitor, *, code: str = "", link: str = "") -> Waiting:
        """Look a code or link up, as a guess until it is known to be right."""
        address = address_of(request)
        target = str(visitor.account.id) if visitor.account else ""
        await self._identity.guesses.charge("user-code", address=address, target=target)
        devices = self._identity.devices
        waiting = await (devices.look_by_link(link) if link else devices.look(code))
        await self._identity.guesses.refund("user-code", address=address, target=target)
        return waiting

    async def _decide_by_code(self, request: Request, visitor: Visitor, account: Account) -> Response:
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/device")
        code = form.get("user_code", "")
        try:
            # Counted as a guess as well: the form could be sent with any code.
            waiting = await self._look(request, visitor, code=code)
            try:
                return await self._decide(request, visitor, account, code, form)
            except Undecided as error:
                return self._ask_by_code(request, visitor, waiting, error)
        except Unavailable:
            raise
        except DomainError as error:
            return self._pages.page(request, visitor, "device.html", user_code=code[:20], error=error)

    async def _decide_by_link(self, request: Request, visitor: Visitor, account: Account, waiting: Waiting) -> Response:
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            form = {}
        if form.get("user_code") != waiting.user_code:
            # Not our form, or the person has looked at another code than the one behind this address.
            return self._pages.stale(request, visitor, request.url.path)
        try:
            return await self._decide(request, visitor, account, waiting.user_code, form)
        except Undecided as error:
            return self._ask_by_link(request, visitor, waiting, error)

    async def _decide(
        self, request: Request, visitor: Visitor, account: Account, code: str, form: dict[str, str]
    ) -> Response:
        allowed = decision_of(form)
        await self._identity.devices.decide(code, account, allow=allowed)
        return self._pages.page(request, visitor, "device_done.html", allowed=allowed)

    async def _picture(self, request: Request, kind: str) -> Response:
        link = request.path_params["link"]
        if await self._identity.devices.app_of_link(link) is None:
            return await self._no_picture(request, link)
        picture = await asyncio.to_thread(_draw, f"{self._base}/qr/{link}", kind)
        headers = {
            "Cache-Control": "private, max-age=600",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'",
            "Cross-Origin-Resource-Policy": "cross-origin",  # a device's own page shows it
        }
        return Response(picture, media_type=_PICTURES[kind], headers=headers)

    async def _no_picture(self, request: Request, link: str) -> Response:
        headers = {"Cache-Control": "no-store"}
        try:
            # A device that shows a code for too long is no guess: it shall not lock out the people around it.
            if not await self._identity.devices.knew_link(link):
                await self._identity.guesses.charge("user-code", address=address_of(request))
        except TooManyGuesses as error:
            return PlainTextResponse(error.message, 429, headers={**headers, "Retry-After": str(error.wait)})
        return PlainTextResponse("No QR code is waiting here (any more).", 404, headers=headers)


@functools.lru_cache(maxsize=256)
def _draw(address: str, kind: str) -> bytes:
    """Draw the QR code of an address (ISO/IEC 18004), with the quiet zone that scanners need."""
    code = segno.make_qr(address, error="m")
    drawn = io.BytesIO()
    if kind == "png":
        code.save(drawn, kind="png", scale=10, border=4)
    else:
        code.save(drawn, kind="svg", border=4, omitsize=True, light="#fff", svgclass=None, lineclass=None)
    return drawn.getvalue()
