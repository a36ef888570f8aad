"""The client: `AsyncKaraoke`, which holds the logic. `Karaoke` is the same on plain threads."""

import math
import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from openstage.client.clients import AsyncClient
from openstage.client.errors import ProtocolError, WaitTimeoutError
from openstage.client.exchange import Retry
from openstage.client.karaoke import wire
from openstage.client.karaoke.errors import SignInError, TicketCancelledError, TicketExpiredError, TicketRefusedError
from openstage.client.karaoke.models import Ticket, TicketState, TicketStatus, User
from openstage.client.karaoke.session import AppSession, UserSession
from openstage.client.karaoke.user import AsyncKaraokeUser
from openstage.client.karaoke.wire import App
from openstage.client.requests import Hosts, Request
from openstage.client.tokens import Tokens, TokenStore
from openstage.client.transport import AsyncioTransport, Transport

DEFAULT_URL: Final = "http://127.0.0.1:8080"
DOCUMENTED_API_URL: Final = "https://api.kg.qq.com"
DOCUMENTED_UPLOAD_URL: Final = "https://f.kg.qq.com"
LONG_POLL: Final = 25
"""Seconds for which the server is asked to keep its answer back until something changes."""
CANCELLABLE_POLL: Final = 2
"""The same where somebody may give up waiting."""


