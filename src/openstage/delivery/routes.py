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
from openstage.delivery.counting import PlayCounter
from openstage.delivery.errors import AddressAltered, AddressExpired, MediaGone
from openstage.delivery.models import PICTURE_KINDS, SOUND, SOUND_ONLY, Rendition, StoredObject
from openstage.delivery.playlists import media_playlist, multivariant_playlist, of_quality
from openstage.delivery.repository import Repository
from openstage.delivery.responses import CORS, ObjectResponse
from openstage.delivery.signing import AddressSigner, Grant, Kind
from openstage.errors import DomainError, Unavailable
from openstage.observability.logs import get_logger
from openstage.settings import Settings
from openstage.storage.errors import ObjectMissing
from openstage.storage.objects import ObjectStore
from openstage.works.service import Works

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
_TOP = re.compile(r"(?P<quality>[a-z0-9]{1,8})\.(?P<form>m3u8|mp4)|(?P<picture>original|img|thumbnail)\.jpg")
_SLUG = re.compile(r"[A-Za-z0-9]{1,64}")
_HLS = re.compile(r"hls/(?P<quality>[a-z0-9]{1,8})-(?P<mark>[0-9a-f]{8})(?:\.m3u8|/(?P<part>init\.mp4|\d{5,9}\.m4s))")
_GONE = "This medium is not available: the work is not published, or has no such rendition."
_AWAY = "The media can't be read for the moment; try again in a few seconds."
_PLAYLIST = "application/vnd.apple.mpegurl"
# What is named can't change, but a shared cache would go on serving works that were deleted.
_IMMUTABLE = "private, max-age=3600, immutable"
_FRESH = "private, no-store"
_PICTURE_CACHING = "private, max-age=300"


class _Guarded:
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


def _playlist_response(text: str) -> Response:
    return Response(text, headers={**CORS, "Cache-Control": _FRESH, "Content-Type": _PLAYLIST})


def delivery_routes(database: Database, store: ObjectStore, signer: AddressSigner, settings: Settings) -> list[Route]:
    """Return the routes of this package."""
    delivery = Delivery(Repository(database), PlayCounter(Works(database)), store, signer, settings)
    return [
        Route("/media/{token}/{slug}/{resource:path}", _Guarded(delivery.media), methods=METHODS),
        Route("/pictures/{slug}/{kind}.jpg", _Guarded(delivery.picture), methods=METHODS),
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
            return await self._hls(slug, match, review=grant.kind is Kind.REVIEW)
        if grant.kind is not Kind.SEGMENT and (match := _TOP.fullmatch(resource)):
            return await self._top(request, slug, match, grant)
        raise MediaGone(_GONE)

    async def picture(self, request: Request) -> Response:
        """Answer the lasting address of a picture of a published work.

        Raises:
            MediaGone: the work is not published or has no such picture.
            Unavailable: the database or the store is away.

        """
        slug, kind = request.path_params["slug"], request.path_params["kind"]
        return await self._picture(slug, kind, review=False)

    async def _top(self, request: Request, slug: str, match: re.Match[str], grant: Grant) -> Response:
        """Answer what clients are given addresses of: playlists, mp4 files, pictures for reviewers."""
        review = grant.kind is Kind.REVIEW
        if match["picture"]:
            return await self._picture(slug, match["picture"], review=review)
        response: Response | None = None
        if match["form"] == "m3u8":
            renditions = await self._repository.renditions(slug, review=review)
            response = self._playlist(slug, match["quality"], renditions, grant, request.path_params["token"])
        elif found := await self._repository.mp4(slug, match["quality"], review=review):
            response = self._send(found, "video/mp4")
        if response is None:
            raise MediaGone(_GONE)
        if request.method == "GET" and grant.kind is Kind.ADDRESS:
            await self._counter.count(slug, grant.nonce)
        return response

    def _playlist(self, slug: str, name: str, renditions: list[Rendition], grant: Grant, token: str) -> Response | None:
        if name == "master" or (name == SOUND_ONLY and all(r.kind != "hls_video" for r in renditions)):
            listed = [r for r in renditions if r.kind != "mp4"]
        else:
            listed = of_quality(renditions, name)
        if not listed:
            return None
        duration = max(r.duration_ms for r in listed) // 1000
        # A reviewer's token covers the whole work; making a new one here would let it live on for ever.
        review = grant.kind is Kind.REVIEW
        token = token if review else self._signer.segments(slug, PLAYBACK_MARGIN + duration)
        return _playlist_response(
            multivariant_playlist(listed, lambda r: f"{self._path}/media/{token}/{slug}/hls/{r.name}.m3u8")
        )

    async def _hls(self, slug: str, match: re.Match[str], *, review: bool) -> Response:
        """Answer what playlists list: media playlists, initialisation sections, segments."""
        name, part = f"{match['quality']}-{match['mark']}", match["part"]
        media_type = "audio/mp4" if match["quality"] == SOUND else "video/mp4"
        if part and part != "init.mp4":
            found = await self._repository.segment(slug, match["quality"], int(part[:-4]), review=review)
            if found is None or found[0] != name:
                raise MediaGone(_GONE)
            return self._send(found[1], media_type)
        renditions = await self._repository.renditions(slug, review=review)
        rendition = next((r for r in renditions if r.kind != "mp4" and r.name == name), None)
        if rendition is None:
            raise MediaGone(_GONE)
        if part:
            size = (await self._store.stat(rendition.key)).size
            return self._send(StoredObject(rendition.key, size), media_type)
        segments = await self._repository.segments(slug, rendition)
        return _playlist_response(media_playlist(rendition, segments, f"{name}/"))

    async def _picture(self, slug: str, kind: str, *, review: bool) -> Response:
        if kind not in PICTURE_KINDS or not _SLUG.fullmatch(slug):
            raise MediaGone(_GONE)
        found = await self._repository.picture(slug, kind, review=review)
        if found is None:
            raise MediaGone(_GONE)
        return self._send(found, "image/jpeg", caching=_PICTURE_CACHING)

    def _send(self, item: StoredObject, content_type: str, *, caching: str = _IMMUTABLE) -> Response:
        return ObjectResponse(
            self._store, item, content_type=content_type, caching=caching, accel_prefix=self._accel_prefix
        )
