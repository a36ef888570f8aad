"""Signing in by a QR code: a device shows it, a person confirms on a phone, the device's app gets a code.

    POST /oauth/v2/light_qr       a new ticket: what to show, and the device's own secret
    POST /oauth/v2/light_qr_stat  how it stands; the `code` for `/oauth/v2/access_token` once it is confirmed

The bodies of both calls are ours: the document names the paths alone. They answer flat, as the token calls do.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.dialects.karaoke.bodies import read_json
from openstage.dialects.karaoke.envelope import json_response
from openstage.dialects.karaoke.errors import CODES, FAILURE, BadInput, Call, RequestBroken
from openstage.dialects.karaoke.headers import Authorisation, device_id
from openstage.dialects.karaoke.tokens import address_of, proven_app, require
from openstage.errors import Unavailable
from openstage.identity.errors import TokenInvalid, TooManyGuesses
from openstage.identity.models import App
from openstage.identity.scopes import asked
from openstage.identity.service import Identity
from openstage.identity.tickets import STATES, TicketStanding
from openstage.settings import Settings

_PASSING: Final = frozenset({FAILURE, *(CODES[kind] for kind in (RequestBroken, TooManyGuesses, Unavailable))})
"""Codes of failures after which the same question may be answered."""
LONGEST_WAIT: Final = 30
"""Seconds that a call may wait for a change."""


class Ticket(msgspec.Struct):
    """Reply of `POST /oauth/v2/light_qr`."""

    qr_ticket: str = ""
    """The device's own secret, for `light_qr_stat`; never shown."""
    qr_url: str = ""
    """What the QR code says: a page on which a person decides. It holds a short code of its own, so that who
    photographs the screen can't ask for the outcome."""
    qr_png_url: str = ""
    """The QR code as a picture, for devices that make none themselves."""
    qr_svg_url: str = ""
    user_code: str = ""
    """To be shown beside the QR code, such as `BCDF-GHJK`: the person compares it with the page's. It can be typed at
    `/device` as well, where there is no camera."""
    interval: int = 0
    """Seconds between two calls of `light_qr_stat` that don't wait."""
    expires_in: int = 0
    """Seconds until the ticket expires."""
    error_code: int = 0
    error_msg: str = ""


class TicketStatus(msgspec.Struct):
    """Reply of `POST /oauth/v2/light_qr_stat`."""

    status: int = 0
    """0 nobody has opened the page; 1 somebody has (scanned); 2 confirmed; 3 refused; 4 over: nobody decided in time,
    or the code was not fetched within 5 minutes, or has been exchanged. A failure that lasts says 4 too."""
    code: str = ""
    """With status 2: for `/oauth/v2/access_token`, once, within 5 minutes of the confirmation. Asking again gives the
    same one until it has been exchanged."""
    error_code: int = 0
    error_msg: str = ""


class TicketRequest(msgspec.Struct):
    """Body of `POST /oauth/v2/light_qr`: `appid` and `secret`, or an app-level token in `X-Open-Access-Token`."""

    appid: str = ""
    secret: str = ""
    """Left out by a device, which sends the headers `X-Open-Access-Token` and `X-Open-App-ID` instead."""
    scope: str = ""
    """What to ask for, with blanks or commas between; empty: all that the app may ask for."""
    device_id: str = ""
    """Shown to the person; empty: the header `Device-ID`."""
    device_name: str = ""
    """Shown to the person, such as `Living room TV`."""


class StatusRequest(msgspec.Struct):
    """Body of `POST /oauth/v2/light_qr_stat`."""

    appid: str = ""
    qr_ticket: str = ""
    wait: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Answer when the status changes, or after so many seconds (30 at most); 0: at once."""
    status: Annotated[int, msgspec.Meta(ge=0, le=4)] | None = None
    """With `wait`: the status known so far, so that no change is missed; left out: the present one."""


class TicketCalls:
    """Handlers of the calls of a device that signs somebody in."""

    def __init__(self, identity: Identity, settings: Settings) -> None:
        self._identity = identity
        self._authorisation = Authorisation(identity)
        self._base = settings.base("public")

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [
            Route("/oauth/v2/light_qr", Call(self.begin, failure=_no_ticket)),
            Route("/oauth/v2/light_qr_stat", Call(self.status, failure=_no_status)),
        ]

    async def begin(self, request: Request) -> Response:
        """Make a ticket."""
        body = await read_json(request, TicketRequest)
        app = await self._app(request, body)
        codes = await self._identity.tickets.begin(
            app.id,
            asked(body.scope.replace(",", " "), app.scopes),
            device=body.device_name,
            device_id=body.device_id or device_id(request),
        )
        page = f"{self._base}/qr/{codes.link}"
        return json_response(
            Ticket(
                qr_ticket=codes.ticket,
                qr_url=page,
                qr_png_url=f"{page}.png",
                qr_svg_url=f"{page}.svg",
                user_code=codes.user_code,
                interval=codes.interval,
                expires_in=codes.expires_in,
            )
        )

    async def status(self, request: Request) -> Response:
        """Tell how a ticket stands, at once or when that changes."""
        body = await read_json(request, StatusRequest)
        require(appid=body.appid, qr_ticket=body.qr_ticket)
        if not body.wait:
            return _standing(await self._identity.ticket(body.appid, body.qr_ticket, address=address_of(request)))
        waiting = asyncio.create_task(
            self._identity.ticket(
                body.appid,
                body.qr_ticket,
                address=address_of(request),
                seconds=min(body.wait, LONGEST_WAIT),
                seen=None if body.status is None else STATES[body.status],
            )
        )
        gone = asyncio.create_task(_disconnected(request))
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            return _standing(await waiting) if waiting.done() else Response()  # nobody reads the latter
        finally:
            for task in (waiting, gone):
                task.cancel()
            await asyncio.gather(waiting, gone, return_exceptions=True)

    async def _app(self, request: Request, body: TicketRequest) -> App:
        """Return the app that asks: its server by the secret, a device of it by an app-level token."""
        if body.secret:
            require(appid=body.appid)
            return await proven_app(self._identity, body.appid, body.secret, request)
        caller = await self._authorisation.any(request)
        if caller.uid:
            raise TokenInvalid("A QR ticket is asked for with a token of the app's own (getToken), not with a user's.")
        if body.appid and body.appid != caller.client_id:
            raise BadInput("appid is not the app that the token was issued to.")
        return await self._identity.apps.find(caller.client_id)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _standing(standing: TicketStanding) -> Response:
    return json_response(TicketStatus(STATES.index(standing.state), standing.code))


def _no_ticket(code: int, message: str) -> Response:
    return json_response(Ticket(error_code=code, error_msg=message))


def _no_status(code: int, message: str) -> Response:
    # A device that looks at the status alone must not wait for ever for what can't come any more.
    status = 0 if code in _PASSING else STATES.index("over")
    return json_response(TicketStatus(status, error_code=code, error_msg=message))
