"""Byte ranges and conditions of a request (RFC 9110, 13 and 14); pure functions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SPEC = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)
_ETAG = re.compile(r'(?:W/)?"[^"]*"')
MOST_RANGES = 16
"""Requests for more than so many separate ranges are answered whole (RFC 9110, 14.2, allows it; 17.15 says why)."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Bytes in it."""
        return self.end - self.start

    def content_range(self, size: int) -> str:
        """Value of `Content-Range` for this part of `size` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


class Unsatisfiable(Exception):
    """None of the ranges that were asked for lies within the object."""


def parse_ranges(header: str, size: int) -> list[ByteRange]:
    """Read a `Range` header for an object of `size` bytes.

    Returns:
        The ranges in the order asked for, those that touch or overlap joined; empty where the header is to be
        ignored because it is malformed, of another unit, or asks for too many.

    Raises:
        Unsatisfiable: no range lies within the object.

    """
    unit, equals, specs = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return []
    found: list[ByteRange] = []
    asked = [spec.strip(" \t") for spec in specs.split(",")]
    for spec in filter(None, asked):
        match = _SPEC.fullmatch(spec)
        if match is None or match.group() == "-":
            return []
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return []
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start < end:
            found.append(ByteRange(start, end))
    if not any(asked):
        return []
    if not found:
        raise Unsatisfiable
    joined = _join(found)
    return joined if len(joined) <= MOST_RANGES else []


def _join(ranges: list[ByteRange]) -> list[ByteRange]:
    """Join ranges that touch or overlap; the order stays where none do."""
    in_order = sorted(ranges, key=lambda r: r.start)
    joined = in_order[:1]
    for each in in_order[1:]:
        if each.start <= joined[-1].end:
            joined[-1] = ByteRange(joined[-1].start, max(joined[-1].end, each.end))
        else:
            joined.append(each)
    return ranges if len(joined) == len(ranges) else joined


def wanted_ranges(headers: Mapping[str, str], etag: str, size: int) -> list[ByteRange]:
    """Read `Range` and `If-Range` of a GET; empty for the whole object.

    Raises:
        Unsatisfiable: no range lies within the object.

    """
    header = headers.get("range")
    if not header:
        return []
    # A date can't match, as we send no Last-Modified; a weak etag never does (RFC 9110, 13.1.5).
    if headers.get("if-range", etag).strip() != etag:
        return []
    return parse_ranges(header, size)


def not_modified(headers: Mapping[str, str], etag: str) -> bool:
    """Whether `If-None-Match` names this etag, weakly compared (RFC 9110, 13.1.2)."""
    return _names(headers.get("if-none-match"), etag)


def precondition_failed(headers: Mapping[str, str], etag: str) -> bool:
    """Whether there is an `If-Match` that doesn't name this etag (RFC 9110, 13.1.1)."""
    header = headers.get("if-match")
    return header is not None and not _names(header, etag, weakly=False)


def _names(header: str | None, etag: str, *, weakly: bool = True) -> bool:
    if header is None:
        return False
    if header.strip() == "*":
        return True
    listed = _ETAG.findall(header)
    return etag in ([each.removeprefix("W/") for each in listed] if weakly else listed)
