"""The requests of the music library's interface and the reading of its replies; no I/O."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlencode

from openstage.client.errors import ProtocolError
from openstage.client.music.errors import error_for
from openstage.client.requests import Content, Reply, Request, no_envelope

T = TypeVar("T")
FORM: Final = "application/x-www-form-urlencoded"
_EXTENDED = re.compile(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class App:
    """An app at one server."""

    client_id: str
    secret: str = field(repr=False)
    base: str
    """Address up to the calls, such as `http://127.0.0.1:8080/plus`."""

    def request(
        self, method: str, call: str, parameters: Mapping[str, object], *, now: float, repeatable: bool = True
    ) -> Request:
        """Make a signed request; parameters that are None are left out. `now`: seconds of the epoch."""
        fields = signed(self.client_id, self.secret, parameters, now)
        url = f"{self.base}/audio/{call}"
        if method == "GET":
            return Request(call, method, url, query=fields, secrets=(self.secret,))
        body = Content(urlencode(fields).encode())
        headers = {"Content-Type": FORM}
        return Request(call, method, url, headers=headers, body=body, secrets=(self.secret,), repeatable=repeatable)


def signed(client_id: str, secret: str, parameters: Mapping[str, object], now: float) -> dict[str, str]:
    """Return parameters with `client_id`, `nonce_str` and `sign` (docs/signing.md)."""
    fields = {name: str(value) for name, value in parameters.items() if value is not None}
    fields |= {"client_id": client_id, "nonce_str": str(int(now))}
    string = urlencode(sorted(fields.items())) + "&client_secret=" + secret
    fields["sign"] = hashlib.md5(string.encode(), usedforsecurity=False).hexdigest()
    return fields


def reader(read: Callable[[Any], T]) -> Callable[[Request, Reply], T]:
    """Make what reads `data` of a reply with `read`, and raises what a failure says."""

    def read_reply(request: Request, reply: Reply) -> T:
        data = data_of(request, reply)
        try:
            return read(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(
                f"{request.call} at {request.url}: the reply is not as documented ({error!r})"
            ) from error

    return read_reply


def data_of(request: Request, reply: Reply) -> Any:
    """Return `data` of a reply.

    Raises:
        MusicError: the server refused.
        ClientError: it is no reply of this interface.

    """
    envelope = reply.envelope()
    if envelope is None or not isinstance(envelope.get("result"), bool) or reply.status != 200:
        said = str(envelope.get("message", "")) if envelope else ""
        raise no_envelope(request, reply, said, "ask for less at once")
    if envelope["result"]:
        return envelope.get("data")
    code = envelope.get("code")
    message = request.redact(str(envelope.get("message", "")))
    raise error_for(code if isinstance(code, int) else 0, call=request.call, message=message)


def read_pdf(request: Request, reply: Reply) -> bytes:
    """Return a reply that is a PDF; raises as `data_of` does for a refusal."""
    if reply.content.startswith(b"%PDF-"):
        return reply.content
    data_of(request, reply)
    raise ProtocolError(f"{request.call} at {request.url}: the reply is no PDF")


def read_keys(request: Request, reply: Reply) -> bytes:
    """Return the public keys that certificates are signed with, as the server lists them (JSON Web Key Set)."""
    if reply.status != 200 or reply.envelope() is None:
        raise no_envelope(request, reply, "", "")
    return reply.content


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file, from `start`; the whole file has `total`."""

    start: int
    content: bytes
    total: int
    etag: str
    name: str
    """Under which the server would have the file saved; empty: it doesn't say."""


@dataclass(frozen=True, slots=True)
class AddressOver:
    """The address is no longer good; the status says why."""

    status: int


def piece_request(url: str, start: int, length: int, etag: str) -> Request:
    """Ask for a piece of a file, and for all of it where it is another file than the one with this etag."""
    headers = {"Range": f"bytes={start}-{start + length - 1}", "Accept": "*/*", "Accept-Encoding": "identity"}
    if etag:
        headers["If-Range"] = etag
    return Request("download", "GET", url, headers=headers)


def read_piece(request: Request, reply: Reply) -> Piece | AddressOver:
    """Read a piece of a file."""
    etag, name = reply.headers.get("etag", ""), _file_name(reply.headers.get("content-disposition", ""))
    if reply.status == 206:
        found = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", ""))
        if found is None or int(found[2]) - int(found[1]) + 1 != len(reply.content):
            raise ProtocolError(f"{request.call} at {request.url}: the range in the reply is not the one that was sent")
        return Piece(int(found[1]), reply.content, int(found[3]), etag, name)
    if reply.status == 200:
        return Piece(0, reply.content, len(reply.content), etag, name)
    if reply.status == 416 and (found := re.fullmatch(r"bytes \*/(\d+)", reply.headers.get("content-range", ""))):
        return Piece(int(found[1]), b"", int(found[1]), etag, name)
    if reply.status in {401, 403, 404, 410}:
        return AddressOver(reply.status)
    raise no_envelope(request, reply, "", "")


def _file_name(disposition: str) -> str:
    """Read the name off a `Content-Disposition` (RFC 6266), without anything that would lead out of a folder."""
    extended = _EXTENDED.search(disposition)  # wins over the plain one (RFC 6266, 4.3)
    message = Message()
    message["Content-Disposition"] = disposition
    name = unquote(extended[1]) if extended else message.get_filename() or ""
    return name.replace("\\", "/").rpartition("/")[2].strip(". ")
