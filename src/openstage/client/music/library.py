"""The client: `AsyncMusicLibrary`, which holds the logic. `MusicLibrary` is the same on plain threads."""

import datetime as dt
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import httpx

from openstage import certificate_file
from openstage.certificate_file import Verdict
from openstage.client.clients import AsyncClient
from openstage.client.clock import Clock
from openstage.client.exchange import Exchange, Retry
from openstage.client.music import models, wire
from openstage.client.music.downloading import Download
from openstage.client.music.errors import CertificateError, ClockError
from openstage.client.music.models import (
    Bought,
    Categories,
    Progress,
    Purchase,
    PurchaseDetail,
    PurchasePage,
    Track,
    TrackDetail,
    TrackPage,
)
from openstage.client.requests import Hosts, Reply, Request
from openstage.client.transport import AsyncioTransport, Transport

T = TypeVar("T")
DEFAULT_URL: Final = "http://127.0.0.1:8080"
KEYS_PATH: Final = "/.well-known/openstage-certificate-keys.json"
Sort = Literal["relevance", "newest", "heat", "duration", "-duration", "bpm", "-bpm"]
When = dt.datetime | dt.date | str


class AsyncMusicLibrary(AsyncClient):
    """A music library's interface for asyncio. One object serves any number of tasks of one event loop.

    Close it, or use it with `async with`.

    Args:
        client_id: the app's id.
        client_secret: the app's secret; it signs requests and is never sent.
        base_url: address of the server.
        prefix: what stands before `/audio/…` on this server.
        repeats_purchases: whether the server takes a purchase with the same `request_id` for the same one, as Openstage
            does; else a purchase whose answer got lost raises OutcomeUnknownError instead of being sent again.
        retry: how often and how patiently a request is tried again.
        timeout: seconds for which a connection, a read or a write may stand still.
        http: an own `httpx` client, for proxies, certificates and the like; stays open when this object is closed.

    Raises:
        ValueError: the address is none, or there are no credentials.

    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        base_url: str = DEFAULT_URL,
        *,
        prefix: str = "/plus",
        repeats_purchases: bool = True,
        retry: Retry | None = None,
        timeout: float = 60.0,
        http: httpx.AsyncClient | None = None,
        _transport: Transport | None = None,
    ) -> None:
        if not (client_id and client_secret):
            raise ValueError("client_id and client_secret are needed")
        super().__init__(_transport or AsyncioTransport(http, timeout))
        self._base = Hosts.parse(base_url, None, None).api
        self._app = wire.App(client_id, client_secret, self._base + prefix.rstrip("/"))
        self._exchange = Exchange(self._transport, retry or Retry())
        self._repeats_purchases = repeats_purchases
        self._clock = Clock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._app.client_id!r} at {self._app.base})"

    # --- finding --------------------------------------------------------------------------------------------------
    async def categories(self) -> Categories:
        """Ask for what tracks are sorted by."""
        names = ("genres", "moods", "instruments", "bpms", "levels")
        return await self._get(
            "categories", {}, lambda data: Categories(*(models.categories_of(data.get(name)) for name in names))
        )

    async def search(
        self,
        keyword: str = "",
        *,
        genre_id: int | None = None,
        mood_id: int | None = None,
        instrument_id: int | None = None,
        bpm_id: int | None = None,
        duration_from: int | None = None,
        duration_to: int | None = None,
        level_type: int | None = None,
        vhifun: bool = False,
        purchasable: bool = False,
        sort: Sort | None = None,
        page: int = 1,
        per_page: int = 30,
    ) -> TrackPage:
        """Search.

        Args:
            keyword: words, combined with `and`, `or`, `not` and parentheses; empty: everything.
            genre_id: only tracks of it, as `categories` has it; likewise the others.
            mood_id: see above.
            instrument_id: see above.
            bpm_id: a band of tempo.
            duration_from: seconds, included; likewise the end.
            duration_to: see above.
            level_type: a level.
            vhifun: only those that are marked so.
            purchasable: only those that can be bought.
            sort: order; None: the server's, relevance. Openstage's own.
            page: from 1.
            per_page: tracks of a page; 100 at most.

        Raises:
            QueryError: the keyword can't be understood (the message says where), or the page lies too deep.
            ClientError: the call failed.

        """
        parameters = {
            "keyword": keyword, "genre_id": genre_id, "mood_id": mood_id, "instrument_id": instrument_id,
            "bpm_id": bpm_id, "duration_from": duration_from, "duration_to": duration_to, "level_type": level_type,
            "is_vhifun": 1 if vhifun else None, "can_purchase": 1 if purchasable else None, "sort": sort,
            "page": page, "per_page": per_page,
        }  # fmt: skip
        return await self._get("search", parameters, _track_page)

    async def tracks(self, keyword: str = "", **wanted: Any) -> AsyncGenerator[Track, None]:
        """Iterate over everything that a search finds, page by page; arguments are those of `search`."""
        page = int(wanted.pop("page", 1))
        wanted = {"per_page": 100, **wanted}
        while True:
            found = await self.search(keyword, page=page, **wanted)
            for track in found.tracks:
                yield track
            if not found.tracks or found.page * found.per_page >= found.total:
                return
            page += 1

    async def track(self, audio_id: int) -> TrackDetail:
        """Ask for one track and its offers. Raises TrackNotFoundError."""
        return await self._get(
            "detail",
            {"audio_id": audio_id},
            lambda data: TrackDetail(
                models.track_of(data["audio"]), [models.offer_of(each) for each in data.get("permissions", ())]
            ),
        )

    # --- buying ---------------------------------------------------------------------------------------------------
    async def purchase(
        self,
        audio_id: int,
        offer_id: int,
        warrant_name: str,
        *,
        third_user_id: str = "",
        request_id: str | None = None,
    ) -> Bought:
        """Buy a licence, once, however often the request has to be sent.

        Args:
            audio_id: the track.
            offer_id: one of its offers.
            warrant_name: to whom the licence is granted.
            third_user_id: who buys, as your own system names them.
            request_id: your own name for this purchase, such as an order's number: with the same one nothing is ever
                bought twice, not by another process or another day either. None: a new one for this call.

        Raises:
            CreditExceededError: the app may not owe so much.
            OfferError: the track is not sold under this offer.
            RequestReusedError: the `request_id` has bought something else.
            ClientError: the call failed; with the same `request_id` it can be made again.

        """
        parameters = {
            "audio_id": audio_id,
            "permission_id": offer_id,
            "warrant_name": warrant_name,
            "third_user_id": third_user_id,
            "request_id": request_id or uuid.uuid4().hex,
        }
        read = wire.reader(lambda data: Bought(models.integer(data["id"]), models.text(data.get("url"))))
        return await self._call("POST", "purchase", parameters, read)

    async def my_purchases(
        self,
        *,
        begin: When | None = None,
        end: When | None = None,
        downloaded: bool | None = None,
        audio_id: int | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> PurchasePage:
        """Ask for a page of what the app has bought, the newest first.

        Args:
            begin: not before; a time with zone is sent as an instant, one without is the server's local time.
            end: not after.
            downloaded: only those that were, or were not.
            audio_id: only of this track.
            page: from 1.
            per_page: purchases of a page; 100 at most.

        """
        parameters = {
            "begin_at": _written(begin), "end_at": _written(end), "audio_id": audio_id,
            "is_download": None if downloaded is None else 1 if downloaded else 2, "page": page, "per_page": per_page,
        }  # fmt: skip
        return await self._get("my-purchases", parameters, _purchase_page)

    async def purchases(self, **wanted: Any) -> AsyncGenerator[Purchase, None]:
        """Iterate over all that the app has bought, page by page; arguments are those of `my_purchases`."""
        page = int(wanted.pop("page", 1))
        wanted = {"per_page": 100, **wanted}
        while True:
            found = await self.my_purchases(page=page, **wanted)
            for purchase in found.purchases:
                yield purchase
            if not found.purchases or found.page * found.per_page >= found.total:
                return
            page += 1

    async def purchase_detail(self, purchase_id: int) -> PurchaseDetail:
        """Ask for one purchase. Raises PurchaseNotFoundError."""
        return await self._get("purchase-detail", {"purchase_id": purchase_id}, models.purchase_detail_of)

    async def download_address(self, purchase_id: int) -> str:
        """Ask for a fresh address of the file that was bought; it lives for about 10 minutes."""
        return await self._get("purchase-download", {"purchase_id": purchase_id}, lambda data: str(data["url"]))

    async def download(
        self,
        purchase_id: int,
        target: str | os.PathLike[str],
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Path:
        """Download what was bought, in original quality, going on where an earlier run stopped.

        Args:
            purchase_id: the purchase.
            target: a file, or a folder: then the server's name for it is used.
            on_progress: called after each piece.

        Returns:
            Where the file is. It appears there when it is whole and its SHA-256 is the purchase's.

        Raises:
            PurchaseNotFoundError, RefundedError: there is nothing to download.
            DownloadError: what comes is not what was bought.
            ClientError: it could not be fetched; what has come stays for the next run.

        """
        detail = await self.purchase_detail(purchase_id)
        return await Download(
            self._exchange,
            purchase_id,
            Path(target),
            address=lambda: self.download_address(purchase_id),
            sha256=detail.sha256,
            on_progress=on_progress,
        ).run()

    # --- certificates ---------------------------------------------------------------------------------------------
    async def certificate(self, purchase_id: int) -> bytes:
        """Ask for a purchase's certificate, a PDF. Raises PurchaseNotFoundError, RefundedError."""
        return await self._call("GET", "download-warrant", {"purchase_id": purchase_id}, wire.read_pdf)

    async def certificate_keys(self) -> bytes:
        """Ask for the public keys that this server signs certificates with (JSON Web Key Set). Keep them."""
        request = Request("certificate-keys", "GET", self._base + KEYS_PATH)
        return await self._exchange.send(request, wire.read_keys)

    async def _get(self, call: str, parameters: Mapping[str, object], read: Callable[[Any], T]) -> T:
        return await self._call("GET", call, parameters, wire.reader(read))

    async def _call(
        self, method: str, call: str, parameters: Mapping[str, object], read: Callable[[Request, Reply], T]
    ) -> T:
        """Make a call; once more by the server's own clock where ours is off."""
        repeatable = method == "GET" or self._repeats_purchases
        while True:
            request = self._app.request(method, call, parameters, now=self._clock.now(), repeatable=repeatable)
            try:
                return await self._exchange.send(request, self._clock.noting(read))
            except ClockError:
                if not self._clock.correct():
                    raise


