"""A user of an app: their recordings, and what they may see of others."""

import os
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from openstage.client.errors import FileChangedError, WaitTimeoutError
from openstage.client.karaoke import wire
from openstage.client.karaoke.errors import FileError, NotPublishedError
from openstage.client.karaoke.form import RecordingForm, sha256_of
from openstage.client.karaoke.models import (
    Access,
    Performance,
    Progress,
    Recording,
    Song,
    User,
    UserInfo,
    Work,
    WorkPage,
    entries_of,
)
from openstage.client.karaoke.session import UserSession
from openstage.client.source import Source
from openstage.client.tokens import Tokens

FIRST_POLL: Final = 0.25
LONGEST_POLL: Final = 5.0
UNPUBLISHED: Final = frozenset({"failed", "refused", "cancelled", "expired"})
"""States of a work from which it won't get published by itself."""
PAGE: Final = 50
"""Works asked for at once by the iterators."""


class AsyncKaraokeUser:
    """A user of an app; got from `AsyncKaraoke.sign_in`, `redeem` or `user`.

    Attributes:
        openid: the person in this app.
        unionid: the person in all apps of the developer; empty if not told.
        scope: what they allowed; empty if not told.

    """

    def __init__(self, session: UserSession, who: User) -> None:
        self._api = session
        self.openid = who.openid
        self.unionid = who.unionid
        self.scope = who.scope
        self._account_type = who.account_type

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.openid!r} of {self._api.app.app.appid!r})"

    async def tokens(self) -> Tokens:
        """Give tokens that should be good now, to be kept for `AsyncKaraoke.user`."""
        return await self._api.tokens.current()

    # --- recordings -----------------------------------------------------------------------------------------------

    async def upload(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        performance: Performance | None = None,
        *,
        callback_url: str = "",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Recording:
        """Send a recording; it can be played as soon as this returns.

        The file is read twice, piece by piece: for its SHA-256, which the server compares, and to be sent. Memory
        stays flat whatever its size.

        Args:
            file: a path, or a seekable binary file object, which is sent from where it stands to its end.
            performance: what is told of it.
            callback_url: hears what becomes of it.
            on_progress: hears how far it is, often. An exception in it ends the upload.

        Raises:
            OSError: the file can't be read.
            ValueError: the file is empty or can't be uploaded at all.
            FileChangedError: the file was written to meanwhile; nothing was stored.
            FileError: the server doesn't take this file.
            OutcomeUnknownError: all was sent and no answer came: look at `works` before you send it again.
            ClientError: the server refused, or could not be reached.

        """
        source = Source(file)
        transport = self._api.app.transport
        try:
            identity = source.identity()
            data = _fields(performance, Path(source.name).name, callback_url)
            data |= {"file_size": source.size, "file_sha": await transport.aside(lambda: sha256_of(source))}
            form = RecordingForm(source, data, on_progress)
            hosts = self._api.app.hosts
            try:
                reply = await self._api.call(
                    lambda headers: wire.upload(hosts, headers, form, form.content_type), wire.read
                )
            except FileError as error:
                if source.changed(identity):
                    raise FileChangedError(f"the file changed while it was being uploaded: {source.name}") from error
                raise
        finally:
            source.close()
        wire.required("ugc_upload_by_file", reply, "ugc_id")
        return Recording.parse(reply)

    async def upload_link(
        self, url: str, performance: Performance | None = None, *, callback_url: str = ""
    ) -> Recording:
        """Have the server fetch a recording from an address; it comes later, and `callback_url` hears of it.

        Args:
            url: http(s) address of the file, which the server can reach and may fetch from.
            performance: what is told of it.
            callback_url: hears what becomes of it.

        Raises:
            AddressError: the server fetches nothing from there.
            OutcomeUnknownError: no answer came: look at `works` before you ask again.
            ClientError: the server refused, or could not be reached.

        """
        name = url.partition("?")[0].partition("#")[0].rpartition("/")[2]
        fields = _fields(performance, name, callback_url) | {"file_url": url}
        reply = await self._api.call(lambda headers: wire.upload_link(self._api.app.hosts, headers, fields), wire.read)
        wire.required("ugc_upload_by_link", reply, "ugc_id")
        return Recording.parse(reply)

    async def work(self, ugc_id: str = "", *, share_id: str = "") -> Work:
        """Ask for one work, the user's own or one that they may see.

        Args:
            ugc_id: the work.
            share_id: the same by its other name.

        Raises:
            WorkNotFoundError: there is none that this user may see.

        """
        named = {"ugc_id": ugc_id} if ugc_id else {"share_id": share_id}
        return Work.parse(await self._api.user_call("get_work_info", named))

    async def wait(
        self,
        ugc_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the same in both clients
        on_change: Callable[[Work], None] | None = None,
    ) -> Work:
        """Ask again and again until a work of the user's own is published, as one that the server fetches.

        Args:
            ugc_id: the work.
            timeout: seconds; None waits for ever.
            on_change: hears the first state and each other one.

        Raises:
            NotPublishedError: it failed or was refused; the message says why.
            WorkNotFoundError: it has been deleted.
            WaitTimeoutError: it took longer than `timeout`.

        """
        deadline = None if timeout is None else time.monotonic() + timeout
        delay, known = FIRST_POLL, ""
        while True:
            work = await self.work(ugc_id)
            if work.state != known:
                delay, known = FIRST_POLL, work.state
                if on_change is not None:
                    on_change(work)
            if work.state == "published":
                return work
            if work.state in UNPUBLISHED:
                raise NotPublishedError(f"work {ugc_id} is {work.state}: {work.reason or 'no reason given'}")
            left = LONGEST_POLL if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(f"work {ugc_id} is {work.state} after {timeout:g} s, not published")
            await self._api.app.transport.sleep(min(delay, left))
            delay = min(LONGEST_POLL, delay * 1.4)

    async def play_address(self, ugc_id: str) -> str:
        """Give an address that plays a work; of one that isn't public it expires, so ask before each playback."""
        return (await self.work(ugc_id)).play_url

    async def set_access(self, ugc_id: str, access: Access) -> None:
        """Say who may see a work; addresses that were given out before obey at once."""
        await self._api.user_call("set_ugc_access", {"ugc_id": ugc_id, "access": int(access)})

    async def delete(self, ugc_id: str) -> None:
        """Delete a work.

        Raises:
            WorkNotFoundError: this user has none of that name.

        """
        await self._api.user_call("del_user_work", {"ugc_id": ugc_id})

    # --- lists ----------------------------------------------------------------------------------------------------

    async def info(self) -> UserInfo:
        """Ask what the app may know of the person."""
        return UserInfo.parse(await self._api.user_call("get_user_info", {}))

    async def page(self, passback: str = "", *, num: int = 20, openid: str = "") -> WorkPage:
        """List works of a user, newest first.

        Args:
            passback: of the page before; empty for the first one.
            num: works per page.
            openid: another user of this app; empty: this one.

        """
        return await self._page("get_user_work", passback, num, **_given(openid=openid))

    def works(self, openid: str = "") -> AsyncGenerator[Work, None]:
        """Iterate over works of a user, newest first, page by page as you go.

        None is left out or told twice when works are added meanwhile.

        Args:
            openid: another user of this app, of whom those are given that this one may see; empty: this one.

        """
        return self._all("get_user_work", **_given(openid=openid))

    def recommended(self, song_id: str = "") -> AsyncGenerator[Work, None]:
        """Iterate over public works, of one song or of all, the most worth hearing first."""
        return self._all("get_recom_work", **_given(song_id=song_id))

    def city_works(self, city_id: int = 0) -> AsyncGenerator[Work, None]:
        """Iterate over public works from a city; 0: where the user lives."""
        return self._all("get_city_work", **_given(city_id=city_id))

    def friends_works(self) -> AsyncGenerator[Work, None]:
        """Iterate over what the user's friends show them."""
        return self._all("get_friend_work")

    async def feature_songs(self, num: int = 20) -> list[Song]:
        """Ask for songs that the user may like to sing, the most fitting first."""
        reply = await self._api.user_call("user_feature_song", {"num": num})
        return [Song.parse(entry) for entry in entries_of(reply, "songs")]

    async def _all(self, call: str, **fields: Any) -> AsyncGenerator[Work, None]:
        passback = ""
        while True:
            page = await self._page(call, passback, PAGE, **fields)
            for work in page:
                yield work
            if not page.has_more or not page.passback or page.passback == passback:
                return
            passback = page.passback

    async def _page(self, call: str, passback: str, num: int, **fields: Any) -> WorkPage:
        return WorkPage.parse(await self._api.user_call(call, {"num": num, "passback": passback, **fields}))


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _fields(performance: Performance | None, file_name: str, callback_url: str) -> dict[str, Any]:
    performance = performance or Performance()
    if not performance.file_name:
        performance = replace(performance, file_name=file_name)
    fields = performance.wire()
    return fields | {"callback_url": callback_url} if callback_url else fields
