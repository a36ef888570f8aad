"""What goes over the wire: each call as a request made and a reply read, without any I/O."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from openstage.client.errors import ProtocolError
from openstage.client.karaoke.errors import error_for
from openstage.client.karaoke.models import Ticket, User, number, text
from openstage.client.requests import NOT_NOW, Body, Content, Hosts, Reply, Request, no_envelope
from openstage.client.tokens import Tokens

RAISE_LIMIT: Final = "raise its limit (nginx: client_max_body_size)"
SECRET_FIELDS: Final = ("secret", "code", "refresh_token", "qr_ticket", "sign")


@dataclass(frozen=True, slots=True)
class App:
    """An app and the device that it runs on; the secret is never shown."""

    appid: str
    secret: str = field(default="", repr=False)
    device_id: str = ""

    def headers(self, token: str, openid: str = "") -> dict[str, str]:
        """Headers of a call: who asks (CONTRACT: `X-Open-ID` is left out with an app's own token)."""
        headers = {"X-Open-Access-Token": token, "X-Open-App-ID": self.appid}
        if openid:
            headers["X-Open-ID"] = openid
        if self.device_id:
            headers["Device-ID"] = self.device_id
        return headers

    def sign(self, moment: int) -> str:
        """Sign a refresh: `md5("KG_" + appid + "_" + ts + "_" + appKey)`."""
        signed = f"KG_{self.appid}_{moment}_{self.secret}"
        return hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()


# --- replies ------------------------------------------------------------------------------------------------------


def read(request: Request, reply: Reply) -> dict[str, Any]:
    """Read a reply's envelope and give its `data`.

    Raises:
        KaraokeError: the server refused with a code.
        UnreachableError: HTTP says "not now".
        ProtocolError: the reply is not of this interface.

    """
    envelope = _checked(request, reply, "code", "msg")
    data = envelope.get("data")
    return data if isinstance(data, dict) else {}


def read_flat(request: Request, reply: Reply) -> dict[str, Any]:
    """Read the reply of a token or QR call, whose fields stand beside `error_code`.

    Raises:
        ClientError: as `read`.

    """
    return _checked(request, reply, "error_code", "error_msg")


def _checked(request: Request, reply: Reply, code_field: str, message_field: str) -> dict[str, Any]:
    envelope = reply.envelope() or {}
    # Either kind of envelope may carry a refusal: a proxy's path or an unknown call answers in the other one.
    fields = ((code_field, message_field), ("code", "msg"), ("error_code", "error_msg"))
    code_field, message_field = next((pair for pair in fields if pair[0] in envelope), fields[0])
    code = int(number(envelope.get(code_field), -1))
    message = request.redact(text(envelope.get(message_field)))
    if reply.status in NOT_NOW or code_field not in envelope or (code == 0 and reply.status >= 400):
        raise no_envelope(request, reply, message, RAISE_LIMIT)
    if code != 0:
        data = envelope.get("data")
        raise error_for(code, call=request.call, message=message, data=data if isinstance(data, dict) else None)
    return envelope


def required(call: str, data: Mapping[str, Any], name: str) -> str:
    """Give a field that must be there and hold text.

    Raises:
        ProtocolError: it isn't so.

    """
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ProtocolError(f"{call}: the reply lacks {name!r}")
    return value.strip()


# --- tokens and tickets -------------------------------------------------------------------------------------------


def _flat(hosts: Hosts, path: str, body: Mapping[str, Any], *, repeatable: bool = True, **options: Any) -> Request:
    return Request(
        path.rpartition("/")[2],
        "POST",
        hosts.api + path,
        body=Content.json(body),
        secrets=[str(body[name]) for name in SECRET_FIELDS if body.get(name)],
        repeatable=repeatable,
        **{"headers": JSON, **options},
    )


JSON: Final = {"Content-Type": "application/json"}


def app_token(hosts: Hosts, app: App) -> Request:
    """Ask for the app's own token."""
    body = {"appid": app.appid, "secret": app.secret, "grant_type": "client_credential"}
    return _flat(hosts, "/api/v2/getToken", body)


def redeem(hosts: Hosts, app: App, code: str, **extra: str) -> Request:
    """Exchange a code for a user's tokens; a code works once, so this is not repeated."""
    body = {"appid": app.appid, "secret": app.secret, "code": code, "grant_type": "authorization_code", **extra}
    return _flat(hosts, "/oauth/v2/access_token", body, repeatable=False)


def refresh(hosts: Hosts, app: App, openid: str, refresh_token: str, *, moment: int) -> Request:
    """Ask for another access token of a user; `moment`: now at the server, in seconds since the epoch."""
    body = {
        "appid": app.appid,
        "openid": openid,
        "refresh_token": refresh_token,
        "ts": moment,
        "sign": app.sign(moment),
    }
    return _flat(hosts, "/oauth/v2/refresh_token", body)


def read_tokens(request: Request, reply: Reply) -> Tokens:
    """Read tokens; there is a refresh token where one is given."""
    return tokens_of(request.call, read_flat(request, reply))


def tokens_of(call: str, fields: Mapping[str, Any]) -> Tokens:
    """Read tokens of a reply's fields."""
    access_token, refresh_token = required(call, fields, "access_token"), text(fields.get("refresh_token"))
    life = number(fields.get("expires_in"))
    return Tokens.issued(access_token, refresh_token, life) if life > 0 else Tokens(access_token, refresh_token)


def read_user(request: Request, reply: Reply) -> User:
    """Read the reply of `access_token`."""
    fields = read_flat(request, reply)
    return User(
        openid=required(request.call, fields, "openid"),
        tokens=tokens_of(request.call, fields),
        unionid=text(fields.get("unionid")),
        scope=text(fields.get("scope")),
        account_type=text(fields.get("orig_acnt_type")),
    )


def new_ticket(hosts: Hosts, app: App, token: str, *, scope: str, device_name: str) -> Request:
    """Begin a sign-in by QR code: with the app's secret, or with a token of the app where there is no secret."""
    body = {"appid": app.appid, "scope": scope, "device_id": app.device_id, "device_name": device_name}
    if not token:
        return _flat(hosts, "/oauth/v2/light_qr", {**body, "secret": app.secret})
    return _flat(hosts, "/oauth/v2/light_qr", body, headers=JSON | app.headers(token))


def read_ticket(request: Request, reply: Reply) -> Ticket:
    """Read the reply of `light_qr`."""
    fields = read_flat(request, reply)
    for name in ("qr_ticket", "qr_url"):
        required(request.call, fields, name)
    return Ticket.parse(fields)


def ticket_status(hosts: Hosts, app: App, ticket: str, *, wait: int = 0, known: int | None = None) -> Request:
    """Ask how a ticket stands; with `wait`, when that changes from `known`, or after so many seconds."""
    body: dict[str, Any] = {"appid": app.appid, "qr_ticket": ticket}
    if wait:
        body |= {"wait": wait, "status": known}
    return _flat(hosts, "/oauth/v2/light_qr_stat", body, patience=float(wait))


# --- works --------------------------------------------------------------------------------------------------------


def user_call(hosts: Hosts, headers: Mapping[str, str], name: str, fields: Mapping[str, Any]) -> Request:
    """Make a call of `/karaoke/user/v2/`."""
    url = f"{hosts.api}/karaoke/user/v2/{name}"
    return Request(name, "POST", url, headers=JSON | dict(headers), body=Content.json(fields))


def upload(hosts: Hosts, headers: Mapping[str, str], form: Body, content_type: str) -> Request:
    """Send a recording's file."""
    return Request(
        "ugc_upload_by_file",
        "POST",
        f"{hosts.upload}/karaoke/file/v2/ugc_upload_by_file",
        headers={**headers, "Content-Type": content_type, "Content-Length": str(form.length)},
        body=form,
        repeatable=False,
    )


def upload_link(hosts: Hosts, headers: Mapping[str, str], fields: Mapping[str, Any]) -> Request:
    """Have the server fetch a recording."""
    return Request(
        "ugc_upload_by_link",
        "POST",
        f"{hosts.api}/karaoke/file/v2/ugc_upload_by_link",
        headers=JSON | dict(headers),
        body=Content.json(fields),
        repeatable=False,
    )
