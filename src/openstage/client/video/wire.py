"""What goes over the wire: each call of the document as a request made and a reply read, without any I/O."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from openstage.client.errors import ApiError, ProtocolError
from openstage.client.requests import NOT_NOW, Body, Hosts, Reply, Request, no_envelope
from openstage.client.tokens import Tokens
from openstage.client.video.credentials import Credentials, Grant
from openstage.client.video.errors import error_for

SUCCESS: Final = "A00000"
SMALLER_PIECES: Final = "use a smaller piece_size, or raise its limit (nginx: client_max_body_size)"


def read(request: Request, reply: Reply) -> dict[str, Any]:
    """Read a reply's envelope.

    Returns:
        the envelope of a call that succeeded.

    Raises:
        ApiError: the server refused with a code.
        UnreachableError: HTTP says "not now".
        ProtocolError: the reply is not of this interface.

    """
    envelope = reply.envelope()
    if envelope is not None and envelope.get("code") == SUCCESS and reply.status < 400:
        return envelope
    if envelope is not None and envelope.get("code") not in (None, SUCCESS) and reply.status not in NOT_NOW:
        raise _refusal(request, envelope)
    raise no_envelope(request, reply, str((envelope or {}).get("msg") or ""), SMALLER_PIECES)


def _refusal(request: Request, envelope: Mapping[str, Any]) -> ApiError:
    data = envelope.get("data")
    message = envelope.get("msg") or (data.get("msg") if isinstance(data, dict) else "")
    return error_for(
        str(envelope["code"]),
        call=request.call,
        message=request.redact(str(message or "")),
        data=data if isinstance(data, dict) else None,
    )


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
    envelope = reply.envelope() or {}
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
