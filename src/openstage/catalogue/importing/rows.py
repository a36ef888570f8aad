"""One row of what is imported: what it may say, and what is wrong with it."""

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from openstage.database.text import storable

LONGEST: Final = {"external_id": 200, "title": 500, "artist": 500, "description": 10_000, "supplier": 100, "key": 50}
"""Characters of a text."""
LONGEST_NAME, MOST_NAMES = 100, 100
LARGEST_ID: Final = 2**53 - 1
"""So that JavaScript keeps it exact."""
SEPARATOR: Final = ";"
"""Between the names of a list in a cell."""
_CLOCK: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:\.\d+)?)")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_TRUTH: Final = {"1": True, "true": True, "yes": True, "是": True, "0": False, "false": False, "no": False, "否": False}


class BadRow(Exception):
    """A row can't be imported; the message says why."""


@dataclass(frozen=True, slots=True)
class OfferName:
    """An offer under which a track is sold; `price` is the track's own."""

    name: str
    price: Decimal | None = None


@dataclass(slots=True)
class Row:
    """A row that can be imported.

    Attributes:
        number: of the line or the file, for messages.
        external_id: by which it is known again.
        audio_id: the public number that it shall have; None: the next one.
        file: path of the audio as the row has it; empty: none.
        values: what it gives, by column; None empties a column. What isn't there stays as it was.
        digest: of all that it says; the same digest changes nothing.

    """

    number: int
    external_id: str
    audio_id: int | None
    file: str
    values: dict[str, Any] = field(default_factory=dict)
    digest: bytes = b""


def parse_row(number: int, given: Mapping[str, Any]) -> Row:
    """Return a row.

    Args:
        number: of the line.
        given: by column; lists may be lists, or text with `;` between.

    Raises:
        BadRow: something in it can't be what it is said to be, or there is nothing to know it by.

    """
    values: dict[str, Any] = {}
    for column, value in given.items():
        if column in COLUMNS:
            values[column] = _value(column, value)
    audio_id, file = values.pop("audio_id", None), values.pop("file", None) or ""
    external_id = values.pop("external_id", None) or (
        f"audio:{audio_id}" if audio_id else f"file:{file}" if file else ""
    )
    if not external_id:
        raise BadRow("it has neither external_id nor audio_id nor file: nothing to know it by when it comes again")
    if "title" in values and not values["title"]:
        raise BadRow("its title is empty")
    if len(external_id) > LONGEST["external_id"] + 5:
        raise BadRow(f"its file has a path of more than {LONGEST['external_id']} characters: give it an external_id")
    row = Row(number, external_id, audio_id, file, values)
    row.digest = digest_of(row)
    return row


def digest_of(row: Row, more: str = "") -> bytes:
    """Return the digest of all that a row says, and of something more."""
    said = repr((row.external_id, row.audio_id, row.file, sorted(row.values.items()), more))
    return hashlib.md5(said.encode(errors="replace"), usedforsecurity=False).digest()


def _value(column: str, value: Any) -> Any:
    if isinstance(value, str):
        value = _clean(value)
    if value is None or value == "":
        return [] if column in LISTS else "" if column in LONGEST else None
    try:
        return COLUMNS[column](column, value)
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        raise BadRow(f"{column} is {repr(value)[:60]}; {_EXPECTED[COLUMNS[column]]}") from None


def _text(column: str, value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError
    text = str(value)
    if len(text) > LONGEST.get(column, 4096):
        raise BadRow(f"{column} has {len(text)} characters; at most {LONGEST.get(column, 4096)} are kept")
    return text


def _names(column: str, value: Any) -> list[str]:
    each = (
        tuple(value.split(SEPARATOR)) if isinstance(value, str) else tuple(value) if isinstance(value, list) else None
    )
    if each is None:
        raise TypeError
    return list(_each_name(column, each))


@lru_cache(maxsize=100_000)  # most catalogues have few combinations
def _each_name(column: str, given: tuple[Any, ...]) -> tuple[str, ...]:
    if any(not isinstance(name, str | int) or isinstance(name, bool) for name in given):
        raise TypeError
    names = tuple(dict.fromkeys(filter(None, (_clean(str(name)) for name in given))))
    if len(names) > MOST_NAMES or any(len(name) > LONGEST_NAME * 2 for name in names):
        raise BadRow(f"{column} has more than {MOST_NAMES} names, or one of more than {LONGEST_NAME} characters")
    return names


def _clean(text: str) -> str:
    """Text that can be stored, without spaces around it."""
    return (storable(text) if _UNSTORABLE.search(text) else text).strip()


def _offers(column: str, value: Any) -> list[OfferName]:
    return [_offer(name) for name in _names(column, value)]


def _offer(text: str) -> OfferName:
    name, equals, price = text.rpartition("=")
    return OfferName(name.strip(), price_of(price)) if equals else OfferName(text)


def price_of(text: str) -> Decimal:
    """Return an exact price.

    Raises:
        ValueError: it is none, is negative, or has more than two decimals.

    """
    price = Decimal(text.strip())
    exponent = price.as_tuple().exponent
    if not price.is_finite() or price < 0 or price >= 10**12 or (isinstance(exponent, int) and exponent < -2):
        raise ValueError(text)
    return price


def _whole(_: str, value: Any) -> int:
    number = float(value) if not isinstance(value, str) else float(value.replace(",", ""))
    if number != int(number) or not 0 <= number < 2**31 or isinstance(value, bool):
        raise ValueError(value)
    return int(number)


def _id(_: str, value: Any) -> int:
    number = int(str(value))
    if not 0 < number <= LARGEST_ID:
        raise ValueError(value)
    return number


def _bpm(_: str, value: Any) -> float:
    number = float(value)
    if not 1 <= number <= 1000 or isinstance(value, bool):
        raise ValueError(value)
    return round(number, 2)


def _duration(_: str, value: Any) -> int:
    clock = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    seconds = int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3]) if clock is not None else float(value)
    if not 0 < seconds < 2_000_000 or isinstance(value, bool):
        raise ValueError(value)
    return max(1, round(seconds * 1000))


def _truth(_: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = _TRUTH.get(str(value).lower())
    if known is None:
        raise ValueError(value)
    return known


def _moment(_: str, value: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


COLUMNS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "external_id": _text,
    "audio_id": _id,
    "file": _text,
    "title": _text,
    "artist": _text,
    "description": _text,
    "supplier": _text,
    "genres": _names,
    "moods": _names,
    "instruments": _names,
    "bpm": _bpm,
    "duration": _duration,
    "key": _text,
    "level": _text,
    "vhifun": _truth,
    "heat": _whole,
    "offers": _offers,
    "created_at": _moment,
}
"""Columns that can be imported, and what reads each; `duration` becomes milliseconds."""
LISTS: Final = {"genres", "moods", "instruments", "offers"}
_EXPECTED: Final[dict[Callable[[str, Any], Any], str]] = {
    _text: "it should be text",
    _names: f"it should be names with “{SEPARATOR}” between, or a list of them",
    _offers: f"it should be offers with “{SEPARATOR}” between, such as “Online” or “Online=21.00”",
    _whole: "it should be a whole number from 0",
    _id: f"it should be a whole number from 1 to {LARGEST_ID}",
    _bpm: "it should be beats per minute, from 1 to 1000",
    _duration: "it should be seconds, or minutes and seconds such as 3:25",
    _truth: "it should be 1 or 0",
    _moment: "it should be a date such as 2026-11-21 or 2026-11-21T16:10:00+08:00",
}
