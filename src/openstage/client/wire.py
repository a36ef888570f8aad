"""What goes over the wire: each call of the document as a request made and a reply read, without any I/O."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from openstage.client.credentials import Credentials, Grant, Tokens
from openstage.client.errors import ApiError, ProtocolError, UnreachableError, VideoCloudError, error_for

SUCCESS: Final = "A00000"
SECRET_PARAMETERS: Final = frozenset({"access_token", "refresh_token", "client_secret"})
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

    def redact(self, text: str) -> str:
        """Take the secrets of this request out of a text that the server sent."""
        for name, value in (*self.query.items(), *self.headers.items()):
            if name in SECRET_PARAMETERS and value:
                text = text.replace(value, "REDACTED")
        return text


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes


def read(request: Request, reply: Reply) -> dict[str, Any]:
    """Read a reply's envelope.

    Returns:
        the envelope of a call that succeeded.

    Raises:
        ApiError: the server refused with a code.
        UnreachableError: HTTP says "not now".
        ProtocolError: the reply is not of this interface.

    """
    envelope = _envelope(reply)
    if envelope is not None and envelope.get("code") == SUCCESS and reply.status < 400:
        return envelope
    raise _failure(request, reply, envelope)


def _failure(request: Request, reply: Reply, envelope: dict[str, Any] | None) -> VideoCloudError:
    if envelope is not None and envelope.get("code") not in (None, SUCCESS) and reply.status not in NOT_NOW:
        return _refusal(request, envelope)
    where = f"{request.call} at {request.url}"
    if reply.status in NOT_NOW:
        said = request.redact(str((envelope or {}).get("msg") or "")) or "no reason given"
        return UnreachableError(f"{where}: the server says HTTP {reply.status} ({said})", status=reply.status)
    if 300 <= reply.status < 400:
        target = reply.headers.get("location", "").partition("?")[0]
        return ProtocolError(f"{where}: redirected to {target!r}; use that host's address instead")
    if reply.status == 413 and request.body is not None:
        return ProtocolError(
            f"{where}: a proxy takes no request of {request.body.length} bytes; use a smaller piece_size, or raise its "
            "limit (nginx: client_max_body_size)"
        )
    return ProtocolError(f"{where}: HTTP {reply.status} and no reply of this interface; is the address right?")


def _refusal(request: Request, envelope: Mapping[str, Any]) -> ApiError:
    data = envelope.get("data")
    message = envelope.get("msg") or (data.get("msg") if isinstance(data, dict) else "")
    return error_for(
        str(envelope["code"]),
        call=request.call,
        message=request.redact(str(message or "")),
        data=data if isinstance(data, dict) else None,
    )


def _envelope(reply: Reply) -> dict[str, Any] | None:
    try:
        envelope = json.loads(reply.content)
    except ValueError:
        return None
    return envelope if isinstance(envelope, dict) else None


def text_of(call: str, data: object, name: str) -> str:
    """Give a field that must be there and hold text.

    Raises:
        ProtocolError: it isn't so.

    """
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"{call}: the reply lacks {name!r}")
    return value


# --- tokens -------------------------------------------------------------------------------------------------------


def authorise(hosts: Hosts, credentials: Credentials, grant: Grant) -> Request:
    """Ask for tokens (document, section 2)."""
    query = {"client_id": credentials.client_id, "client_secret": credentials.client_secret, **grant.parameters()}
    return Request("authorize", "GET", hosts.api + grant.path, query=query)


def refresh(hosts: Hosts, client_id: str, refresh_token: str) -> Request:
    """Ask for new tokens in exchange for a refresh token (document, section 3)."""
    query = {"client_id": client_id, "grant_type": "refresh_token", "refresh_token": refresh_token}
    return Request("token", "GET", f"{hosts.api}/api/oauth2/token", query=query)


def read_tokens(request: Request, reply: Reply) -> Tokens:
    """Read tokens, which stand flat (section 3) or under `data` (section 2).

    Raises:
        VideoCloudError: as `read`.

    """
    envelope = _envelope(reply) or {}
    if "access_token" not in envelope or reply.status >= 400:
        envelope = read(request, reply)
    data = envelope if "access_token" in envelope else envelope.get("data")
    access_token = text_of(request.call, data, "access_token")
    try:
        life = float(data.get("expires_in") or 0)  # type: ignore[union-attr]  # text_of has looked
    except (TypeError, ValueError):
        life = 0.0
    refresh_token = data.get("refresh_token") or ""  # type: ignore[union-attr]
    if life <= 0:
        return Tokens(access_token, str(refresh_token))
    return Tokens.issued(access_token, str(refresh_token), life)


# --- uploading ----------------------------------------------------------------------------------------------------


def open_upload(hosts: Hosts, token: str, *, size: int, file_type: str) -> Request:
    """Ask for a file_id (section 1.1)."""
    headers = {"access_token": token, "filetype": file_type, "filesize": str(size)}
    return Request("openupload", "GET", f"{hosts.upload}/openupload", headers=headers)


def describe(
    hosts: Hosts, token: str, file_id: str, *, title: str, description: str, tags: Iterable[str], category: int | None
) -> Request:
    """Set a file's metadata (section 1.5)."""
    query = {"access_token": token, "file_id": file_id, "file_name": title, "description": description}
    if joined := ",".join(tags):
        query["tags"] = joined
    if category is not None:
        query["file_type"] = str(int(category))
    return Request("info", "GET", f"{hosts.api}/api/file/info", query=query)


