"""Calls that hold a token which is good, and that are tried again where that helps."""

from collections.abc import Callable
from typing import Any

from openstage.client.errors import ApiError
from openstage.client.exchange import Exchange, Retry
from openstage.client.requests import Hosts, Request
from openstage.client.tokens import TokenKeeper, Tokens, TokenStore
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
        self._tokens = TokenKeeper(self.key, tokens, store, transport.lock(), self._refresh_or_authorise)

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
        tokens = await self._tokens.current()
        try:
            return await self.exchange(make(tokens.access_token), patient=patient)
        except (TokenExpiredError, TokenInvalidError):
            renewed = await self._tokens.replace(tokens)
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
        return await self._tokens.current()

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
