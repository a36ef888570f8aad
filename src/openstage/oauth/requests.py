"""What a request to an endpoint says, and which app it comes from."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from starlette.requests import Request

from openstage.identity.errors import AppNotUsable, UnknownApp
from openstage.identity.models import App
from openstage.identity.service import Identity
from openstage.small_bodies import BodyTooLong, read_whole

LONGEST_BODY: Final = 64 * 1024
BODY_SECONDS: Final = 30.0
MOST_FIELDS: Final = 64


def address_of(request: Request) -> str:
    """Return the client's address, for limits on guesses; empty where there is none (a Unix socket)."""
    return request.client.host if request.client else ""


def parse_fields(text: str) -> dict[str, str]:
    """Return the fields of a query or form; empty ones count as left out (RFC 6749, 3.1).

    Raises:
        InvalidRequestError: one stands twice, or there are too many.

    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace")
    except ValueError as error:
        raise InvalidRequestError("There are too many parameters.") from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise InvalidRequestError("A parameter stands twice.")
        fields[name] = value.replace("\0", "\ufffd")
    return {name: value for name, value in fields.items() if value}


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a request's urlencoded body.

    Raises:
        InvalidRequestError: it isn't one, is too long, takes too long, or a field stands twice.
        ClientDisconnect: the client went away before its end.

    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidRequestError("The body must be application/x-www-form-urlencoded.")
    try:
        body = await read_whole(request.receive, longest=LONGEST_BODY, seconds=BODY_SECONDS)
    except BodyTooLong as error:
        raise InvalidRequestError("The body is too long.") from error
    except TimeoutError as error:
        raise InvalidRequestError("The body took too long to arrive.") from error
    return parse_fields(body.decode("utf-8", "replace"))


def required(fields: Mapping[str, str], name: str) -> str:
    """Return a field; raises InvalidRequestError if it is missing."""
    if name not in fields:
        raise InvalidRequestError(f"{name} is missing.")
    return fields[name]


async def client_of(
    identity: Identity, request: Request, form: Mapping[str, str], *, secret: bool = False, approved: bool = True
) -> App:
    """Return the app that a request comes from: by Basic authentication, by fields of the form, or by its id alone.

    Args:
        identity: where apps are known.
        request: its `Authorization` header.
        form: its body's fields.
        secret: an app that can't keep a secret won't do.
        approved: an app in review, or frozen, won't do.

    Raises:
        InvalidClientError: it has not proved itself.
        InvalidRequestError: it proves itself in two ways at once (RFC 6749, 2.3).
        BadClient: unknown, or a wrong secret.
        AppNotUsable: it isn't approved.
        TooManyGuesses: too many wrong secrets came from this address.

    """
    client_id, client_secret = _basic(request)
    if client_id and form.get("client_secret"):
        raise InvalidRequestError("Send the secret once: in the Authorization header, or in the body.")
    if client_id and form.get("client_id", client_id) != client_id:
        raise InvalidRequestError("client_id is not the one in the Authorization header.")
    client_id = client_id or form.get("client_id", "")
    client_secret = client_secret or form.get("client_secret", "")
    if client_secret:
        app = await identity.authenticate(client_id, client_secret, address=address_of(request))
    else:
        app = await _public(identity, client_id, secret=secret)
    if approved and app.state != "approved":
        raise AppNotUsable(app.state)
    return app


async def _public(identity: Identity, client_id: str, *, secret: bool) -> App:
    try:
        app = await identity.apps.find(client_id) if client_id else None
    except UnknownApp:
        app = None
    if app is None or not app.public or secret or app.state == "deleted":
        raise InvalidClientError("The client must prove itself by its secret.")
    return app


def _basic(request: Request) -> tuple[str, str]:
    if "authorization" not in request.headers:
        return "", ""
    try:
        client_id, client_secret = extract_basic_authorization({"Authorization": request.headers["authorization"]})
    except ValueError as error:  # bytes that are no text
        raise InvalidClientError("The Authorization header can't be read.") from error
    if not client_id or client_secret is None:
        raise InvalidClientError("The Authorization header must be Basic, with client_id and secret.")
    return client_id, client_secret
