"""`MusicLibrary`: the client for plain threads. All logic is `AsyncMusicLibrary`'s, run over a blocking transport."""

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from openstage.client.clients import BlockingClient
from openstage.client.exchange import Retry
from openstage.client.music.library import DEFAULT_URL, AsyncMusicLibrary, Sort, When
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
from openstage.client.transport import BlockingTransport, run

T = TypeVar("T")


class MusicLibrary(BlockingClient[AsyncMusicLibrary]):
    """A music library's interface. One object serves any number of threads.

    Close it, or use it with `with`. Arguments, results and errors are those of `AsyncMusicLibrary`.

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
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(
            AsyncMusicLibrary(
                client_id,
                client_secret,
                base_url,
                prefix=prefix,
                repeats_purchases=repeats_purchases,
                retry=retry,
                _transport=BlockingTransport(http, timeout),
            )
        )

    def categories(self) -> Categories:
        """Ask for what tracks are sorted by."""
        return run(self._inner.categories())

    def search(
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
        """Search; see `AsyncMusicLibrary.search`."""
        return run(
            self._inner.search(
                keyword,
                genre_id=genre_id,
                mood_id=mood_id,
                instrument_id=instrument_id,
                bpm_id=bpm_id,
                duration_from=duration_from,
                duration_to=duration_to,
                level_type=level_type,
                vhifun=vhifun,
                purchasable=purchasable,
                sort=sort,
                page=page,
                per_page=per_page,
            )
        )

    def tracks(self, keyword: str = "", **wanted: Any) -> Iterator[Track]:
        """Iterate over everything that a search finds; see `AsyncMusicLibrary.tracks`."""
        return _each(self._inner.tracks(keyword, **wanted))

    def track(self, audio_id: int) -> TrackDetail:
        """Ask for one track and its offers; see `AsyncMusicLibrary.track`."""
        return run(self._inner.track(audio_id))

    def purchase(
        self,
        audio_id: int,
        offer_id: int,
        warrant_name: str,
        *,
        third_user_id: str = "",
        request_id: str | None = None,
    ) -> Bought:
        """Buy a licence, once; see `AsyncMusicLibrary.purchase`."""
        return run(
            self._inner.purchase(audio_id, offer_id, warrant_name, third_user_id=third_user_id, request_id=request_id)
        )

    def my_purchases(
        self,
        *,
        begin: When | None = None,
        end: When | None = None,
        downloaded: bool | None = None,
        audio_id: int | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> PurchasePage:
        """Ask for a page of what the app has bought; see `AsyncMusicLibrary.my_purchases`."""
        return run(
            self._inner.my_purchases(
                begin=begin, end=end, downloaded=downloaded, audio_id=audio_id, page=page, per_page=per_page
            )
        )

    def purchases(self, **wanted: Any) -> Iterator[Purchase]:
        """Iterate over all that the app has bought; see `AsyncMusicLibrary.purchases`."""
        return _each(self._inner.purchases(**wanted))

    def purchase_detail(self, purchase_id: int) -> PurchaseDetail:
        """Ask for one purchase; see `AsyncMusicLibrary.purchase_detail`."""
        return run(self._inner.purchase_detail(purchase_id))

    def download_address(self, purchase_id: int) -> str:
        """Ask for a fresh address of the file; see `AsyncMusicLibrary.download_address`."""
        return run(self._inner.download_address(purchase_id))

    def download(
        self,
        purchase_id: int,
        target: str | os.PathLike[str],
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Path:
        """Download what was bought, going on where an earlier run stopped; see `AsyncMusicLibrary.download`."""
        return run(self._inner.download(purchase_id, target, on_progress=on_progress))

    def certificate(self, purchase_id: int) -> bytes:
        """Ask for a purchase's certificate; see `AsyncMusicLibrary.certificate`."""
        return run(self._inner.certificate(purchase_id))

    def certificate_keys(self) -> bytes:
        """Ask for the public keys of certificates; see `AsyncMusicLibrary.certificate_keys`."""
        return run(self._inner.certificate_keys())


def _each(items: AsyncGenerator[T, None]) -> Iterator[T]:
    while True:
        try:
            yield run(items.__anext__())
        except StopAsyncIteration:
            return
