"""Calls that hold a token which is good, and that are tried again where that helps."""

from collections.abc import Callable
from typing import Any

from openstage.client.errors import ApiError
from openstage.client.exchange import Exchange, Retry
from openstage.client.requests import Hosts, Request
from openstage.client.tokens import Tokens, TokenStore
from openstage.client.transport import Transport
from openstage.client.video import wire
from openstage.client.video.credentials import Credentials, Grant
from openstage.client.video.errors import (
    FailedError,
    ServerFailureError,
    TemporarilyUnavailableError,
    TokenExpiredError,
    TokenInvalidError,
)


class Session:
    """One app, or one user of it, at one server."""

    def __init__(
        self,
        transport: Transport,
        hosts: Hosts,
        credentials: Credentials,
        grant: Grant,
        *,
        tokens: Tokens | None,
        store: TokenStore | None,
        retry: Retry,
    ) -> None:
        self.transport = transport
        self.hosts = hosts
        self.credentials = credentials
        self.grant = grant
        self._exchange = Exchange(transport, retry)
        self._tokens = tokens
        self._store = store
        self._renewing = transport.lock()

    @property
    def key(self) -> str:
        """Names server, app and user."""
        return f"{self.credentials.client_id}@{self.hosts.api} {self.grant.path} {self.grant.user}".rstrip()

    async def call(self, make: Callable[[str], Request], *, patient: bool = True) -> dict[str, Any]:
        """Make a call that needs a token; renew the token when it nears its end, and once when it is refused.

        Args:
            make: makes the request for an access token.
            patient: whether to try again where that helps.

        Raises:
            ClientError: the call failed for good.

        """
        tokens = await self._current()
        try:
            return await self.exchange(make(tokens.access_token), patient=patient)
        except (TokenExpiredError, TokenInvalidError):
            renewed = await self._renew(tokens)
        return await self.exchange(make(renewed.access_token), patient=patient)

    async def exchange(self, request: Request, *, patient: bool = True) -> dict[str, Any]:
        """Send a request, again where that helps, and read the envelope of its reply.

        Raises:
            ClientError: as `wire.read`, and `UnreachableError` when no attempt got an answer.

        """
        attempts = None if patient else 1
        return await self._exchange.send(request, wire.read, attempts=attempts, may_pass=_may_pass)

    async def tokens(self) -> Tokens:
        """Give tokens that should be good now."""
        return await self._current()

    async def _current(self) -> Tokens:
        tokens = self._tokens
        return tokens if tokens is not None and tokens.fresh else await self._renew(tokens)

    async def _renew(self, stale: Tokens | None) -> Tokens:
        """Replace tokens that are not good; of many that ask at once one does it."""
        async with self._renewing:
            tokens = self._tokens
            if tokens is stale and self._store is not None:
                tokens = self._store.load(self.key) or tokens  # another process may have renewed them
            if tokens is not None and tokens != stale and tokens.fresh:
                self._tokens = tokens
                return tokens
            self._tokens = await self._refresh_or_authorise(tokens or stale)
            if self._store is not None:
                self._store.save(self.key, self._tokens)
            return self._tokens

    async def _refresh_or_authorise(self, tokens: Tokens | None) -> Tokens:
        if tokens is not None and tokens.refresh_token:
            try:
                request = wire.refresh(self.hosts, self.credentials.client_id, tokens.refresh_token)
                return await self._exchange.send(request, wire.read_tokens, may_pass=_may_pass)
            except ApiError:
                if not self.credentials.client_secret:
                    raise
        if not self.credentials.client_secret:
            raise TokenExpiredError(
                "A21327", call="token", message="no client_secret was given to authorise again with"
            )
        request = wire.authorise(self.hosts, self.credentials, self.grant)
        return await self._exchange.send(request, wire.read_tokens, may_pass=_may_pass)


def _may_pass(error: ApiError) -> bool:
    """Whether a refusal may be trouble of the moment: errors come as HTTP 200, a database that is away included."""
    if isinstance(error, FailedError):
        return error.call in ("openupload", "uploadfinish", "authorize")
    return isinstance(error, ServerFailureError | TemporarilyUnavailableError)