def verify_certificate(certificate: bytes, keys: bytes | str | Mapping[str, bytes]) -> Verdict:
    """Verify a certificate, without network.

    Args:
        certificate: the PDF.
        keys: the public keys of the server that it should come from (`certificate_keys`), kept since before.

    Returns:
        Whether it is genuine and unchanged; else why not. `facts` are what it certifies. That a purchase was refunded
        since is told on the page whose address it bears.

    Raises:
        CertificateError: the keys can't be read, or the package that does the arithmetic is missing.

    """
    try:
        known = keys if isinstance(keys, Mapping) else certificate_file.read_keys(keys)
        return certificate_file.verify(certificate, known)
    except certificate_file.BadKeys as error:
        raise CertificateError(str(error)) from error
    except ModuleNotFoundError as error:
        raise CertificateError("verifying needs the package cryptography: pip install 'openstage[verify]'") from error


def _track_page(data: Any) -> TrackPage:
    return TrackPage(
        tracks=[models.track_of(each) for each in data["list"]],
        page=models.integer(data["current_page"]),
        per_page=models.integer(data["per_page"]),
        total=models.integer(data["total"]),
        notice=models.text(data.get("notice")),
    )


def _purchase_page(data: Any) -> PurchasePage:
    return PurchasePage(
        purchases=[models.purchase_of(each) for each in data["list"]],
        page=models.integer(data["current_page"]),
        per_page=models.integer(data["per_page"]),
        total=models.integer(data["total"]),
    )


def _written(when: When | None) -> str | None:
    if isinstance(when, dt.datetime):
        return str(int(when.timestamp())) if when.tzinfo else when.strftime("%Y-%m-%d %H:%M:%S")
    return when.isoformat() if isinstance(when, dt.date) else when
