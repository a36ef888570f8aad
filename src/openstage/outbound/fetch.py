"""Fetching a file from an address that a user gave, into a sink, within limits."""

import asyncio
import email.message
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import httpcore

from openstage.outbound.addresses import Target
from openstage.outbound.connecting import Outbound
from openstage.outbound.errors import BadAnswer, TooLarge, TooManyRedirects, TooSlow, Unreachable
from openstage.settings import Settings

Sink = Callable[[bytes], Awaitable[object]]
"""Takes the bytes in order, a piece at a time; what it raises ends the fetch and comes out of it."""

STALL_SECONDS: Final = 30.0
MOST_REDIRECTS: Final = 5
MOST_RESUMPTIONS: Final = 8
LONGEST_FILE_NAME: Final = 255
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a file before its first byte."""

    url: str
    """Where it was found, after redirects."""
    byte_size: int | None
    """As its server says; None: it doesn't."""
    content_type: str
    file_name: str
    """As its server calls it (`Content-Disposition`), or the last part of its address; may be empty."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is whole."""

    head: Head
    byte_size: int
    """Bytes that the sink has been given."""


async def fetch(
    url: str,
    sink: Sink,
    *,
    limit_bytes: int,
    seconds: float,
    settings: Settings,
    stall_seconds: float = STALL_SECONDS,
    on_head: Callable[[Head], Awaitable[object]] | None = None,
    outbound: Outbound | None = None,
) -> Fetched:
    """Fetch a file; each redirect and each address behind each name is checked before it is called.

    Nothing is decoded: a server that compresses although it is asked not to has its answer refused, so nothing grows
    here that was counted smaller.

    Args:
        url: `http://` or `https://`.
        sink: takes the bytes in order. A connection that breaks off is taken up again where it broke, if the server
            can; the sink never sees a byte twice.
        limit_bytes: most bytes of the file.
        seconds: for all of it.
        settings: what the operator allows (`outbound_allow`).
        stall_seconds: longest silence of the server.
        on_head: called once, before the first byte; what it raises ends the fetch and comes out of it.
        outbound: makes the connections; None: as the settings say.

    Raises:
        BadAddress: the address, or one it leads on to, isn't one that may be called.
        ForbiddenAddress: it leads into a network that isn't public.
        TooManyRedirects: it leads on more than five times.
        BadAnswer: the server there doesn't give the file; `status` says what it answers.
        Unreachable: nobody answers, or the connection broke off for good.
        TooSlow: the time was over.
        TooLarge: there are more than `limit_bytes`.

    """
    transfer = _Transfer(outbound or Outbound.of(settings), sink, limit_bytes, stall_seconds, on_head)
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            return await transfer.run(url)
    except TimeoutError:
        if not timeout.expired():
            raise
        raise TooSlow(f"The file did not arrive within {seconds:.0f} s.") from None


class _Transfer:
    """One file on its way, over as many connections as it takes."""

    def __init__(
        self,
        outbound: Outbound,
        sink: Sink,
        limit: int,
        silence: float,
        on_head: Callable[[Head], Awaitable[object]] | None,
    ) -> None:
        self._outbound = outbound
        self._sink = sink
        self._limit = limit
        self._silence = silence
        self._on_head = on_head
        self._head: Head | None = None
        self._validator = ""
        """Entity tag, or date, by which the server knows that the file is still the same (RFC 9110, 13.1.5)."""
        self._received = 0

    async def run(self, url: str) -> Fetched:
        resumptions = 0
        while True:
            before = self._received
            try:
                head = await self._once(self._outbound.check(url))
            except Unreachable:
                resumptions += 1
                if self._received == before or not self._validator or resumptions > MOST_RESUMPTIONS:
                    raise
            else:
                return Fetched(head, self._received)

    async def _once(self, target: Target) -> Head:
        """Fetch what is missing, over redirects, until the file is whole or its connection breaks off."""
        for _ in range(MOST_REDIRECTS + 1):
            headers = {"accept-encoding": "identity"}
            if self._received:
                headers |= {"range": f"bytes={self._received}-", "if-range": self._validator}
            async with self._outbound.request("GET", target, headers, silence=self._silence) as answer:
                fields = _fields(answer)
                if answer.status in _REDIRECTS and "location" in fields:
                    target = self._outbound.follow(target, fields["location"])
                    continue
                skipped = self._expect(answer.status, fields)
                head = await self._begin(target, fields)
                await self._receive(answer, skipped)
                return head
        raise TooManyRedirects(f"The address leads on more than {MOST_REDIRECTS} times.")

    def _expect(self, status: int, fields: Mapping[str, str]) -> int:
        """Return how many bytes at the beginning of the answer the sink has had already."""
        if fields.get("content-encoding", "identity").lower() not in {"identity", ""}:
            raise BadAnswer("The server sends the file compressed although it was asked not to.", status)
        if not self._received:
            if status != 200:
                raise BadAnswer(f"The server answers {status} instead of the file.", status)
            return 0
        if status not in {200, 206}:
            raise BadAnswer(f"The connection broke off, and the server answers {status} instead of the rest.", status)
        ranged = _CONTENT_RANGE.fullmatch(fields.get("content-range", ""))
        if status == 206 and ranged and int(ranged[1]) == self._received:
            return 0
        if status == 200 and _validator(fields) == self._validator:
            return self._received
        raise BadAnswer("The file changed while it was fetched.", status)

    async def _begin(self, target: Target, fields: Mapping[str, str]) -> Head:
        if self._head is None:
            length = fields.get("content-length", "")
            size = int(length) if length.isdecimal() else None
            if size is not None and size > self._limit:
                raise TooLarge(f"The file has {size} bytes; at most {self._limit} are taken.")
            head = Head(str(target.url), size, fields.get("content-type", ""), _file_name(target, fields))
            if self._on_head is not None:
                await self._on_head(head)
            self._head = head
            self._validator = _validator(fields)
        return self._head

    async def _receive(self, answer: httpcore.Response, skipped: int) -> None:
        async for piece in answer.aiter_stream():
            fresh = piece[skipped:]
            skipped = max(skipped - len(piece), 0)
            if self._received + len(fresh) > self._limit:
                raise TooLarge(f"The file has more than the {self._limit} bytes that are taken.")
            if fresh:
                await self._sink(fresh)
                self._received += len(fresh)


def _fields(answer: httpcore.Response) -> dict[str, str]:
    """Return the header fields of an answer by lower-case name; of several with one name, the first."""
    fields: dict[str, str] = {}
    for name, value in answer.headers:
        fields.setdefault(name.decode("latin-1").lower(), value.decode("latin-1").strip())
    return fields


def _validator(fields: Mapping[str, str]) -> str:
    tag = fields.get("etag", "")
    return tag if tag.startswith('"') else fields.get("last-modified", "")


def _file_name(target: Target, fields: Mapping[str, str]) -> str:
    message = email.message.Message()
    message["content-disposition"] = fields.get("content-disposition", "").replace("\n", " ").replace("\r", " ")
    name = message.get_filename() or unquote(target.url.path)
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_FILE_NAME]
