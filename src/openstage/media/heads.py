"""What an upload holds, told from the part of it that has arrived."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from openstage.media.errors import Unplayable
from openstage.media.helper import ask
from openstage.media.models import MediaInfo
from openstage.media.probe import Report, judge, unreadable
from openstage.media.sandbox import GIB, NICE, Limits
from openstage.media.signatures import HEAD, not_a_medium
from openstage.settings import Settings


class NotYet(Struct, frozen=True, kw_only=True):
    """Nothing can be told so far.

    Attributes:
        wants: where the bytes are (begin, end) that would help; ask again when they have arrived.

    """

    wants: tuple[int, int]


class Head(Struct, frozen=True, kw_only=True):
    """What the header tells.

    Attributes:
        info: as `probe()` would tell it, durations and bit rates as the header has them.
        can_feed: segments can be made from the beginning while the rest arrives (`grow()` with a `Feed`).
        sure: once all bytes are there, `probe()` would say no less: the index of an MP4 tells where each stream ends
            and that nothing is cut off.

    """

    info: MediaInfo
    can_feed: bool
    sure: bool = False


# Formats that can be read from a pipe, from the beginning and nowhere else.
STREAMED = frozenset({"matroska", "mpegts", "flv", "mpeg", "mp3", "aac", "flac", "ogg", "wav"})
LIMITS = Limits(seconds=20, cpu_seconds=15, memory=2 * GIB, file_size=0, nice=NICE)
LEAST = 256 * 1024  # bytes of the beginning with which a look is worth its while
BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"}
MOST_BOXES = 4096
BOX_HEADER = 16


class HeadReport(Report, kw_only=True):
    """The helper's report of a beginning; `enough` is false if nothing ought to be concluded from so little."""

    enough: bool = True
    sure: bool = False


async def probe_head(path: Path, size: int, received: Sequence[tuple[int, int]], settings: Settings) -> Head | NotYet:
    """Find out what is in a file of which parts have arrived.

    Args:
        path: the staging file, sparse: where nothing has arrived it reads as zeros, which is never looked at.
        size: bytes that the whole file will have.
        received: stretches (begin, end) that have arrived, sorted, apart from each other.
        settings: limits on duration, pixels and streams.

    Raises:
        Unplayable: whatever else arrives, it can't be published.
        TookTooLong: reading it took too long.
        ToolMissing: the helper can't run on this machine.

    """
    there = _Received.of(path, size, received)
    layout = await asyncio.to_thread(_layout, there)
    if isinstance(layout, NotYet):
        return layout
    order = {"max_streams": settings.max_streams, "size": size, "ranges": [[*stretch] for stretch in received]}
    report = await ask("heading", there.path, settings, HeadReport, limits=LIMITS, **order)
    if there.whole and report.error:
        raise Unplayable(unreadable(report))
    if report.error or not report.enough:
        return NotYet(wants=(0, min(size, 2 * max(LEAST, there.prefix))))
    info = judge(report, settings)
    in_order = layout.in_order if info.container == "mov" else info.container in STREAMED
    return Head(info=info, can_feed=in_order, sure=report.sure)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a file is laid out; `in_order`: the index of an MP4 comes before what it points to."""

    in_order: bool


@dataclass(frozen=True, slots=True)
class _Received:
    """A file and what has arrived of it."""

    path: Path
    size: int
    ranges: Sequence[tuple[int, int]]

    @classmethod
    def of(cls, path: Path, size: int, ranges: Sequence[tuple[int, int]]) -> "_Received":
        """The same with an absolute path."""
        return cls(Path(os.path.abspath(path)), size, ranges)  # noqa: PTH100

    @property
    def prefix(self) -> int:
        """Bytes at the beginning without a gap."""
        return self.ranges[0][1] if self.ranges and self.ranges[0][0] == 0 else 0

    @property
    def whole(self) -> bool:
        """Whether all has arrived."""
        return self.prefix >= self.size

    def has(self, begin: int, end: int) -> bool:
        """Whether a stretch has arrived."""
        return any(first <= begin and end <= last for first, last in self.ranges)


def _layout(there: _Received) -> _Layout | NotYet:
    """Look at the outermost structure.

    Raises:
        Unplayable: this is no medium.

    """
    least = min(there.size, HEAD)
    if there.prefix < least:
        return NotYet(wants=(0, min(there.size, LEAST)))
    with there.path.open("rb") as file:
        head = file.read(least)
        if reason := not_a_medium(head):
            raise Unplayable(reason)
        if head[4:8] in BOXES:
            return _boxes(file, there)
    if there.prefix < min(there.size, LEAST):
        return NotYet(wants=(0, min(there.size, LEAST)))
    return _Layout(in_order=True)


def _boxes(file: BinaryIO, there: _Received) -> _Layout | NotYet:
    """Follow the boxes of an MP4 to its index (ISO/IEC 14496-12, 4.2) as far as they have arrived."""
    at, content = 0, None
    for _ in range(MOST_BOXES):
        end = min(there.size, at + BOX_HEADER)
        if at + 8 > there.size:
            break
        if not there.has(at, end):
            return NotYet(wants=(at, end))
        file.seek(at)
        header = file.read(end - at)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        end = there.size if length == 0 else min(there.size, at + length)
        if name == b"moov":
            if not there.has(at, end):
                return NotYet(wants=(at, end))
            begin = content if content is not None else end
            wanted = (begin, min(there.size, begin + LEAST))
            return _Layout(in_order=content is None) if there.has(*wanted) else NotYet(wants=wanted)
        if name == b"mdat" and content is None:
            content = at
        if length and length < 8:
            break
        at = end
    # No index: it may be fragmented beyond recognition or damaged, which can be told at the end.
    return _Layout(in_order=False) if there.whole else NotYet(wants=(0, there.size))
