"""`/play/<share_id>`: the lasting address of a recording (`paly_url`), which leads to a freshly signed one each time.

It is opened by players and browsers, so it answers with HTTP statuses: 302 to the medium, 503 with `Retry-After` while
it is being published, 404 if there is no such recording or whoever asks may not see it.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from openstage.dialects.karaoke.envelope import reply
from openstage.dialects.karaoke.errors import CODES, FAILURE, Call, WrongMethod
from openstage.dialects.karaoke.headers import Authorisation, header
from openstage.works.errors import UnknownWork, WrongState
from openstage.works.listing import Listing
from openstage.works.models import Work
from openstage.works.stages import STAGES
from openstage.works.visibility import ANYBODY, Audience, Viewer, Visibility, viewer_of

_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "x-open-access-token, x-open-app-id, x-open-id, device-id, range",
    "Cache-Control": "private, no-store",
}
SOON: Final = 1
"""Seconds after which to ask again for a recording that is being published."""
LATER: Final = 30
"""Seconds after which to ask again for one whose file is being fetched, or that waits for review."""


class MediaAddresses(Protocol):
    """Addresses of media."""

    def to(self, audience: Audience) -> "MediaAddresses":
        """Return the same for another audience."""

    async def urllist(self, slug: str) -> dict[str, dict[str, str]]:
        """Return signed addresses of what plays by format (`mp4`, `m3u8`, `mp3`) and quality, the best last."""

    def master(self, slug: str) -> str:
        """Return a signed address of the playlist of all that plays."""


class Playing:
    """Leads players to media."""

    def __init__(
        self,
        authorisation: Authorisation,
        listing: Listing,
        visibility: Visibility,
        addresses: MediaAddresses,
    ) -> None:
        self._authorisation = authorisation
        self._listing = listing
        self._visibility = visibility
        self._addresses = addresses

    def routes(self) -> Sequence[BaseRoute]:
        """Which path is which call."""
        return [Route("/play/{share_id}", Call(self.play, method="", failure=_failure))]

    async def play(self, request: Request) -> Response:
        """Lead to the medium; a singer's app that sends its headers is led to what only they may see, too.

        Sound that is whole is an MP3 file, a film that is whole an MP4 file; until then, and with `?format=m3u8`, it is
        an HLS playlist.
        """
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_HEADERS)
        if request.method not in {"GET", "HEAD"}:
            raise WrongMethod(f"This address takes GET, not {request.method}.")
        found = await self._listing.by_share_id(request.path_params["share_id"])
        viewer = await self._viewer(request)
        audience = await self._visibility.audience(found.work, viewer) if found else None
        if found is None or audience is None or STAGES[found.work.state] == "gone":
            raise UnknownWork("There is no such recording.")
        work = found.work
        address = await self._address(work, audience, request.query_params.get("format", ""))
        if address is None:
            return _not_yet(work)
        return RedirectResponse(address, status_code=302, headers=_HEADERS)

    async def _viewer(self, request: Request) -> Viewer:
        if not header(request, "x-open-access-token"):
            return ANYBODY
        return viewer_of(await self._authorisation.any(request, "works.read"))

    async def _address(self, work: Work, audience: Audience, form: str) -> str | None:
        if STAGES[work.state] != "published":
            return None
        addresses = self._addresses.to(audience)
        offered = await addresses.urllist(work.slug)
        for name in ("mp3", "mp4"):
            if form in {"", name} and offered.get(name):
                return list(offered[name].values())[-1]
        return addresses.master(work.slug) if offered.get("m3u8") else None


def _not_yet(work: Work) -> Response:
    soon = work.state in {"publishing", "published"}
    response = _answer(503, CODES[WrongState], "The recording is being published; ask again in a moment.")
    response.headers["Retry-After"] = str(SOON if soon else LATER)
    return response


def _failure(code: int, message: str) -> Response:
    if code == CODES[UnknownWork]:
        return _answer(404, code, message)
    if code >= FAILURE:
        response = _answer(503, code, message)
        response.headers["Retry-After"] = "5"
        return response
    return _answer(405 if code == CODES[WrongMethod] else 403, code, message)


def _answer(status: int, code: int, message: str) -> Response:
    response = reply(code=code, msg=message, status=status)
    response.headers.update(_HEADERS)
    return response
