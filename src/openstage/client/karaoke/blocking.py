"""`Karaoke` and `KaraokeUser`: the clients for plain threads. All logic is the asyncio ones', run blocking."""

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, BinaryIO

import httpx

from openstage.client.clients import BlockingClient
from openstage.client.exchange import Retry
from openstage.client.karaoke.app import DEFAULT_URL, DOCUMENTED_API_URL, DOCUMENTED_UPLOAD_URL, AsyncKaraoke
from openstage.client.karaoke.models import (
    Access,
    Performance,
    Progress,
    Recording,
    Song,
    Ticket,
    TicketState,
    TicketStatus,
    User,
    UserInfo,
    Work,
    WorkPage,
)
from openstage.client.karaoke.user import AsyncKaraokeUser
from openstage.client.tokens import Tokens, TokenStore
from openstage.client.transport import BlockingTransport, run


class Karaoke(BlockingClient[AsyncKaraoke]):
    """A karaoke platform's interface: an app on it, and its users. One object serves any number of threads.

    Close it, or use it with `with`. Arguments, results and errors are those of `AsyncKaraoke`.

    Args:
        appid: the app's id.
        secret: the app's secret. A device should not have it: give it `app_tokens`, and let the app's server redeem
            codes and refresh users' tokens.
        base_url: address of the server.
        upload_url: address that takes files, if it has one of its own.
        app_tokens: the app's own token, for devices without the secret.
        device_id: what the device calls itself (`Device-ID`).
        token_store: keeps tokens between runs and shares them between processes, such as `FileTokenStore`.
        retry: how often and how patiently a request is tried again.
        timeout: seconds for which a connection, a read or a write may stand still.
        http: an own `httpx` client, for proxies, certificates and the like; stays open when this object is closed.

    Raises:
        ValueError: an address is none, or there is no `appid`.

    """

    def __init__(
        self,
        appid: str,
        secret: str = "",
        base_url: str = DEFAULT_URL,
        *,
        upload_url: str | None = None,
        app_tokens: Tokens | None = None,
        device_id: str = "",
        token_store: TokenStore | None = None,
        retry: Retry | None = None,
        timeout: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(
            AsyncKaraoke(
                appid,
                secret,
                base_url,
                upload_url=upload_url,
                app_tokens=app_tokens,
                device_id=device_id,
                token_store=token_store,
                retry=retry,
                _transport=BlockingTransport(http, timeout),
            )
        )

    @classmethod
    def documented(cls, appid: str, secret: str = "", **options: Any) -> "Karaoke":
        """A client of the hosts that the document names."""
        return cls(appid, secret, DOCUMENTED_API_URL, upload_url=DOCUMENTED_UPLOAD_URL, **options)

    def app_tokens(self) -> Tokens:
        """Give the app's own token; see `AsyncKaraoke.app_tokens`."""
        return run(self._inner.app_tokens())

    def ticket(self, *, scope: str = "", device_name: str = "") -> Ticket:
        """Begin a sign-in by QR code; see `AsyncKaraoke.ticket`."""
        return run(self._inner.ticket(scope=scope, device_name=device_name))

    def ticket_status(self, ticket: Ticket | str) -> TicketStatus:
        """Ask how a sign-in stands; see `AsyncKaraoke.ticket_status`."""
        return run(self._inner.ticket_status(ticket))

    def wait(
        self,
        ticket: Ticket,
        *,
        timeout: float | None = None,
        on_change: Callable[[TicketState], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> str:
        """Wait until a person has decided; gives the code. See `AsyncKaraoke.wait`."""
        return run(self._inner.wait(ticket, timeout=timeout, on_change=on_change, cancelled=cancelled))

    def redeem(self, code: str, *, redirect_uri: str = "", code_verifier: str = "") -> "KaraokeUser":
        """Exchange a code for a user's tokens; see `AsyncKaraoke.redeem`."""
        return KaraokeUser(run(self._inner.redeem(code, redirect_uri=redirect_uri, code_verifier=code_verifier)))

    def sign_in(
        self,
        ticket: Ticket,
        *,
        timeout: float | None = None,
        on_change: Callable[[TicketState], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> "KaraokeUser":
        """Wait until a person has confirmed, and redeem the code; see `AsyncKaraoke.sign_in`."""
        signing_in = self._inner.sign_in(ticket, timeout=timeout, on_change=on_change, cancelled=cancelled)
        return KaraokeUser(run(signing_in))

    def user(self, who: User | str) -> "KaraokeUser":
        """Speak for a user who signed in before; see `AsyncKaraoke.user`."""
        return KaraokeUser(self._inner.user(who))


class KaraokeUser:
    """A user of an app, for plain threads; see `AsyncKaraokeUser`.

    Attributes:
        openid: the person in this app.
        unionid: the person in all apps of the developer; empty if not told.
        scope: what they allowed; empty if not told.

    """

    def __init__(self, user: AsyncKaraokeUser) -> None:
        self._user = user
        self.openid = user.openid
        self.unionid = user.unionid
        self.scope = user.scope

    def __repr__(self) -> str:
        return repr(self._user).removeprefix("Async")

    def tokens(self) -> Tokens:
        """Give tokens that should be good now; see `AsyncKaraokeUser.tokens`."""
        return run(self._user.tokens())

    def upload(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        performance: Performance | None = None,
        *,
        callback_url: str = "",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Recording:
        """Send a recording; see `AsyncKaraokeUser.upload`."""
        return run(self._user.upload(file, performance, callback_url=callback_url, on_progress=on_progress))

    def upload_link(self, url: str, performance: Performance | None = None, *, callback_url: str = "") -> Recording:
        """Have the server fetch a recording; see `AsyncKaraokeUser.upload_link`."""
        return run(self._user.upload_link(url, performance, callback_url=callback_url))

    def work(self, ugc_id: str = "", *, share_id: str = "") -> Work:
        """Ask for one work; see `AsyncKaraokeUser.work`."""
        return run(self._user.work(ugc_id, share_id=share_id))

    def wait(
        self, ugc_id: str, *, timeout: float | None = None, on_change: Callable[[Work], None] | None = None
    ) -> Work:
        """Wait until a work is published; see `AsyncKaraokeUser.wait`."""
        return run(self._user.wait(ugc_id, timeout=timeout, on_change=on_change))

    def play_address(self, ugc_id: str) -> str:
        """Give the address that plays a work; see `AsyncKaraokeUser.play_address`."""
        return run(self._user.play_address(ugc_id))

    def set_access(self, ugc_id: str, access: Access) -> None:
        """Say who may see a work; see `AsyncKaraokeUser.set_access`."""
        run(self._user.set_access(ugc_id, access))

    def delete(self, ugc_id: str) -> None:
        """Delete a work; see `AsyncKaraokeUser.delete`."""
        run(self._user.delete(ugc_id))

    def info(self) -> UserInfo:
        """Ask what the app may know of the person; see `AsyncKaraokeUser.info`."""
        return run(self._user.info())

    def page(self, passback: str = "", *, num: int = 20, openid: str = "") -> WorkPage:
        """List works of a user; see `AsyncKaraokeUser.page`."""
        return run(self._user.page(passback, num=num, openid=openid))

    def works(self, openid: str = "") -> Iterator[Work]:
        """Iterate over works of a user; see `AsyncKaraokeUser.works`."""
        return _each(self._user.works(openid))

    def recommended(self, song_id: str = "") -> Iterator[Work]:
        """Iterate over public works; see `AsyncKaraokeUser.recommended`."""
        return _each(self._user.recommended(song_id))

    def city_works(self, city_id: int = 0) -> Iterator[Work]:
        """Iterate over public works from a city; see `AsyncKaraokeUser.city_works`."""
        return _each(self._user.city_works(city_id))

    def friends_works(self) -> Iterator[Work]:
        """Iterate over what the user's friends show them; see `AsyncKaraokeUser.friends_works`."""
        return _each(self._user.friends_works())

    def feature_songs(self, num: int = 20) -> list[Song]:
        """Ask for songs that the user may like to sing; see `AsyncKaraokeUser.feature_songs`."""
        return run(self._user.feature_songs(num))


def _each(works: AsyncGenerator[Work, None]) -> Iterator[Work]:
    while True:
        try:
            yield run(works.__anext__())
        except StopAsyncIteration:
            return
