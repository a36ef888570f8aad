"""`/media/<token>/<slug>/<resource>` and `/pictures/<slug>/<kind>.jpg`."""

import json
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from openstage.database.engine import Database
from openstage.delivery.addresses import STORYBOARD
from openstage.delivery.counting import PlayCounter
from openstage.delivery.errors import AddressAltered, AddressExpired, MediaGone
from openstage.delivery.models import PICTURE_KINDS, SOUND, FileKind, Ladder, StoredObject, mark_of
from openstage.delivery.offering import of_quality, offered
from openstage.delivery.playlists import media_playlist, multivariant_playlist
from openstage.delivery.repository import Repository
from openstage.delivery.responses import CORS, ObjectResponse
from openstage.delivery.signing import AddressSigner, Grant, Kind
from openstage.delivery.storyboards import storyboard_vtt
from openstage.errors import DomainError, Unavailable
from openstage.observability.logs import get_logger
from openstage.settings import Settings
from openstage.storage.errors import ObjectMissing
from openstage.storage.objects import ObjectStore
from openstage.works.service import Works
from openstage.works.visibility import EVERYBODY, Audience

log = get_logger("delivery")

METHODS = ("GET", "HEAD", "OPTIONS")
PLAYBACK_MARGIN = 6 * 3600
"""Seconds that a playback may take beyond the work's duration before the addresses in its playlists expire."""
_PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": ", ".join(METHODS),
    "Access-Control-Allow-Headers": "Range, If-Range, If-None-Match, Cache-Control, Content-Type",
    "Access-Control-Max-Age": "86400",
    "Allow": ", ".join(METHODS),
}
_STATUS: dict[type[DomainError], int] = {
    AddressAltered: 403,
    AddressExpired: 403,
    MediaGone: 404,
    ObjectMissing: 404,
    Unavailable: 503,
}
_TOP = re.compile(r"(?P<quality>[a-z0-9]{1,8})\.(?P<form>m3u8|mp4|mp3)|(?P<picture>original|img|thumbnail)\.jpg")
_EXTRA = re.compile(
    r"(?P<waveform>waveform\.(?:json|png))|storyboard/(?P<sheet>\d{1,4})(?:-(?P<mark>[0-9a-f]{8}))?\.jpg"
)
_SLUG = re.compile(r"[A-Za-z0-9]{1,64}")
_HLS = re.compile(r"hls/(?P<quality>[a-z0-9]{1,8})-(?P<mark>[0-9a-f]{8})(?:\.m3u8|/(?P<part>init\.mp4|\d{5,9}\.m4s))")
_GONE = "This medium is not available: the work is not published, or has no such rendition."
_AWAY = "The media can't be read for the moment; try again in a few seconds."
_PLAYLIST = "application/vnd.apple.mpegurl"
_FILE_TYPES: dict[FileKind, str] = {"mp4": "video/mp4", "mp3": "audio/mpeg"}
# What is named can't change, but a shared cache would go on serving works that were deleted.
_IMMUTABLE = "private, max-age=3600, immutable"
_FRESH = "private, no-store"
_PICTURE_CACHING = "private, max-age=300"


class Guarded:
    """Turns a handler into an ASGI application that answers what goes wrong, while reading the object too."""

    def __init__(self, handler: Callable[[Request], Awaitable[Response]]) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] == "OPTIONS":
                response = Response(status_code=204, headers=_PREFLIGHT)
            else:
                response = await self._handler(Request(scope, receive))
            await response(scope, receive, send)
        except DomainError as error:
            await _refusal(error)(scope, receive, send)


def _refusal(error: DomainError) -> Response:
    """Answer an error that came before the first byte of a reply."""
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 503)
    if isinstance(error, ObjectMissing) or status == 503:
        log.error("medium can't be sent", code=error.code, reason=error.message)
    message = _AWAY if status == 503 else _GONE if isinstance(error, ObjectMissing) else error.message
    headers = {**CORS, "Cache-Control": "no-store"} | ({"Retry-After": "5"} if status == 503 else {})
    body = json.dumps({"code": error.code, "message": message}) + "\n"
    return Response(body, status, headers=headers, media_type="application/json")


def _text_response(text: str, content_type: str) -> Response:
    return Response(text, headers={**CORS, "Cache-Control": _FRESH, "Content-Type": content_type})


def delivery_routes(database: Database, store: ObjectStore, signer: AddressSigner, settings: Settings) -> list[Route]:
    """Return the routes of this package."""
    delivery = Delivery(Repository(database), PlayCounter(Works(database)), store, signer, settings)
    return [
        Route("/media/{token}/{slug}/{resource:path}", Guarded(delivery.media), methods=METHODS),
        Route("/pictures/{slug}/{kind}.jpg", Guarded(delivery.picture), methods=METHODS),
    ]


