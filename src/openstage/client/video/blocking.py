"""`VideoCloud`: the client for plain threads. All logic is `AsyncVideoCloud`'s, run over a blocking transport."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import httpx

from openstage.client.clients import BlockingClient
from openstage.client.exchange import Retry
from openstage.client.tokens import Tokens, TokenStore
from openstage.client.transport import BlockingTransport, run
from openstage.client.video.cloud import (
    DEFAULT_URL,
    DOCUMENTED_API_URL,
    DOCUMENTED_UPLOAD_URL,
    AsyncVideoCloud,
    FileIds,
    Until,
)
from openstage.client.video.credentials import Grant
from openstage.client.video.models import Addresses, Category, Page, Progress, State, Status, Video
from openstage.client.video.uploading import Framing


class VideoCloud(BlockingClient[AsyncVideoCloud]):
    """The video cloud's interface. One object serves any number of threads.

    Close it, or use it with `with`. Arguments, results and errors are those of `AsyncVideoCloud`.

    Args:
        client_id: the app's id.
        client_secret: the app's secret; may be missing where `tokens` are given.
        base_url: address of the server.
        upload_url: address of the role that takes bytes (`/openupload` …), if it has one of its own.
        api_url: address of the open API (`/api/…`), if it has one of its own.
        grant: for whom the app speaks: `App()`, `Enterprise()`, `Person(uid)` or `Partner(ouid, nick)`.
        tokens: tokens that were issued before; used until they end, then refreshed.
        token_store: keeps tokens between runs, such as `FileTokenStore`.
        framing: how pieces are sent: `raw`, or `multipart` for servers that take only forms.
        retry: how often and how patiently a request is tried again.
        timeout: seconds for which a connection, a read or a write may stand still.
        http: an own `httpx` client, for proxies, certificates and the like; stays open when this object is closed.

    Raises:
        ValueError: an address is none, or there are neither credentials nor tokens.

    """

    def __init__(
        self,
        client_id: str = "",
        client_secret: str = "",
        base_url: str = DEFAULT_URL,
        *,
        upload_url: str | None = None,
        api_url: str | None = None,
        grant: Grant | None = None,
        tokens: Tokens | None = None,
        token_store: TokenStore | None = None,
        framing: Framing = "raw",
        retry: Retry | None = None,
        timeout: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(
            AsyncVideoCloud(
                client_id,
                client_secret,
                base_url,
                upload_url=upload_url,
                api_url=api_url,
                grant=grant,
                tokens=tokens,
                token_store=token_store,
                framing=framing,
                retry=retry,
                _transport=BlockingTransport(http, timeout),
            )
        )

    @classmethod
    def documented(
        cls, client_id: str, client_secret: str, *, grant: Grant | None = None, **options: Any
    ) -> "VideoCloud":
        """A client of the hosts that the document names, with pieces framed as it says."""
        return cls(
            client_id,
            client_secret,
            upload_url=DOCUMENTED_UPLOAD_URL,
            api_url=DOCUMENTED_API_URL,
            grant=grant,
            **{"framing": "multipart", **options},
        )

    def authorise(self) -> Tokens:
        """Make sure there is a good token, and give it; see `AsyncVideoCloud.authorise`."""
        return run(self._inner.authorise())

    def upload(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        *,
        title: str | None = None,
        description: str = "",
        tags: Iterable[str] = (),
        category: Category | int | None = None,
        piece_size: int | None = None,
        parallel: int = 3,
        on_progress: Callable[[Progress], None] | None = None,
        resume: bool | str | os.PathLike[str] = True,
    ) -> Video:
        """Upload a file in parallel pieces, going on where an earlier run stopped; see `AsyncVideoCloud.upload`.

        `on_progress` is called in the threads that send, one at a time.
        """
        return run(
            self._inner.upload(
                file,
                title=title,
                description=description,
                tags=tags,
                category=category,
                piece_size=piece_size,
                parallel=parallel,
                on_progress=on_progress,
                resume=resume,
            )
        )

    def cancel(self, file_id: str) -> None:
        """Give an unfinished upload up; see `AsyncVideoCloud.cancel`."""
        run(self._inner.cancel(file_id))

    def status(self, file_id: str) -> Status:
        """Ask how far a video is; see `AsyncVideoCloud.status`."""
        return run(self._inner.status(file_id))

    def wait(
        self,
        file_id: str,
        until: Until = State.PUBLISHED,
        *,
        timeout: float | None = None,
        on_change: Callable[[Status], None] | None = None,
    ) -> Status:
        """Ask again and again until a video is in a state; see `AsyncVideoCloud.wait`."""
        return run(self._inner.wait(file_id, until, timeout=timeout, on_change=on_change))

    def list(self, *, page: int = 1, page_size: int = 20, file_ids: FileIds = ()) -> Page:
        """List published videos; see `AsyncVideoCloud.list`."""
        return run(self._inner.list(page=page, page_size=page_size, file_ids=file_ids))

    def videos(self, file_ids: FileIds = ()) -> Iterator[Video]:
        """Iterate over all published videos; see `AsyncVideoCloud.videos`."""
        videos = self._inner.videos(file_ids)
        while True:
            try:
                yield run(videos.__anext__())
            except StopAsyncIteration:
                return

    def count(self) -> int:
        """Count the user's videos; see `AsyncVideoCloud.count`."""
        return run(self._inner.count())

    def video(self, file_id: str) -> Video:
        """Ask for one video; see `AsyncVideoCloud.video`."""
        return run(self._inner.video(file_id))

    def addresses(self, file_id: str) -> Addresses:
        """Ask where a video can be played; see `AsyncVideoCloud.addresses`."""
        return run(self._inner.addresses(file_id))

    def download_address(self, file_id: str) -> str:
        """Ask for an address to download the video from; see `AsyncVideoCloud.download_address`."""
        return run(self._inner.download_address(file_id))

    def delete(self, file_ids: FileIds) -> None:
        """Delete videos; see `AsyncVideoCloud.delete`."""
        run(self._inner.delete(file_ids))

    def delete_all(self, *, confirm: bool) -> None:
        """Delete every video of this user; see `AsyncVideoCloud.delete_all`."""
        run(self._inner.delete_all(confirm=confirm))
