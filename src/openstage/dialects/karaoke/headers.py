"""Who calls: the headers `X-Open-Access-Token`, `X-Open-App-ID`, `X-Open-ID` and `Device-ID`."""

import hmac
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from openstage.database.text import storable
from openstage.dialects.karaoke.errors import TokenMissing, UserTokenNeeded, WrongApp, WrongOpenId
from openstage.identity.errors import AppNotUsable, ScopeMissing, TokenInvalid
from openstage.identity.models import Caller
from openstage.identity.scopes import Scope
from openstage.identity.service import Identity

_WHO: Final = (b"x-open-access-token", b"x-open-app-id", b"x-open-id")
LONGEST_DEVICE_ID: Final = 128
"""Characters kept of what a device calls itself."""


class Authorisation:
    """Tells who calls, and whether they may."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def user(self, request: Request, needs: Scope) -> Caller:
        """Tell the user whom a call's token speaks for.

        Raises:
            UserTokenNeeded: the token speaks for the app alone.
            DomainError: what `any` raises.

        """
        caller = await self.any(request, needs)
        if not caller.uid:
            raise UserTokenNeeded("This call needs a user's token; the one sent speaks for the app alone.")
        return caller

    async def any(self, request: Request, needs: Scope | None = None) -> Caller:
        """Tell whom a call's token speaks for: a user (`Caller.uid` is the openid), or the app (`uid` is empty).

        Raises:
            TokenMissing: no `X-Open-Access-Token`.
            TokenInvalid: never issued or revoked; or an app's token beside a non-empty `X-Open-ID`.
            TokenExpired: its life is over.
            ScopeMissing: nobody allowed it what is needed here.
            WrongApp: `X-Open-App-ID` is missing, or isn't the app that the token was issued to.
            WrongOpenId: `X-Open-ID` is another user's.
            AppNotUsable: the app is not approved.

        """
        said = _said(request, _WHO)
        token, app_id, openid = (said.get(name, "") for name in _WHO)
        if not token:
            raise TokenMissing("The header X-Open-Access-Token is missing or empty.")
        if not app_id:
            raise WrongApp("The header X-Open-App-ID is missing or empty.")
        caller = await self._identity.resolve(token)
        if not _same(app_id, caller.client_id):
            raise WrongApp("The token was issued to another app than X-Open-App-ID names.")
        if openid and not caller.uid:
            raise TokenInvalid("The token speaks for the app alone, so X-Open-ID must be left out or empty.")
        if openid and not _same(openid, caller.uid):
            raise WrongOpenId("X-Open-ID names another user than the token speaks for.")
        if caller.app_state != "approved":
            raise AppNotUsable(caller.app_state)
        if needs is not None and needs not in caller.scopes:
            raise ScopeMissing(f"The token has no scope {needs}; ask the person for it.")
        return caller


def device_id(request: Request) -> str:
    """Return what a device calls itself (`Device-ID`), cut off at `LONGEST_DEVICE_ID`; empty if it doesn't say."""
    return storable(header(request, "device-id"))[:LONGEST_DEVICE_ID]


def header(request: Request, name: str) -> str:
    """Return the first non-empty value of a header (its name in lower case), without blanks at its ends."""
    return _said(request, (name.encode(),)).get(name.encode(), "")


def _said(request: Request, names: Sequence[bytes]) -> dict[bytes, str]:
    """Return what `header` does, of several headers in one go; those that are missing or empty are left out."""
    said: dict[bytes, str] = {}
    for name, value in request.scope["headers"]:
        if name in names and name not in said and (text := value.decode("utf-8", "replace").strip()):
            said[name] = text
    return said


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())
