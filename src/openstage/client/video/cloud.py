"""The client: `AsyncVideoCloud`, which holds the logic. `VideoCloud` is the same on plain threads."""

import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import httpx

from openstage.client.clients import AsyncClient
from openstage.client.errors import WaitTimeoutError
from openstage.client.exchange import Retry
from openstage.client.requests import Hosts
from openstage.client.source import Source
from openstage.client.tokens import Tokens, TokenStore
from openstage.client.transport import AsyncioTransport, Transport
from openstage.client.video import wire
from openstage.client.video.credentials import App, Credentials, Grant
from openstage.client.video.errors import VideoNotFoundError, VideoStateError, error_for
from openstage.client.video.journal import Journal, default_folder
from openstage.client.video.models import Addresses, Category, Page, Progress, State, Status, Video
from openstage.client.video.session import Session
from openstage.client.video.uploading import Framing, Options, Upload

DEFAULT_URL: Final = "http://127.0.0.1:8080"
DOCUMENTED_UPLOAD_URL: Final = "http://upload.iqiyi.com"
DOCUMENTED_API_URL: Final = "https://openapi.iqiyi.com"
IDS_PER_CALL: Final = 100
FIRST_POLL: Final = 0.25
LONGEST_POLL: Final = 5.0
FileIds = str | Iterable[str]
Until = State | Literal["published", "whole", "refused", "failed", "cancelled", "gone"]


