"""What is given out while the first rendition is being made."""

from typing import Literal

from msgspec import Struct

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
