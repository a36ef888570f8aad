"""The first rendition, segment by segment, while it is being made."""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from openstage.media.feeding import Feed
from openstage.media.first import FirstPlan
from openstage.media.models import MediaInfo
from openstage.settings import Settings

Track = Literal["video", "sound"]


class Done(Struct, frozen=True, kw_only=True):
    """What an earlier call has made of a track and the caller has stored: `count` segments, up to `until_us`."""

    count: int
    until_us: int


class GrownInit(Struct, frozen=True, kw_only=True):
    """The initialisation section of a track.

    Attributes:
        track: picture or sound.
        path: absolute; the caller's from now on, who may move or remove it.
        init_size: bytes.
        codecs: RFC 6381, of this track alone.
        width: pixels, None for sound; likewise height and frame_rate (frames per second).

    """

    track: Track
    path: str
    init_size: int
    codecs: str
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None


class GrownSegment(Struct, frozen=True, kw_only=True):
    """A media segment whose file is whole.

    Attributes:
        track: picture or sound.
        number: from 0 for each track, without gaps.
        path: absolute; the caller's from now on, who may move or remove it.
        start_us: microseconds from the beginning of the medium; likewise `duration_us`, to where the next one begins.
        byte_size: of the file.
        speed: seconds of medium per second of work that this call has made of the track so far; waiting for bytes of
            a feed or for the caller to take segments isn't work.

    """

    track: Track
    number: int
    path: str
    start_us: int
    duration_us: int
    byte_size: int
    speed: float = 0.0


async def grow(
    source: Path | Feed,
    info: MediaInfo,
    plan: FirstPlan,
    folder: Path,
    settings: Settings,
    *,
    done: Mapping[Track, Done] | None = None,
) -> AsyncGenerator[GrownInit | GrownSegment]:
    """Make the first rendition and give out each piece as soon as its file is whole.

    The pieces of a track come in order, its initialisation section first. Close the iterator (`contextlib.aclosing`)
    to give up; nothing is left running then. Everything is on the medium's own time line, as the rungs of the ladder are.

    Args:
        source: the file, or a feed of it while it arrives (see `can_feed`).
        info: what `probe()` or `probe_head()` found in it.
        plan: from `plan_first`.
        folder: an existing, empty folder; the caller's. Nothing is written elsewhere.
        settings: which ffmpeg, its threads, disk space that must stay free.
        done: tracks of which some segments are stored already: those and the initialisation section aren't made again.

    Raises:
        Unplayable: the file can't be decoded.
        TookTooLong: over the time that its duration justifies.
        ScratchFull: the disk is full, or is so nearly.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.
        Exception: what `Feed.received` raised.

    """
    if True:
        raise NotImplementedError
    yield GrownInit(track="video", path="", init_size=0, codecs="")
