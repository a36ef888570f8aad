"""Where a call's parameters come from: HTTP headers, query string, urlencoded form or multipart fields, mixed freely.

The first place that has a non-empty value wins, in that order. Nothing here raises on garbage: what can't be read
counts as missing, and each call says which of its parameters it needs. Only what is out of all proportion is refused.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from openstage.dialects.multipart import MultipartBroken, MultipartScanner, PartBegin, PartEnd, declared_boundary
from openstage.dialects.video.errors import BadInput
from openstage.small_bodies import BodyTooLong, read_whole

LONGEST_BODY: Final = 512 * 1024
"""Bytes of a body that holds nothing but parameters; to take it apart holds up everybody else."""
MOST_FIELDS: Final = 256
"""Fields of a query or of a body; no call knows more than a handful."""
BODY_SECONDS: Final = 60.0
"""Time in which a body of parameters must have arrived."""
LARGEST_INTEGER: Final = 2**63 - 1

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")

Pairs = Iterable[tuple[str, str]]


class Parameters:
    """A call's parameters. Names are looked up without regard to case in headers, exactly elsewhere."""

    def __init__(self, headers: Pairs = (), query: Pairs = (), form: Pairs = ()) -> None:
        """Gather parameters from the three places, in the order in which they count."""
        self._headers: dict[str, str] = {}
        self._fields: dict[str, str] = {}
        self._named: set[str] = set()
        for name, value in headers:
            self._named.add(name.lower())
            _keep_first(self._headers, name.lower(), value)
        for name, value in (*query, *form):
            self.add_field(name, value)

    def add_field(self, name: str, value: str) -> None:
        """Add a form field that came later; what is known already stays."""
        self._named.add(name)
        _keep_first(self._fields, name, value)

    def has(self, name: str) -> bool:
        """Whether the parameter was sent, be it empty."""
        return name in self._named

    def text(self, name: str, default: str = "") -> str:
        """Value as text, without blanks at its ends; `default` if missing or empty."""
        return self._headers.get(name.lower()) or self._fields.get(name) or default

    def integer(self, name: str, default: int | None = None) -> int | None:
        """Value as a number; `default` if missing, empty or no number of 64 bits."""
        text = self.text(name)
        if not _INTEGER.fullmatch(text):
            return default
        value = int(text)
        return value if abs(value) <= LARGEST_INTEGER else default

    def exact_integer(self, name: str) -> int | None:
        """Value as a number; None if missing or empty.

        Raises:
            BadInput: there is a value, but no number.

        """
        if not self.text(name):
            return None
        value = self.integer(name)
        if value is None:
            raise BadInput(f"{name} must be a number.")
        return value

    def required(self, name: str) -> str:
        """Value as text.

        Raises:
            BadInput: it is missing or empty.

        """
        value = self.text(name)
        if not value:
            raise BadInput(f"{name} is missing.")
        return value


def _keep_first(values: dict[str, str], name: str, value: str) -> None:
    value = value.strip().replace("\0", "\ufffd")  # no text column holds a NUL
    if value and name not in values:
        values[name] = value


def decode(value: bytes) -> str:
    """Text of raw bytes: UTF-8; what isn't becomes U+FFFD."""
    return value.decode("utf-8", "replace")


def parse_urlencoded(data: bytes) -> list[tuple[str, str]]:
    """Pairs of a query string or form: percent-encoded or raw UTF-8, `+` for a space, anything else as it is.

    Raises:
        BadInput: there are more than `MOST_FIELDS`.

    """
    pairs = []
    fields = data.split(b"&", MOST_FIELDS)
    _require_few(len(fields))
    for field in fields:
        name, _, value = field.replace(b"+", b" ").partition(b"=")
        if name:
            pairs.append((decode(unquote_to_bytes(name)), decode(unquote_to_bytes(value))))
    return pairs


def parse_multipart(data: bytes, content_type: str) -> list[tuple[str, str]]:
    """Fields of a whole multipart body, up to where it breaks off or turns into nonsense.

    Raises:
        BadInput: there are more than `MOST_FIELDS`.

    """
    scanner = MultipartScanner(declared_boundary(content_type))
    fields: list[tuple[str, str]] = []
    name, value = "", b""
    try:
        for event in scanner.feed(data):
            if isinstance(event, PartBegin):
                name, value = event.name, b""
            elif isinstance(event, PartEnd):
                fields.append((name, decode(value)))
                if len(fields) > MOST_FIELDS:
                    break
            else:
                value += event
    except MultipartBroken:
        pass
    _require_few(len(fields))
    return fields


def _require_few(fields: int) -> None:
    if fields > MOST_FIELDS:
        raise BadInput(f"More than {MOST_FIELDS} parameters are too many.")


def known_parameters(request: Request) -> Parameters:
    """Parameters that a request has before its body: headers and query."""
    headers = [(name.decode("latin-1"), decode(value)) for name, value in request.scope["headers"]]
    headers += [("access_token", value[7:]) for name, value in headers if name == "authorization" and _is_bearer(value)]
    return Parameters(headers, parse_urlencoded(request.scope.get("query_string", b"")))


def _is_bearer(value: str) -> bool:
    """Whether an `Authorization` header holds a token (RFC 6750, 2.1), which the document knows as `access_token`."""
    return value[:7].lower() == "bearer "


async def read_parameters(request: Request) -> Parameters:
    """All parameters of a request whose body, if any, holds nothing else.

    The body's form is told by its content first: clients name a wrong Content-Type, or none.

    Raises:
        BadInput: the body is longer than `LONGEST_BODY`, there are more than `MOST_FIELDS` fields, or it doesn't
            arrive.
        ClientDisconnect: the client went away before its end.

    """
    parameters = known_parameters(request)
    if not _has_body(request):
        return parameters
    for name, value in parse_body(await _read_body(request), request.headers.get("content-type", "")):
        parameters.add_field(name, value)
    return parameters


def parse_body(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Fields of a body, multipart or urlencoded as its content tells."""
    if not body.strip():
        return []
    if content_type.lower().lstrip().startswith("multipart/") or body.lstrip(b"\r\n").startswith(b"--"):
        return parse_multipart(body, content_type)
    return parse_urlencoded(body.strip())


def _has_body(request: Request) -> bool:
    """Whether a request may have a body: in HTTP/1.1 it says so (RFC 9112, 6.3); most of this dialect's have none."""
    scope = request.scope
    announced = any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
    return announced or scope.get("http_version") not in {"1.0", "1.1"}


async def _read_body(request: Request) -> bytes:
    try:
        return await read_whole(request.receive, longest=LONGEST_BODY, seconds=BODY_SECONDS)
    except BodyTooLong as error:
        raise BadInput(f"The body is too long: parameters may take {LONGEST_BODY} bytes.") from error
    except TimeoutError as error:
        raise BadInput(f"The body took longer than {BODY_SECONDS:g} s to arrive; send the call again.") from error