class AsyncVideoCloud(AsyncClient):
    """The video cloud's interface for asyncio.

    One object serves any number of tasks of one event loop. Close it, or use it with `async with`.

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
        http: httpx.AsyncClient | None = None,
        _transport: Transport | None = None,
    ) -> None:
        if tokens is None and not (client_id and client_secret):
            raise ValueError("client_id and client_secret, or tokens, are needed")
        super().__init__(_transport or AsyncioTransport(http, timeout))
        self._framing: Framing = framing
        self._api = Session(
            self._transport,
            Hosts.parse(base_url, upload_url, api_url),
            Credentials(client_id, client_secret),
            grant or App(),
            tokens=tokens,
            store=token_store,
            retry=retry or Retry(),
        )

    @classmethod
    def documented(
        cls, client_id: str, client_secret: str, *, grant: Grant | None = None, **options: Any
    ) -> "AsyncVideoCloud":
        """A client of the hosts that the document names, with pieces framed as it says."""
        return cls(
            client_id,
            client_secret,
            upload_url=DOCUMENTED_UPLOAD_URL,
            api_url=DOCUMENTED_API_URL,
            grant=grant,
            **{"framing": "multipart", **options},
        )

    def __repr__(self) -> str:
        hosts = self._api.hosts
        where = hosts.api if hosts.api == hosts.upload else f"{hosts.api}, {hosts.upload}"
        return f"{type(self).__name__}({self._api.credentials.client_id!r} at {where})"

    async def authorise(self) -> Tokens:
        """Make sure there is a good token, and give it. Every call does this by itself.

        Raises:
            BadClientError: client_id or client_secret is wrong.
            ClientError: it could not be done.

        """
        return await self._api.tokens()

    # --- uploading ------------------------------------------------------------------------------------------------

    async def upload(
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
        """Upload a file in parallel pieces, and hand it over for publication.

        An upload that ended early, by an error, a kill or a power cut, goes on where it stopped when the same unchanged
        file is uploaded again by the same app and user. Memory stays flat whatever the file's size.

        Args:
            file: a path, or a seekable binary file object (sent from where it stands; never resumed).
            title: the video's name; the file's name if not given.
            description: what it is about.
            tags: words, without commas.
            category: what kind of video it is.
            piece_size: bytes per piece; by default 8 MiB, up to 64 MiB for files above 8 GiB.
            parallel: pieces that are sent at once.
            on_progress: hears how far it is, often and never twice at once. An exception in it ends the upload.
            resume: whether to remember the upload, and where: True for the user's state folder, or a folder.

        Returns:
            the video, whose publication has begun; `wait` for it.

        Raises:
            OSError: the file can't be read.
            ValueError: the file is empty or can't be uploaded at all.
            UploadBusyError: another process uploads this file.
            FileChangedError: the file changed meanwhile.
            ClientError: the server refused, or could not be reached.

        """
        source = Source(file)
        try:
            options = Options(
                title=title or Path(source.name or "video").stem,
                description=description,
                tags=tuple(tag for tag in tags if tag),
                category=category,
                piece_size=piece_size,
                parallel=parallel,
                framing=self._framing,
                on_progress=on_progress,
            )
            folder = default_folder() if resume is True else Path(resume) if resume else None
            with Journal(folder, self._api.key, source.path) as journal:
                return await Upload(self._api, source, journal, options).run()
        finally:
            source.close()

    async def cancel(self, file_id: str) -> None:
        """Give an unfinished upload up: what was sent is dropped, its file_id is worth nothing any more."""
        await self._api.call(lambda token: wire.cancel_upload(self._api.hosts, token, file_id))

    # --- asking ---------------------------------------------------------------------------------------------------

    async def status(self, file_id: str) -> Status:
        """Ask how far a video is. A video that is not there has the state `gone`; that is no error."""
        try:
            reply = await self._call("fullStatus", file_id=file_id)
        except VideoStateError as error:
            reply = {"code": error.code, "msg": error.message, "data": error.data}
        return Status.parse(file_id, reply)

    async def wait(
        self,
        file_id: str,
        until: Until = State.PUBLISHED,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the same in both clients
        on_change: Callable[[Status], None] | None = None,
    ) -> Status:
        """Ask again and again until a video is in a state, at first often and then every 5 seconds.

        Args:
            file_id: the video.
            until: the state to wait for; `whole`: published, and everything made of it.
            timeout: seconds; None waits for ever.
            on_change: hears the first status and each one that tells something else than the one before.

        Raises:
            PublishingFailedError, ReviewRefusedError, UploadCancelledError, VideoNotFoundError: the video ended in
                another state; the error's message holds the server's reason.
            WaitTimeoutError: it took longer than `timeout`.

        """
        whole = until == "whole"
        wanted = State.PUBLISHED if whole else State(until)
        deadline = None if timeout is None else time.monotonic() + timeout
        delay, last = FIRST_POLL, None
        while True:
            status = await self.status(file_id)
            if last is None or status.state != last.state:
                delay = FIRST_POLL
            if on_change is not None and status != last:
                on_change(status)
            # A server that doesn't tell the percentage publishes when everything has been made.
            if status.state == wanted and (not whole or status.percent is None or status.percent >= 100):
                return status
            if status.state.final and status.state != State.PUBLISHED:
                raise error_for(status.code, call="fullStatus", message=status.message)
            last = status
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise WaitTimeoutError(f"video {file_id} is {status.state} after {timeout:g} s, not {until}")
            await self._api.transport.sleep(delay if left is None else min(delay, left))
            delay = min(LONGEST_POLL, delay * 1.4)

    async def list(self, *, page: int = 1, page_size: int = 20, file_ids: FileIds = ()) -> Page:
        """List published videos.

        Args:
            page: number of the page, from 1.
            page_size: videos per page, at most 100.
            file_ids: only these; all of the user's if empty.

        """
        ids = _ids(file_ids)
        parameters = {"page": str(page), "page_size": str(page_size)}
        if ids:
            parameters["file_ids"] = ",".join(ids)
        reply = await self._call("videoListForExternal", **parameters)
        videos = _videos(reply)
        count = reply.get("count")
        return Page(videos, count if isinstance(count, int) else len(videos), page)

    async def videos(self, file_ids: FileIds = ()) -> AsyncGenerator[Video, None]:
        """Iterate over all published videos, or those of `file_ids`, page by page as you go."""
        number, seen = 0, 0
        while True:
            number += 1
            page = await self.list(page=number, page_size=100, file_ids=file_ids)
            for video in page:
                yield video
            seen += len(page)
            if not len(page) or seen >= page.total:
                return

    async def count(self) -> int:
        """Count the user's videos."""
        reply = await self._call("count")
        data = reply.get("data")
        return int(data["count"] if isinstance(data, dict) else reply["count"])

    async def video(self, file_id: str) -> Video:
        """Ask for one video.

        Raises:
            VideoNotFoundError, FailedError: there is none (one code or the other, by the server).

        """
        for video in _videos(await self._call("videoForExternal", file_id=file_id)):
            if video.file_id == file_id:
                return video
        raise VideoNotFoundError("A00003", call="videoForExternal")

    async def addresses(self, file_id: str) -> Addresses:
        """Ask where a video can be played; the addresses expire, so ask before each playback."""
        data = (await self._call("urllist", file_id=file_id)).get("data")
        return Addresses.parse(data if isinstance(data, dict) else {})

    async def download_address(self, file_id: str) -> str:
        """Ask for an address to download the video from."""
        reply = await self._api.call(lambda token: wire.download_address(self._api.hosts, token, file_id))
        return wire.read_download_address(reply)

    # --- deleting -------------------------------------------------------------------------------------------------

    async def delete(self, file_ids: FileIds) -> None:
        """Delete videos; the operator can bring them back for a while.

        Raises:
            VideoNotFoundError, FailedError: none of them is there (one code or the other, by the server).

        """
        ids = _ids(file_ids)
        for start in range(0, len(ids), IDS_PER_CALL):
            await self._call("delete", delete_type="1", file_ids=",".join(ids[start : start + IDS_PER_CALL]))

    async def delete_all(self, *, confirm: bool) -> None:
        """Delete every video of this user.

        Raises:
            ValueError: `confirm` is not True.

        """
        if confirm is not True:
            raise ValueError("delete_all deletes every video of this user: say confirm=True if that is meant")
        await self._call("delete", delete_type="0")

    async def _call(self, call: str, **parameters: str) -> dict[str, Any]:
        return await self._api.call(lambda token: wire.file_call(self._api.hosts, token, call, **parameters))


def _ids(file_ids: FileIds) -> Sequence[str]:
    return [file_ids] if isinstance(file_ids, str) else [str(file_id) for file_id in file_ids]


def _videos(reply: dict[str, Any]) -> tuple[Video, ...]:
    data = reply.get("data")
    entries = data if isinstance(data, list) else [data] if isinstance(data, dict) else []
    return tuple(Video.parse(entry) for entry in entries if isinstance(entry, dict))
