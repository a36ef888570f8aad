"""JSON as calls send it: read strictly where meaning is at stake, forgivingly where clients are known to be careless.

A key that stands twice, text that can't be kept, or a nesting that no call has is refused: what one reader takes for
the value another may not. A number may come as text, `null` and an empty text where a number belongs count as missing,
and what no call knows is ignored.
"""

import codecs
import functools
import json
import re
from collections import Counter
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

import msgspec
from starlette.requests import Request

from openstage.dialects.karaoke.errors import BadInput, BadJson, BodyTooLarge, RequestBroken
from openstage.small_bodies import BodyTooLong, read_whole

S = TypeVar("S", bound=msgspec.Struct)

LONGEST_JSON: Final = 64 * 1024
"""Bytes of a call's JSON; the longest text of any call is far shorter."""
DEEPEST: Final = 16
"""Levels of objects and lists; no call of this dialect has more than three."""
BODY_SECONDS: Final = 30.0
"""Time in which a body of JSON must have arrived."""

_LONGEST_NUMBER: Final = 40
"""Characters of a whole number in JSON; no field holds one of half as many."""
_MISSING = re.compile("Object missing required field `([^`]+)`")
_UNKEPT = re.compile("[\0\ud800-\udfff]")


async def read_json(request: Request, kind: type[S]) -> S:
    """Read a call's body, which holds one JSON object; an empty one counts as `{}`. Its Content-Type isn't looked at.

    Raises:
        BodyTooLarge: it is longer than `LONGEST_JSON`.
        RequestBroken: it doesn't arrive in time.
        BadJson: it isn't a JSON object that can be kept.
        BadInput: a field has a wrong type or a wrong value.
        ClientDisconnect: the client went away before its end.

    """
    try:
        body = await read_whole(request.receive, longest=LONGEST_JSON, seconds=BODY_SECONDS)
    except BodyTooLong as error:
        raise BodyTooLarge(f"The body has more than {LONGEST_JSON} bytes.") from error
    except TimeoutError as error:
        raise RequestBroken(f"The body took longer than {BODY_SECONDS:g} s to arrive; send it again.") from error
    return as_struct(parse_object(body, "The body"), kind)


def parse_object(text: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object strictly.

    Args:
        text: UTF-8, with a byte order mark or not; nothing but blanks counts as `{}`.
        what: how messages name it.

    Raises:
        BadJson: see the module.

    """
    try:
        decoded = text.removeprefix(codecs.BOM_UTF8).decode()
        found = _decoder.decode(decoded) if decoded.strip() else {}
    except UnicodeDecodeError as error:
        raise BadJson(f"{what} is not UTF-8.") from error
    except RecursionError as error:
        raise BadJson(f"{what} is nested too deeply.") from error
    except ValueError as error:
        raise BadJson(f"{what} is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise BadJson(f"{what} must be a JSON object.")
    # Without an escape it holds no such text, and with so few brackets no such depth.
    if "\\u" in decoded or decoded.count("{") + decoded.count("[") >= DEEPEST:
        _require_sound(found, what)
    return found


def as_struct(fields: dict[str, Any], kind: type[S]) -> S:
    """Make a record of the fields that a call knows.

    Raises:
        BadInput: one is missing, has a wrong type or is out of its bounds; the message names it.

    """
    known = {}
    for name, is_text in _known_fields(kind):
        value = fields.get(name)
        if value is None or (value == "" and not is_text):
            continue
        # Whole numbers where text belongs: some clients write song ids so.
        known[name] = str(value) if is_text and type(value) is int else value
    try:
        return msgspec.convert(known, kind, strict=False)
    except msgspec.ValidationError as error:
        if missing := _MISSING.fullmatch(str(error)):
            raise BadInput(f"{missing[1]} is missing.") from error
        reason, _, place = str(error).partition(" - at `$.")
        raise BadInput(f"{place.rstrip('`')}: {reason}." if place else f"{reason}.") from error


@functools.cache
def _known_fields(kind: type[msgspec.Struct]) -> list[tuple[str, bool]]:
    """Return the names of a record's fields on the wire, and whether each is text; to find out takes a while."""
    return [(field.encode_name, _bare(field.type) is str) for field in msgspec.structs.fields(kind)]


def _bare(kind: Any) -> Any:
    """Return a type without its bounds."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:64]!r} stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _whole_number(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"the number {text[:_LONGEST_NUMBER]}… is too long")
    return int(text)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number, parse_int=_whole_number)


def _require_sound(found: Any, what: str) -> None:
    """Refuse depth, and text that no database keeps, anywhere; without recursion."""
    level = [found]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and _UNKEPT.search(value):
                raise BadJson(f"{what} holds a NUL or half a surrogate pair, which no text can hold.")
        if not below:
            return
        level = below
    raise BadJson(f"{what} is nested deeper than {DEEPEST} levels.")
