"""Who calls: each request is signed with the app's secret, within minutes of the server's clock (CONTRACT 3.0)."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from openstage.dialects.music import signature
from openstage.dialects.music.errors import AmbiguousSignature, UnknownClient, WrongClock, WrongSignature
from openstage.dialects.music.parameters import Parameters, excerpt, read_parameters
from openstage.dialects.music.signature import WINDOW_SECONDS, Reading
from openstage.identity.errors import AppNotUsable
from openstage.identity.signing import SigningApp, SigningApps

_NONCE = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request whose signature holds."""

    app: SigningApp
    parameters: Parameters
    digest: str
    """Its signature: the same request comes with the same one."""


class Authentication:
    """Checks signed requests; each check that fails says which it was."""

    def __init__(self, apps: SigningApps, *, clock: Callable[[], float] = time.time) -> None:
        """Take where apps are found, and a clock that gives seconds of the epoch."""
        self._apps = apps
        self._clock = clock

    async def check(self, request: Request, method: str, *, buys: bool = False, looks: bool = False) -> Signed:
        """Return what a request asks, and for which app.

        Args:
            request: the request.
            method: GET or POST, by which this call is made.
            buys: whether the call changes something, so that what was signed must stand for one thing only.
            looks: whether it looks at the catalogue alone: an app that has just been frozen may do so for half a
                second more.

        Raises:
            WrongPlace, RepeatedParameter, BadParameter: see `read_parameters`.
            UnknownClient: no app has this `client_id`.
            WrongClock: `nonce_str` is no time in seconds, or too far from the server's.
            WrongSignature: `sign` fits none of the readings.
            AmbiguousSignature: it fits the unencoded one, which could stand for something else.
            AppNotUsable: the app is not approved.
            Unavailable: the database is away.

        """
        parameters = await read_parameters(request, method)
        client_id = parameters.text("client_id")
        if not client_id:
            raise UnknownClient("client_id is missing.")
        app = await self._app(client_id, recent=looks)
        self._check_clock(parameters.text("nonce_str"))
        try:
            self._check_signature(app, parameters, buys=buys)
        except WrongSignature:
            if not looks:
                raise
            app = await self._app(client_id)  # its secret may have been renewed in this moment
            self._check_signature(app, parameters, buys=buys)
        if app.state != "approved":
            raise AppNotUsable(app.state)
        return Signed(app, parameters, parameters.text("sign"))

    async def _app(self, client_id: str, *, recent: bool = False) -> SigningApp:
        app = await self._apps.find(client_id, recent=recent)
        if app is None:
            raise UnknownClient(f"There is no app with the client_id {excerpt(client_id)}.")
        return app

    def _check_clock(self, nonce: str) -> None:
        now = int(self._clock())
        if not _NONCE.fullmatch(nonce):
            what = f"not {excerpt(nonce)}" if nonce else "but it is missing"
            raise WrongClock(f"nonce_str must be the time in seconds of the epoch, {what}; here it is {now}.")
        off = int(nonce) - now
        if abs(off) > WINDOW_SECONDS:
            direction = "ahead of" if off > 0 else "behind"
            hint = " Is it in milliseconds? It must be in seconds." if off > 100 * now else ""
            raise WrongClock(
                f"nonce_str is {abs(off)} s {direction} the server's clock, which says {now}; "
                f"{WINDOW_SECONDS} s are allowed. Set your clock.{hint}"
            )

    @staticmethod
    def _check_signature(app: SigningApp, parameters: Parameters, *, buys: bool) -> None:
        given = parameters.text("sign")
        reading = signature.reading_of(parameters.pairs, app.secrets, given)
        if reading is None:
            what = f"{excerpt(given)} is not" if given else "sign is missing:"
            raise WrongSignature(
                f"sign: {what} the MD5, in small hex digits, of this string with your client_secret at its end: "
                f"{signature.signed_string(parameters.pairs)} (values unencoded, or a space as %20, are taken too)"
            )
        if buys and reading is Reading.RAW and signature.is_ambiguous(parameters.pairs):
            raise AmbiguousSignature(
                "A value holds & and was signed without encoding, so that the signature could stand for other "
                "parameters: sign percent-encoded values. Nothing was bought."
            )