def send_piece(
    upload_url: str, file_id: str, *, start: int, end: int, size: int, body: Body, content_type: str
) -> Request:
    """Send bytes `start` to `end` (exclusive; the wire's `range` is inclusive) (section 1.2)."""
    headers = {
        "file_id": file_id,
        "range": f"{start}-{end - 1}",
        "file_size": str(size),
        "Content-Type": content_type,
        "Content-Length": str(body.length),
    }
    return Request("upload", "POST", upload_url, headers=headers, body=body)


def finish_upload(hosts: Hosts, token: str, file_id: str) -> Request:
    """Say that everything is sent (section 1.3)."""
    headers = {"access_token": token, "file_id": file_id, "range_finished": "true"}
    return Request("uploadfinish", "POST", f"{hosts.upload}/uploadfinish", headers=headers)


def cancel_upload(hosts: Hosts, token: str, file_id: str) -> Request:
    """Give an upload up (section 1.4)."""
    headers = {"access_token": token, "file_id": file_id, "status": "2"}
    return Request("cancelupload", "POST", f"{hosts.upload}/cancelupload", headers=headers)


def upload_status(hosts: Hosts, token: str, file_id: str) -> Request:
    """Ask what has been received: a call that Openstage adds to the document."""
    query = {"access_token": token, "file_id": file_id}
    return Request("uploadstatus", "GET", f"{hosts.upload}/uploadstatus", query=query)


# --- videos -------------------------------------------------------------------------------------------------------


def file_call(hosts: Hosts, token: str, call: str, **parameters: str) -> Request:
    """Make a call of `/api/file/` (sections 4 to 7)."""
    return Request(call, "GET", f"{hosts.api}/api/file/{call}", query={"access_token": token, **parameters})


def download_address(hosts: Hosts, token: str, file_id: str) -> Request:
    """Ask for an address to download from (not in the document; seen)."""
    query = {"access_token": token, "file_id": file_id}
    return Request("getDownloadUri", "GET", f"{hosts.api}/api/download/getDownloadUri", query=query)


def read_download_address(envelope: Mapping[str, Any]) -> str:
    """Read that address, which stands in `data` itself or under one of the names that servers give it.

    Raises:
        ProtocolError: there is none.

    """
    data = envelope.get("data")
    if isinstance(data, dict):
        data = next((data[name] for name in ("downloadUri", "download_uri", "uri", "url") if data.get(name)), None)
    if not isinstance(data, str) or not data:
        raise ProtocolError("getDownloadUri: the reply holds no address")
    return data
