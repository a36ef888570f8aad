"""Addresses of the music library: previews, waveforms, and files that were bought.

`/library/<token>/<what>-<number>/<name>`: the token is signed and expires as those of other media do. It is bound to a
track, whose preview and waveforms it opens, or to a purchase and the name of its file. Whether it may still be had is
asked of the database each time.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from openstage.catalogue.errors import UnknownTrack
from openstage.catalogue.models import TrackSummary
from openstage.catalogue.service import Catalogue
from openstage.delivery.errors import MediaGone
from openstage.delivery.models import StoredObject
from openstage.delivery.naming import attachment, file_name
from openstage.delivery.responses import ObjectResponse
from openstage.delivery.routes import METHODS, Guarded
from openstage.delivery.signing import AddressSigner, DerivesKeys
from openstage.licensing.errors import PurchaseRefunded, UnknownPurchase
from openstage.licensing.models import Purchase
from openstage.licensing.service import Licensing
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore

PREVIEW: Final = "preview.mp3"
WAVEFORM: Final = "waveform.png"
WAVEFORM_DATA: Final = "waveform.json"
_TYPES: Final = {PREVIEW: "audio/mpeg", WAVEFORM: "image/png", WAVEFORM_DATA: "application/json"}
_ITEM = re.compile(r"(?P<what>track|purchase)-(?P<number>[1-9]\d{0,18})", re.ASCII)
_CACHING = "private, max-age=600"
_SENT: Final = frozenset({200, 206})
_GONE = "This is not available: the track has been removed, or has no such file."


def library_signer(keys: DerivesKeys, settings: Settings) -> AddressSigner:
    """Make the signer of these addresses, which live as long as `settings.library_address_lifetime` says."""
    return AddressSigner(keys, settings, purpose=b"library addresses", lifetime=settings.library_address_lifetime)


class LibraryAddresses:
    """Makes addresses that live for 10 minutes (a setting), as the document promises."""

    def __init__(self, signer: AddressSigner, settings: Settings) -> None:
        self._signer = signer
        self._base = settings.base("media")

    def of_track(self, track: TrackSummary) -> tuple[str, str, str]:
        """Make fresh addresses of a track's preview, its waveform as a picture, and its waveform as numbers.

        They are empty where it has no file. One token opens all three: pages hold many tracks.
        """
        if not track.has_file:
            return "", "", ""
        item = f"track-{track.id}"
        folder = f"{self._base}/library/{self._signer.address(item, '')}/{item}/"
        return folder + PREVIEW, folder + WAVEFORM, folder + WAVEFORM_DATA

    def download(self, purchase: Purchase) -> str:
        """Make a fresh address of the file that was bought, in original quality."""
        item, name = f"purchase-{purchase.id}", delivered_name(purchase)
        return f"{self._base}/library/{self._signer.address(item, name)}/{item}/{quote(name, safe='')}"


def delivered_name(purchase: Purchase) -> str:
    """Return the name under which a file that was bought is saved."""
    return file_name(purchase.title, purchase.artist, ending=purchase.format)


def library_routes(
    catalogue: Catalogue, licensing: Licensing, store: ObjectStore, signer: AddressSigner, settings: Settings
) -> list[Route]:
    """Return the route of these addresses."""
    library = Library(catalogue, licensing, store, signer, settings)
    return [Route("/library/{token}/{item}/{name}", Guarded(library.file), methods=METHODS)]


class Library:
    """Answers requests for files of the library."""

    def __init__(
        self, catalogue: Catalogue, licensing: Licensing, store: ObjectStore, signer: AddressSigner, settings: Settings
    ) -> None:
        self._catalogue = catalogue
        self._licensing = licensing
        self._store = store
        self._signer = signer
        self._accel_prefix = settings.accel_prefix

    async def file(self, request: Request) -> Response:
        """Answer a signed address.

        Raises:
            AddressAltered: the token does not fit.
            AddressExpired: its life is over.
            MediaGone: the track has been removed, or the purchase refunded.
            Unavailable: the database or the store is away.

        """
        token, item, name = (request.path_params[part] for part in ("token", "item", "name"))
        found = _ITEM.fullmatch(item)
        of_track = found is not None and found["what"] == "track"
        self._signer.verify(token, item, "" if of_track else name)
        if found is None:
            raise MediaGone(_GONE)
        number = int(found["number"])
        return await (self._of_track(number, name) if of_track else self._bought(request, number))

    async def _of_track(self, track_id: int, name: str) -> Response:
        try:
            track = await self._catalogue.track(track_id)
        except UnknownTrack as error:
            raise MediaGone(_GONE) from error
        if track.file is None or name not in _TYPES:
            raise MediaGone(_GONE)
        keys = {
            PREVIEW: track.file.preview_key,
            WAVEFORM: track.file.waveform_png_key,
            WAVEFORM_DATA: track.file.waveform_json_key,
        }
        key = keys[name]
        return self._send(StoredObject(key, (await self._store.stat(key)).size), _TYPES[name])

    async def _bought(self, request: Request, purchase_id: int) -> Response:
        try:
            purchase = await self._licensing.find(purchase_id)
        except UnknownPurchase as error:
            raise MediaGone(_GONE) from error
        if purchase.refunded_at is not None:
            raise MediaGone(PurchaseRefunded().message)
        name = attachment(delivered_name(purchase), plain=f"{purchase.audio_id}.{purchase.format}")
        item = StoredObject(purchase.file.object_key, purchase.file.byte_size)
        response = self._send(item, purchase.file.content_type, disposition=name)
        if request.method != "GET" or purchase.downloaded_at is not None:
            return response
        return _WhenSent(response, lambda: self._licensing.downloaded(purchase_id))

    def _send(self, item: StoredObject, content_type: str, *, disposition: str = "") -> ObjectResponse:
        return ObjectResponse(
            self._store,
            item,
            content_type=content_type,
            caching=_CACHING,
            disposition=disposition,
            accel_prefix=self._accel_prefix,
        )


class _WhenSent(Response):
    """Passes a reply on, and has something noted once there is something to send."""

    def __init__(self, response: Response, note: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._response = response
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _SENT:
                await self._note()
            await send(message)

        await self._response(scope, receive, noting)
