"""Calls that hold a token which is good, and that are tried again where that helps."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from openstage.client import wire
from openstage.client.credentials import Credentials, Grant, Tokens, TokenStore
from openstage.client.errors import (
    ApiError,
    FailedError,
    ServerFailureError,
    TemporarilyUnavailableError,
    TokenExpiredError,
    TokenInvalidError,
    UnreachableError,
    VideoCloudError,
)
from openstage.client.transport import Transport
from openstage.client.wire import Hosts, Reply, Request

T = TypeVar("T")
LONGEST_RETRY_AFTER = 60.0
PASSING_ATTEMPTS = 3
"""Attempts at a call that was refused with a code which may stand for trouble that passes."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a request is tried when no answer comes, or one that says "not now".

    The wait doubles from `first_delay` to `longest_delay` (seconds), shortened by up to a half at random so that
    clients which failed together don't come back together. A `Retry-After` of the server counts if it is longer.
    """

    attempts: int = 8
    first_delay: float = 0.5
    longest_delay: float = 20.0

    def delay(self, attempt: int, retry_after: float = 0.0) -> float:
        """Seconds to wait after the attempt of this number, from 1."""
        delay = min(self.longest_delay, self.first_delay * 2.0 ** (attempt - 1))
        return max(delay * random.uniform(0.5, 1.0), min(retry_after, LONGEST_RETRY_AFTER))  # noqa: S311 - no secret


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
        self.retry = retry
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
            VideoCloudError: the call failed for good.

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
            VideoCloudError: as `wire.read`, and `UnreachableError` when no attempt got an answer.

        """
        return await self._attempt(request, wire.read, attempts=self.retry.attempts if patient else 1)

    async def _attempt(
        self, request: Request, read: Callable[[Request, Reply], T], *, attempts: int | None = None
    ) -> T:
        attempts = attempts or self.retry.attempts
        attempt = 0
        while True:
            attempt += 1
            retry_after = 0.0
            try:
                reply = await self.transport.send(request)
                retry_after = _seconds(reply.headers.get("retry-after"))
                return read(request, reply)
            except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
                raise VideoCloudError(f"{request.call} can't be sent: {request.redact(str(error))}") from None
            except (httpx.TransportError, UnreachableError) as error:
                if attempt >= attempts:
                    raise _unreachable(request, error, attempt) from error
            except ApiError as error:
                if attempt >= min(attempts, PASSING_ATTEMPTS) or not _may_pass(error):
                    raise
            await self.transport.sleep(self.retry.delay(attempt, retry_after))

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
                return await self._attempt(request, wire.read_tokens)
            except ApiError:
                if not self.credentials.client_secret:
                    raise
        if not self.credentials.client_secret:
            raise TokenExpiredError(
                "A21327", call="token", message="no client_secret was given to authorise again with"
            )
        request = wire.authorise(self.hosts, self.credentials, self.grant)
        return await self._attempt(request, wire.read_tokens)


def _may_pass(error: ApiError) -> bool:
    """Whether a refusal may be trouble of the moment: errors come as HTTP 200, a database that is away included."""
    if isinstance(error, FailedError):
        return error.call in ("openupload", "uploadfinish", "authorize")
    return isinstance(error, ServerFailureError | TemporarilyUnavailableError)


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0  # an HTTP date: our own delay will do


def _unreachable(request: Request, error: Exception, attempts: int) -> UnreachableError:
    if isinstance(error, UnreachableError):
        return error
    tried = "once" if attempts == 1 else f"{attempts} times"
    reason = request.redact(str(error)) or type(error).__name__
    return UnreachableError(f"{request.call} at {request.url}, tried {tried}: {reason}")