class Delivery:
    """Answers requests for media; what may be seen is asked of the database each time."""

    def __init__(
        self,
        repository: Repository,
        counter: PlayCounter,
        store: ObjectStore,
        signer: AddressSigner,
        settings: Settings,
    ) -> None:
        self._repository = repository
        self._counter = counter
        self._store = store
        self._signer = signer
        self._accel_prefix = settings.accel_prefix
        # Path-absolute addresses in playlists: the simplest players resolve them, whatever host name was used.
        self._path = urlsplit(settings.base("media")).path.rstrip("/")

    async def media(self, request: Request) -> Response:
        """Answer a signed address.

        Raises:
            AddressAltered: the token does not fit.
            AddressExpired: its life is over.
            MediaGone: the work may not be seen, or has no such thing.
            Unavailable: the database or the store is away.

        """
        token, slug, resource = (request.path_params[name] for name in ("token", "slug", "resource"))
        grant = self._signer.verify(token, slug, resource)
        if match := _HLS.fullmatch(resource):
            if grant.kind is Kind.ADDRESS:
                raise MediaGone(_GONE)
            return await self._hls(slug, match, grant.audience)
        if match := _EXTRA.fullmatch(resource):
            return await self._extra(slug, match, grant.audience)
        if grant.kind is not Kind.SEGMENT:
            if resource == STORYBOARD:
                return await self._storyboard(slug, grant, token)
            if match := _TOP.fullmatch(resource):
                return await self._top(request, slug, match, grant)
        raise MediaGone(_GONE)

    async def picture(self, request: Request) -> Response:
        """Answer the lasting address of a picture of a published work.

        Raises:
            MediaGone: the work is not published or has no such picture.
            Unavailable: the database or the store is away.

        """
        slug, kind = request.path_params["slug"], request.path_params["kind"]
        return await self._picture(slug, kind, EVERYBODY)

    async def _top(self, request: Request, slug: str, match: re.Match[str], grant: Grant) -> Response:
        """Answer what clients are given addresses of: playlists, mp4 files, pictures for reviewers."""
        if match["picture"]:
            return await self._picture(slug, match["picture"], grant.audience)
        response: Response | None = None
        if match["form"] == "m3u8":
            ladder = await self._repository.ladder(slug, grant.audience)
            response = self._playlist(slug, match["quality"], ladder, grant, request.path_params["token"])
        else:
            kind: FileKind = "mp3" if match["form"] == "mp3" else "mp4"
            if found := await self._repository.file(slug, kind, match["quality"], grant.audience):
                response = self._send(found, _FILE_TYPES[kind])
        if response is None:
            raise MediaGone(_GONE)
        if request.method == "GET" and grant.kind is Kind.ADDRESS:
            await self._counter.count(slug, grant.nonce)
        return response

    def _playlist(self, slug: str, name: str, ladder: Ladder, grant: Grant, token: str) -> Response | None:
        listed = offered(ladder) if name == "master" else of_quality(ladder, name)
        if not listed:
            return None
        base = self._below(slug, grant, token, ladder.duration_ms)
        return _text_response(multivariant_playlist(listed, lambda r: f"{base}/hls/{r.name}.m3u8"), _PLAYLIST)

    async def _storyboard(self, slug: str, grant: Grant, token: str) -> Response:
        """Answer the WebVTT file of the pictures above the seek bar."""
        found = await self._repository.storyboard(slug, grant.audience)
        if found is None:
            raise MediaGone(_GONE)
        base = self._below(slug, grant, token, found.duration_ms)
        mark = mark_of(found.run)
        return _text_response(storyboard_vtt(found, lambda n: f"{base}/storyboard/{n}-{mark}.jpg"), "text/vtt")

    def _below(self, slug: str, grant: Grant, token: str, duration_ms: int) -> str:
        """Tell where things stand that are listed under a token: one that lives for as long as a playback may take."""
        # A reviewer's token covers the whole work; making a new one here would let it live on for ever.
        if grant.kind is not Kind.REVIEW:
            token = self._signer.segments(slug, PLAYBACK_MARGIN + duration_ms // 1000, grant.audience)
        return f"{self._path}/media/{token}/{slug}"

    async def _hls(self, slug: str, match: re.Match[str], audience: Audience) -> Response:
        """Answer what playlists list: media playlists, initialisation sections, segments."""
        name, part = f"{match['quality']}-{match['mark']}", match["part"]
        media_type = "audio/mp4" if match["quality"] == SOUND else "video/mp4"
        if part and part != "init.mp4":
            found = await self._repository.segment(slug, match["quality"], int(part[:-4]), audience)
            if found is None or found[0] != name:
                raise MediaGone(_GONE)
            return self._send(found[1], media_type)
        ladder = await self._repository.ladder(slug, audience)
        rendition = next((r for r in ladder.renditions if r.kind not in _FILE_TYPES and r.name == name), None)
        if rendition is None:
            raise MediaGone(_GONE)
        if part:
            size = (await self._store.stat(rendition.key)).size
            return self._send(StoredObject(rendition.key, size), media_type)
        segments = await self._repository.segments(slug, rendition)
        return _text_response(media_playlist(rendition, segments, f"{name}/"), _PLAYLIST)

    async def _extra(self, slug: str, match: re.Match[str], audience: Audience) -> Response:
        """Answer the waveform, or a sheet of the storyboard."""
        name = match["waveform"] or f"storyboard/{match['sheet']}.jpg"
        found = await self._repository.additional(slug, name, audience)
        if found is None or (match["mark"] and match["mark"] != mark_of(found.run)):
            raise MediaGone(_GONE)
        # A sheet's address changes when it is made anew; the others' don't.
        return self._send(found.item, found.content_type, caching=_IMMUTABLE if match["mark"] else _PICTURE_CACHING)

    async def _picture(self, slug: str, kind: str, audience: Audience) -> Response:
        if kind not in PICTURE_KINDS or not _SLUG.fullmatch(slug):
            raise MediaGone(_GONE)
        found = await self._repository.picture(slug, kind, audience)
        if found is None:
            raise MediaGone(_GONE)
        return self._send(found, "image/jpeg", caching=_PICTURE_CACHING)

    def _send(self, item: StoredObject, content_type: str, *, caching: str = _IMMUTABLE) -> Response:
        return ObjectResponse(
            self._store, item, content_type=content_type, caching=caching, accel_prefix=self._accel_prefix
        )
