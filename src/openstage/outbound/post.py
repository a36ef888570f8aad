"""Sending a message to an address that a user gave."""

import asyncio
import datetime as dt
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpcore

from openstage.outbound.connecting import Outbound
from openstage.outbound.errors import OutboundError, TooSlow
from openstage.settings import Settings

EXCERPT_BYTES: Final = 2048
"""As much of an answer is read; the connection is cut then, however much would come."""
EXCERPT_SECONDS: Final = 3.0
"""For so long the excerpt is waited for; the status has been told by then."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said."""

    status: int
    excerpt: str
    """The beginning of its body, for people; on one line."""
    retry_after: float | None = None
    """Seconds for which it wants to be left alone (RFC 9110, 10.2.3)."""


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float,
    settings: Settings,
    outbound: Outbound | None = None,
) -> Answer:
    """Send a message and return the answer, whatever its status; redirects aren't followed.

    Args:
        url: `http://` or `https://`; every address behind its name is checked before it is called.
        body: what is sent.
        headers: header fields, `content-type` among them.
        seconds: until the status of the answer.
        settings: what the operator allows (`outbound_allow`).
        outbound: makes the connections; None: as the settings say.

    Raises:
        BadAddress: the address isn't one that may be called.
        ForbiddenAddress: it leads into a network that isn't public.
        Unreachable: nobody answers, or the connection broke off.
        TooSlow: the time was over.

    """
    outbound = outbound or Outbound.of(settings)
    target = outbound.check(url)
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout, outbound.request("POST", target, headers, body, silence=seconds) as answer:
            timeout.reschedule(None)  # the status is what matters; the rest has a limit of its own
            return Answer(answer.status, await _excerpt(answer), _retry_after(answer))
    except TimeoutError:
        if not timeout.expired():
            raise
        raise TooSlow(f"{target.origin} did not answer within {seconds:.0f} s.") from None


async def _excerpt(answer: httpcore.Response) -> str:
    received = bytearray()
    try:
        async with asyncio.timeout(EXCERPT_SECONDS):
            async for piece in answer.aiter_stream():
                received += piece
                if len(received) >= EXCERPT_BYTES:
                    break
    except (TimeoutError, OutboundError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
        pass  # it has said what counts
    text = bytes(received[:EXCERPT_BYTES]).decode("utf-8", "replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _retry_after(answer: httpcore.Response) -> float | None:
    for name, value in answer.headers:
        if name.lower() == b"retry-after":
            text = value.decode("latin-1").strip()
            if text.isdecimal():
                return float(text[:9])
            try:
                then = email.utils.parsedate_to_datetime(text)
            except ValueError:
                return None
            return max((then.astimezone(dt.UTC) - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)
    return None
