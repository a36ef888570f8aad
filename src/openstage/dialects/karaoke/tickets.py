"""Signing in by a QR code: a device shows it, a person confirms on a phone, the device's app gets a code.

    POST /oauth/v2/light_qr       a new ticket: what to show, and the device's own secret
    POST /oauth/v2/light_qr_stat  how it stands; the `code` for `/oauth/v2/access_token` once it is confirmed

The bodies of both calls are ours: the document names the paths alone. They answer flat, as the token calls do.
"""

from typing import Annotated, Final

import msgspec

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
    or the code was not fetched within 5 minutes, or has been exchanged."""
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
    status: int | None = None
    """With `wait`: the status known so far, so that no change is missed; left out: the present one."""