class AsyncKaraoke(AsyncClient):
    """A karaoke platform's interface for asyncio: an app on it, and its users.

    One object serves any number of tasks of one event loop. Close it, or use it with `async with`.

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
        http: httpx.AsyncClient | None = None,
        _transport: Transport | None = None,
    ) -> None:
        if not appid:
            raise ValueError("appid is needed")
        super().__init__(_transport or AsyncioTransport(http, timeout))
        self._api = AppSession(
            self._transport,
            Hosts.parse(base_url, upload_url, None),
            App(appid, secret, device_id),
            tokens=app_tokens,
            store=token_store,
            retry=retry or Retry(),
        )

    @classmethod
    def documented(cls, appid: str, secret: str = "", **options: Any) -> "AsyncKaraoke":
        """A client of the hosts that the document names."""
        return cls(appid, secret, DOCUMENTED_API_URL, upload_url=DOCUMENTED_UPLOAD_URL, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._api.app.appid!r} at {self._api.hosts.api})"

    async def app_tokens(self) -> Tokens:
        """Give the app's own token, which speaks for no user: for devices that shall not have the secret."""
        return await self._api.tokens.current()

    # --- signing in -----------------------------------------------------------------------------------------------

    async def ticket(self, *, scope: str = "", device_name: str = "") -> Ticket:
        """Begin a sign-in: show `qr_url` as a QR code and `user_code` beside it.

        Args:
            scope: what to ask the person for, with blanks between; by default all that the app may ask for.
            device_name: shown to the person, such as `Living room TV`.

        Raises:
            BadClientError, AppNotUsableError: the server doesn't let this app.
            ClientError: the call failed.

        """
        api = self._api

        def request(token: str) -> Request:
            return wire.new_ticket(api.hosts, api.app, token, scope=scope, device_name=device_name)

        if api.app.secret:
            return await api.send(request(""), wire.read_ticket)
        return await api.call(request, wire.read_ticket)

    async def ticket_status(self, ticket: Ticket | str) -> TicketStatus:
        """Ask how a sign-in stands. `wait` does this again and again."""
        return await self._status(_secret_of(ticket))

    async def wait(
        self,
        ticket: Ticket,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the same in both clients
        on_change: Callable[[TicketState], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> str:
        """Wait until a person has decided; gives the code, which `redeem` takes, once, within 5 minutes.

        The server is asked to answer when something changes. One that answers at once is asked every
        `ticket.interval` seconds.

        Args:
            ticket: the sign-in.
            timeout: seconds; None waits until the ticket expires.
            on_change: hears each state, the first one too.
            cancelled: asked every few seconds whether to give up, such as `threading.Event().is_set`.

        Raises:
            TicketRefusedError: the person refused.
            TicketExpiredError: nobody decided in time.
            TicketCancelledError: `cancelled` said so.
            WaitTimeoutError: it took longer than `timeout`.

        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        known: TicketState | None = None
        while True:
            if cancelled is not None and cancelled():
                raise TicketCancelledError("waiting for the person was given up")
            asked = time.monotonic()
            patience = LONG_POLL if cancelled is None else CANCELLABLE_POLL
            status = await self._status(
                ticket.qr_ticket, wait=0 if known is None else int(min(patience, deadline - asked)), known=known
            )
            if status.state != known and on_change is not None:
                on_change(status.state)
            if status.state > TicketState.SCANNED:
                return _code_of(status)
            now = time.monotonic()
            if now >= deadline:
                raise WaitTimeoutError(f"nobody decided within {timeout:g} s")
            if status.state == known:  # it did not wait as it was asked to, or in vain
                await self._api.transport.sleep(min(max(0.0, ticket.interval - (now - asked)), deadline - now))
            known = status.state

    async def _status(self, ticket: str, *, wait: int = 0, known: TicketState | None = None) -> TicketStatus:
        api = self._api
        number = None if known is None else int(known)
        request = wire.ticket_status(api.hosts, api.app, ticket, wait=wait, known=number)
        reply = await api.send(request, wire.read_flat)
        try:
            return TicketStatus.parse(reply)
        except ValueError as error:
            raise ProtocolError(f"{request.call}: the reply's status is none that is known") from error

    async def redeem(self, code: str, *, redirect_uri: str = "", code_verifier: str = "") -> "AsyncKaraokeUser":
        """Exchange a code for a user's tokens; needs the secret. The user's earlier token in this app ends.

        Args:
            code: of a ticket, or of a redirect from `/oauth/authorize`.
            redirect_uri: with a code of a redirect: the address that it was sent to.
            code_verifier: with a code that was asked for with PKCE (RFC 7636).

        Raises:
            CodeInvalidError: it is wrong, used or expired.
            SignInError: there is no secret: the code is for the app's server.
            OutcomeUnknownError: no answer came; the code may be used up, so begin anew.

        """
        if not self._api.app.secret:
            raise SignInError("only who has the app's secret can redeem a code: send it to the app's server")
        optional = {"redirect_uri": redirect_uri, "code_verifier": code_verifier}
        extra = {name: value for name, value in optional.items() if value}
        request = wire.redeem(self._api.hosts, self._api.app, code, **extra)
        return self.user(await self._api.send(request, wire.read_user))

    async def sign_in(
        self,
        ticket: Ticket,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the same in both clients
        on_change: Callable[[TicketState], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> "AsyncKaraokeUser":
        """Wait until a person has confirmed, and redeem the code; see `wait` and `redeem`."""
        return await self.redeem(await self.wait(ticket, timeout=timeout, on_change=on_change, cancelled=cancelled))

    def user(self, who: User | str) -> "AsyncKaraokeUser":
        """Speak for a user who signed in before.

        Args:
            who: the user with tokens, or the openid of one whose tokens are in the store.

        """
        if isinstance(who, str):
            who = User(who, Tokens("", expires_at=0.0))
        session = UserSession(self._api, who.openid, who.tokens if who.tokens.access_token else None)
        if who.tokens.access_token:
            session.tokens.take(who.tokens)
        return AsyncKaraokeUser(session, who)


def _secret_of(ticket: Ticket | str) -> str:
    return ticket if isinstance(ticket, str) else ticket.qr_ticket


def _code_of(status: TicketStatus) -> str:
    if status.state is TicketState.REFUSED:
        raise TicketRefusedError("the person refused")
    if status.state is TicketState.EXPIRED or not status.code:
        raise TicketExpiredError("nobody decided in time, or the code has been used")
    return status.code
