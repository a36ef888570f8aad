"""A call's parameters: GET in the query, POST as an urlencoded form, nowhere else.

Unlike the video cloud's they are signed, so nothing is guessed: a value that can't be what it should be is refused
with its name, and so is a parameter that stands twice.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from openstage.dialects.music.errors import BadParameter, RepeatedParameter, WrongPlace
from openstage.dialects.music.signature import Pairs
from openstage.small_bodies import BodyTooLong, read_whole

T = TypeVar("T")

LONGEST_BODY: Final = 256 * 1024
MOST_FIELDS: Final = 200
BODY_SECONDS: Final = 30.0
LARGEST: Final = 2**63 - 1
FORM: Final = "application/x-www-form-urlencoded"

KNOWN: Final = frozenset({
    "client_id", "nonce_str", "sign", "keyword", "mood_id", "genre_id", "bpm_id", "instrument_id", "duration_from",
    "duration_to", "level_type", "is_vhifun", "can_purchase", "sort", "page", "per_page", "audio_id", "permission_id",
    "warrant_name", "third_user_id", "request_id", "begin_at", "end_at", "begin_updated_at", "end_updated_at",
    "is_download", "status", "purchase_id",
})  # fmt: skip
"""Parameters that mean something in any call; what else is sent is signed and ignored."""

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_FLAG: Final = {"": False, "0": False, "1": True}


class Parameters:
    """The parameters of one call, as they came and by name. An empty value counts as missing."""

    def __init__(self, pairs: Pairs) -> None:
        """Take pairs in the order in which they came.

        Raises:
            RepeatedParameter: a known one stands twice.

        """
        self.pairs = pairs
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name in self._values and name in KNOWN:
                raise RepeatedParameter(f"{name} stands more than once; send it once.")
            self._values[name] = value

    def text(self, name: str) -> str:
        """Value without blanks at its ends; empty if missing."""
        return self._values.get(name, "").strip()

    def required(self, name: str) -> str:
        """Value without blanks at its ends; raises BadParameter where it is missing or empty."""
        value = self.text(name)
        if not value:
            raise BadParameter(f"{name} is missing.")
        return value

    def integer(self, name: str, *, least: int = 0, most: int = LARGEST) -> int | None:
        """Value as a number, None if missing; raises BadParameter where it is no number of that range."""
        value = self.text(name)
        if not value:
            return None
        if not _INTEGER.fullmatch(value) or not least <= int(value) <= most:
            span = f"from {least} to {most}" if most < LARGEST else f"{least} or greater"
            raise BadParameter(f"{name} must be a whole number, {span}, not {excerpt(value)}.")
        return int(value)

    def required_integer(self, name: str, *, least: int = 1) -> int:
        """Value as a number; raises BadParameter where it is missing or no such number."""
        self.required(name)
        value = self.integer(name, least=least)
        assert value is not None  # it was there
        return value

    def choice(self, name: str, meanings: Mapping[str, T]) -> T:
        """What the value means; the empty one stands for a missing one. Raises BadParameter for any other."""
        value = self.text(name)
        if value not in meanings:
            known = ", ".join(filter(None, meanings))
            raise BadParameter(f"{name} must be one of {known}, not {excerpt(value)}.")
        return meanings[value]

    def flag(self, name: str) -> bool:
        """Whether the value is 1; raises BadParameter for anything but 1, 0 and nothing."""
        return self.choice(name, _FLAG)


def excerpt(value: str) -> str:
    """Return a value for a message: in quotes, cut where it is long."""
    return repr(value if len(value) <= 40 else value[:40] + "…")


async def read_parameters(request: Request, method: str) -> Parameters:
    """Read the parameters of a call that is made by `method`, GET or POST.

    Raises:
        WrongPlace: the request uses another method, or has its parameters elsewhere.
        RepeatedParameter: a known one stands twice.
        BadParameter: too many, too long, or not UTF-8.
        ClientDisconnect: the client went away before the end.

    """
    query = _pairs(request.scope.get("query_string", b""))
    if request.method != method:
        raise WrongPlace(f"This call is made by {method}, not {request.method}; nothing was done.")
    if method == "GET":
        return Parameters(query)
    if misplaced := [name for name, _ in query if name in KNOWN]:
        raise WrongPlace(
            f"POST takes its parameters in the body, not in the address: {misplaced[0]}. Nothing was done."
        )
    body = await _body(request)
    kind = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if kind != FORM:
        raise WrongPlace(f"POST takes its parameters as {FORM}, not {excerpt(kind)}. Nothing was done.")
    return Parameters(_pairs(body.strip()))


def _pairs(data: bytes) -> Pairs:
    try:
        return parse_qsl(
            data.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MOST_FIELDS
        )
    except UnicodeDecodeError as error:
        raise BadParameter("The parameters are not UTF-8.") from error
    except ValueError as error:
        raise BadParameter(f"More than {MOST_FIELDS} parameters are too many.") from error


async def _body(request: Request) -> bytes:
    try:
        return await read_whole(request.receive, longest=LONGEST_BODY, seconds=BODY_SECONDS)
    except BodyTooLong as error:
        raise BadParameter(f"The body is too long: parameters may take {LONGEST_BODY} bytes.") from error
    except TimeoutError as error:
        raise BadParameter(f"The body took longer than {BODY_SECONDS:g} s to arrive; send the call again.") from error
