"""Requests exchanged for replies, again where that helps and does no harm."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import httpx

from openstage.client.errors import ApiError, ClientError, OutcomeUnknownError, UnreachableError
from openstage.client.requests import Body, Reply, Request
from openstage.client.transport import Transport

T = TypeVar("T")
LONGEST_RETRY_AFTER: Final = 60.0
PASSING_ATTEMPTS: Final = 3
"""Attempts at a call that was refused with a code which may stand for trouble that passes."""
NOTHING_DONE: Final = frozenset({408, 429, 503})
"""HTTP statuses which say that the server has not begun; behind the others there may be one that has."""


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


@dataclass(frozen=True, slots=True)
class Exchange:
    """Sends requests over a transport."""

    transport: Transport
    retry: Retry

    async def send(
        self,
        request: Request,
        read: Callable[[Request, Reply], T],
        *,
        attempts: int | None = None,
        may_pass: Callable[[ApiError], bool] = lambda _: False,
    ) -> T:
        """Send a request, again where that helps, and read its reply.

        Args:
            request: what is sent.
            read: reads the reply, or raises what it says.
            attempts: at most so many; None: as `retry` says.
            may_pass: whether a refusal may be trouble of the moment.

        Raises:
            UnreachableError: no attempt got an answer.
            OutcomeUnknownError: no answer came to a request that can't be repeated.
            ClientError: what `read` raises.

        """
        attempts = attempts or self.retry.attempts
        attempt = 0
        while True:
            attempt += 1
            retry_after = 0.0
            counted = None if request.repeatable or request.body is None else _Counted(request.body)
            try:
                reply = await self.transport.send(request if counted is None else replace(request, body=counted))
                retry_after = _seconds(reply.headers.get("retry-after"))
                return read(request, reply)
            except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
                raise ClientError(f"{request.call} can't be sent: {request.redact(str(error))}") from None
            except (httpx.TransportError, UnreachableError) as error:
                if counted is not None and not _nothing_done(error, counted):
                    raise _unknown(request, error) from error
                if attempt >= attempts:
                    raise _unreachable(request, error, attempt) from error
            except ApiError as error:
                if attempt >= min(attempts, PASSING_ATTEMPTS) or not may_pass(error):
                    raise
            await self.transport.sleep(self.retry.delay(attempt, retry_after))


class _Counted:
    """A body that knows whether all of it went out."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._sent = 0
        self.length = body.length

    @property
    def whole(self) -> bool:
        return self._sent >= self.length

    def chunks(self) -> Iterator[bytes]:
        self._sent = 0
        return self._body.chunks()

    def sent(self, count: int) -> None:
        self._sent += count
        self._body.sent(count)


def _nothing_done(error: Exception, body: _Counted) -> bool:
    """Whether a server can't have acted on a request whose attempt ended so."""
    if isinstance(error, UnreachableError):
        return error.status in NOTHING_DONE
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout) or not body.whole


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


def _unknown(request: Request, error: Exception) -> OutcomeUnknownError:
    reason = request.redact(str(error)) or type(error).__name__
    status = error.status if isinstance(error, UnreachableError) else None
    return OutcomeUnknownError(
        f"{request.call} at {request.url} was sent whole and got no answer ({reason}): look whether it was done before "
        "you do it again",
        status=status,
    )
