"""HTTP requests and replies as values, without any I/O; what is the same for every interface."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from openstage.client.errors import ClientError, ProtocolError, UnreachableError

SECRET_PARAMETERS: Final = frozenset({"access_token", "refresh_token", "client_secret", "X-Open-Access-Token"})
"""Names of headers and query parameters whose values no message shows."""
NOT_NOW: Final = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request is worth another try."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base addresses of the two roles: moving bytes, and the open API."""

    upload: str
    api: str

    @classmethod
    def parse(cls, base: str, upload: str | None, api: str | None) -> "Hosts":
        """Check the addresses; a role without one of its own is at `base`.

        Raises:
            ValueError: an address is not `http://…` or `https://…`.

        """
        for url in (upload or base, api or base):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"not an address of a server (http://host:port): {url!r}")
        return cls(upload=(upload or base).rstrip("/"), api=(api or base).rstrip("/"))


class Body(Protocol):
    """Bytes to send; can be sent again from the start."""

    @property
    def length(self) -> int:
        """Number of bytes."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Begin (anew) and give the bytes piecemeal; reads from disk, so it may block for a moment."""
        ...

    def sent(self, count: int) -> None:
        """Hear that `count` bytes more have been handed to the network."""
        ...


class Content:
    """A body that is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @classmethod
    def json(cls, value: Any) -> "Content":
        """Write a value as JSON."""
        return cls(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    @property
    def length(self) -> int:
        """Number of bytes."""
        return len(self._content)

    def chunks(self) -> Iterator[bytes]:
        """Give all of it."""
        yield self._content

    def sent(self, count: int) -> None:
        """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; its repr shows nothing that is secret."""

    call: str
    """Last part of the path: names the call in messages and chooses the meaning of codes."""
    method: str
    url: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Body | None = field(default=None, repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    """Parts of the body that no message shows."""
    repeatable: bool = True
    """Whether it may be made again when nobody knows what became of it. One that is not is sent again only if no
    answer can have been lost: no connection came about, or the body was cut short."""
    patience: float | None = None
    """Seconds for which the server may keep its answer back; None: as the transport has it."""

    def redact(self, text: str) -> str:
        """Take the secrets of this request out of a text that the server sent."""
        named = [value for name, value in (*self.query.items(), *self.headers.items()) if name in SECRET_PARAMETERS]
        for value in (*named, *self.secrets):
            if value:
                text = text.replace(value, "REDACTED")
        return text


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes

    def envelope(self) -> dict[str, Any] | None:
        """The JSON object that the reply is; None if it is none."""
        try:
            envelope = json.loads(self.content)
        except ValueError:
            return None
        return envelope if isinstance(envelope, dict) else None


def no_envelope(request: Request, reply: Reply, said: str, advice: str) -> ClientError:
    """Make the error for a reply that is not one of the interface.

    Args:
        request: what was asked.
        reply: what came.
        said: the reason that it gives, if any.
        advice: what to do where a proxy takes no body of this size.

    """
    where = f"{request.call} at {request.url}"
    if reply.status in NOT_NOW:
        reason = request.redact(said) or "no reason given"
        return UnreachableError(f"{where}: the server says HTTP {reply.status} ({reason})", status=reply.status)
    if 300 <= reply.status < 400:
        target = reply.headers.get("location", "").partition("?")[0]
        return ProtocolError(f"{where}: redirected to {target!r}; use that host's address instead")
    if reply.status == 413 and request.body is not None:
        return ProtocolError(f"{where}: a proxy takes no request of {request.body.length} bytes; {advice}")
    return ProtocolError(f"{where}: HTTP {reply.status} and no reply of this interface; is the address right?")
