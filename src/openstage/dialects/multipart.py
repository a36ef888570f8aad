"""A forgiving push scanner for multipart/form-data, made to stream one large part at the speed of the wire.

Clients of the video dialect declare no boundary, quote it oddly, write header names in lower case, and add or leave out
line ends around the closing delimiter. Its document promises that "the server finds the boundary by itself", so it is
read off the first line; a declared one is only needed where a preamble comes first.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from openstage.errors import DomainError

LONGEST_BOUNDARY: Final = 256
LONGEST_HEADERS: Final = 16 * 1024
"""Bytes of one part's headers, and of what may stand before the first delimiter."""

_NAME = re.compile(rb'(?:^|[;\s])name\s*=\s*("(?:\\.|[^"\\])*"|[^;\s]*)', re.IGNORECASE)
_FILENAME = re.compile(rb"(?:^|[;\s])filename\*?\s*=", re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]*)"|([^;,\s]*))', re.IGNORECASE)


class MultipartBroken(DomainError):
    """What came can't be multipart/form-data, or ends before it is whole."""

    code = "dialect.multipart_broken"


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins: its field name, and whether it says that it is a file."""

    name: str
    is_file: bool


class PartEnd:
    """A part is whole: its delimiter has been seen."""


Event = PartBegin | PartEnd | memoryview
"""A `memoryview` is the next stretch of the current part."""


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY = auto()
    END = auto()


def declared_boundary(content_type: str) -> bytes | None:
    """Boundary that a Content-Type names, if it does; it may be quoted or not, and hold `=`."""
    found = _BOUNDARY.search(content_type)
    value = (found[1] or found[2] or "") if found else ""
    return value.encode("latin-1", "replace") or None


class MultipartScanner:
    """Cuts a body that arrives in chunks into parts, without copying their content.

    Lines may end in CRLF or LF; the first delimiter's line end counts for all delimiters.
    """

    def __init__(self, boundary: bytes | None = None) -> None:
        """Prepare a scanner; `boundary` as declared is used only if the body doesn't begin with a delimiter."""
        self._boundary = boundary
        self._newline = b"\r\n"
        self._delimiter = b""
        self._state = _State.PREAMBLE
        self._held = b""
        self._certain = 0

    def expect(self, length: int) -> None:
        """Say, when a part has begun, that its first `length` bytes can only be content.

        No delimiter is looked for in them, which makes the scanner nearly free. If the part is shorter
        after all, its delimiter is taken for content and the body turns out to be broken.
        """
        self._certain = length

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes of the body; the events must be consumed before the next call.

        Raises:
            MultipartBroken: what came can't be multipart/form-data.

        """
        data = self._held + chunk if self._held else chunk
        self._held = b""
        position = 0
        while position < len(data) and self._state is not _State.END:
            if self._state is _State.PREAMBLE:
                taken = self._preamble(data)
            elif self._state is _State.HEADERS:
                taken = yield from self._headers(data, position)
            else:
                taken = yield from self._body(data, position)
            if taken is None:
                return
            position = taken

    def close(self) -> None:
        """Say that the body has ended.

        Raises:
            MultipartBroken: its closing delimiter is missing.

        """
        if self._state is not _State.END:
            raise MultipartBroken("The multipart body ends before its closing delimiter.")

    def _preamble(self, data: bytes) -> int | None:
        """Find the first delimiter; position after its line, or None for more bytes."""
        start = len(data) - len(data.lstrip(b"\r\n"))
        if not data.startswith(b"--"[: len(data) - start], start):
            if self._boundary is None:
                raise MultipartBroken("The multipart body doesn't begin with a boundary.")
            start = data.find(b"\n--" + self._boundary) + 1
        line_end = data.find(b"\n", start) if start or data.startswith(b"-") else -1
        if line_end < 0:
            if self._boundary is not None and data[start:].startswith(b"--" + self._boundary + b"--"):
                self._state = _State.END  # a body without any part
                return len(data)
            self._hold(data, 0, LONGEST_HEADERS, "The multipart body doesn't begin with a boundary.")
            return None
        line = data[start:line_end].rstrip(b" \t\r")
        if not 2 < len(line) <= LONGEST_BOUNDARY:
            raise MultipartBroken("The multipart body doesn't begin with a boundary.")
        if self._boundary is not None and line == b"--" + self._boundary + b"--":
            self._state = _State.END
            return len(data)
        self._newline = b"\r\n" if data[line_end - 1 : line_end] == b"\r" else b"\n"
        self._delimiter = self._newline + line
        self._state = _State.HEADERS
        return line_end + 1

    def _headers(self, data: bytes, position: int) -> Generator[Event, None, int | None]:
        """Read one part's headers; returns the position after the empty line, or None for more bytes."""
        line_end = data.find(b"\n", position)
        lines: list[bytes] = []
        start = position
        while line_end >= 0:
            line = data[start:line_end].rstrip(b"\r")
            start = line_end + 1
            if not line:
                yield _part_begin(lines)
                self._state = _State.BODY
                return start
            lines.append(line)
            line_end = data.find(b"\n", start)
        self._hold(data, position, LONGEST_HEADERS, "The headers of a multipart part are too long.")
        return None

    def _body(self, data: bytes, position: int) -> Generator[Event, None, int | None]:
        """Pass on one part's content; returns the position after its delimiter's line, or None for more bytes."""
        if self._certain:
            certain = min(self._certain, len(data) - position)
            self._certain -= certain
            yield memoryview(data)[position : position + certain]
            position += certain
        search = position
        while (found := data.find(self._delimiter, search)) >= 0:
            after = self._after_delimiter(data, found + len(self._delimiter))
            if after is None:
                yield from _stretch(data, position, found)
                self._hold(data, found, LONGEST_HEADERS, "The line of a multipart delimiter is too long.")
                return None
            if after:
                yield from _stretch(data, position, found)
                yield PartEnd()
                return after
            search = found + 1
        keep = self._partial_delimiter(data, position)
        yield from _stretch(data, position, keep)
        self._held = data[keep:]
        return None

    def _after_delimiter(self, data: bytes, position: int) -> int | None:
        """Position after a delimiter's line; 0 when it is content that only looks like one; None for more bytes."""
        if data.startswith(b"--", position):
            self._state = _State.END
            return len(data)
        rest = data[position : position + LONGEST_BOUNDARY].lstrip(b" \t")
        if rest in {b"", b"-", b"\r"} and position + LONGEST_BOUNDARY > len(data):
            return None
        for line_end in (b"\r\n", b"\n"):
            if rest.startswith(line_end):
                self._state = _State.HEADERS
                return data.index(b"\n", position) + 1
        return 0

    def _partial_delimiter(self, data: bytes, position: int) -> int:
        """Where the end of `data` may be the beginning of a delimiter; its length if nowhere."""
        search = max(position, len(data) - len(self._delimiter) + 1)
        while (found := data.find(self._newline[:1], search)) >= 0:
            if self._delimiter.startswith(data[found:]):
                return found
            search = found + 1
        return len(data)

    def _hold(self, data: bytes, position: int, limit: int, message: str) -> None:
        """Keep the rest until more comes, unless that is already too much."""
        if len(data) - position > limit:
            raise MultipartBroken(message)
        self._held = data[position:]


def _stretch(data: bytes, start: int, end: int) -> Iterator[memoryview]:
    if end > start:
        yield memoryview(data)[start:end]


def _part_begin(lines: list[bytes]) -> PartBegin:
    """Read what the headers of a part say of it; header names in any case, values quoted or not."""
    for line in lines:
        header, _, value = line.partition(b":")
        if header.strip().lower() != b"content-disposition":
            continue
        found = _NAME.search(value)
        name = found[1] if found else b""
        if name[:1] == b'"':
            name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
        return PartBegin(name.decode("utf-8", "replace"), _FILENAME.search(value) is not None)
    return PartBegin("", is_file=False)
