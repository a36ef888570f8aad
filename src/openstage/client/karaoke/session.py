"""Calls of an app and of its users, with tokens that are good, made again where that helps."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from openstage.client.clock import Clock
from openstage.client.errors import ApiError
from openstage.client.exchange import Exchange, Retry
from openstage.client.karaoke import wire
from openstage.client.karaoke.errors import (
    ClockError,
    ServerError,
    SignInError,
    SignUsedError,
    TokenExpiredError,
    TokenInvalidError,
)
from openstage.client.karaoke.wire import App
from openstage.client.requests import Hosts, Reply, Request
from openstage.client.tokens import TokenKeeper, Tokens, TokenStore
from openstage.client.transport import Transport

T = TypeVar("T")
UNAVAILABLE: Final = 1901


class AppSession:
    """One app at one server."""

    def __init__(
        self,
        transport: Transport,
        hosts: Hosts,
        app: App,
        *,
        tokens: Tokens | None,
        store: TokenStore | None,
        retry: Retry,
    ) -> None:
        self.transport = transport
        self.hosts = hosts
        self.app = app
        self.store = store
        self.clock = Clock()
        self._exchange = Exchange(transport, retry)
        self.tokens = TokenKeeper(f"{app.appid}@{hosts.api} karaoke", tokens, store, transport.lock(), self._authorise)

    async def send(self, request: Request, read: Callable[[Request, Reply], T]) -> T:
        """Send a request and read its reply.

        Raises:
            ClientError: the call failed for good.

        """

        def may_pass(error: ApiError) -> bool:
            return request.repeatable and isinstance(error, ServerError) and error.code == UNAVAILABLE

        return await self._exchange.send(request, read, may_pass=may_pass)

    async def call(self, make: Callable[[str], Request], read: Callable[[Request, Reply], T]) -> T:
        """Make a call with the app's own token, once more with another one if it is refused."""
        return await _call(self.tokens, lambda tokens: self.send(make(tokens.access_token), read))

    async def _authorise(self, _: Tokens | None) -> Tokens:
        if not self.app.secret:
            raise SignInError("the app's own token is needed, and neither one that holds nor the secret was given")
        return await self.send(wire.app_token(self.hosts, self.app), wire.read_tokens)


class UserSession:
    """One user of an app."""

    def __init__(self, app: AppSession, openid: str, tokens: Tokens | None) -> None:
        self.app = app
        self.openid = openid
        key = f"{app.app.appid}@{app.hosts.api} karaoke {openid}"
        self.tokens = TokenKeeper(key, tokens, app.store, app.transport.lock(), self._refresh)

    async def call(self, make: Callable[[Mapping[str, str]], Request], read: Callable[[Request, Reply], T]) -> T:
        """Make a call with the user's token, once more with another one if it is refused.

        Args:
            make: makes the request from the headers that say who asks.
            read: reads the reply.

        """

        async def send(tokens: Tokens) -> T:
            request = make(self.app.app.headers(tokens.access_token, self.openid))
            return await self.app.send(request, read)

        return await _call(self.tokens, send)

    async def user_call(self, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Make a call of `/karaoke/user/v2/` and give its `data`."""
        return await self.call(lambda headers: wire.user_call(self.app.hosts, headers, name, fields), wire.read)

    async def _refresh(self, tokens: Tokens | None) -> Tokens:
        app = self.app
        if tokens is None or not tokens.refresh_token:
            raise SignInError("the user's token has ended, and there is no refresh token: they have to sign in again")
        if not app.app.secret:
            raise SignInError(
                "the user's token has ended, and only who has the app's secret can refresh it: ask the app's server"
            )
        renewed = await self._signed(tokens.refresh_token)
        if renewed.refresh_token:
            return renewed
        return Tokens(renewed.access_token, tokens.refresh_token, renewed.expires_at)  # it is used again and again

    async def _signed(self, refresh_token: str) -> Tokens:
        """Refresh; once more by the server's clock where ours is off, or where another process signed the same."""
        app, again = self.app, True
        while True:
            request = wire.refresh(app.hosts, app.app, self.openid, refresh_token, moment=int(app.clock.now()))
            try:
                return await app.send(request, app.clock.noting(wire.read_tokens))
            except SignUsedError:
                if not again:
                    raise
                again = False
                await app.transport.sleep(1.0)  # another second, another signature
            except ClockError:
                if not app.clock.correct():
                    raise


async def _call(keeper: TokenKeeper, send: Callable[[Tokens], Awaitable[T]]) -> T:
    tokens = await keeper.current()
    try:
        return await send(tokens)
    except (TokenExpiredError, TokenInvalidError):
        renewed = await keeper.replace(tokens)
    return await send(renewed)
