"""What delivery reads of works: just enough to play them."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

RenditionKind = Literal["hls_video", "hls_audio", "mp4", "mp3"]
FileKind = Literal["mp4", "mp3"]
PictureKind = Literal["original", "img", "thumbnail"]
PICTURE_KINDS: tuple[PictureKind, ...] = ("original", "img", "thumbnail")

SOUND = "a"
"""Quality of the one sound rendition that all rungs share."""
SOURCE = "s"
"""Quality of a picture that was taken over as it came and is too fat for the ladder: offered until a rung is whole."""
SOUND_ONLY = "96"
"""Quality under which a work without pictures is offered as a playlist: the lowest one, which every client knows."""


def mark_of(name: str) -> str:
    """Return a mark that stands in addresses for a key or a run, and changes when it does."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def rendition_name(quality: str, key: str) -> str:
    """Name a rendition in addresses: its quality, and a mark that changes when it is made anew.

    A player that began with the old one then misses segments instead of mixing two encodings.
    """
    return f"{quality}-{mark_of(key)}"


class Rendition(Struct, frozen=True):
    """One playable form of a work.

    Attributes:
        kind: an HLS rung, the HLS sound, or a whole mp4 or mp3 file.
        quality: `96`, `1` … `5` as in the video dialect; `a` for sound, `s` for a picture taken over as it came.
        complete: nothing will be added to it.
        width: pixels; None for sound.
        height: pixels; None for sound.
        frame_rate: frames per second; None for sound.
        codecs: RFC 6381, such as `avc1.64001f`.
        bandwidth: peak, bits per second.
        average_bandwidth: bits per second.
        duration_ms: milliseconds.
        byte_size: bytes of all its objects.
        key: object of a file; initialisation section of an HLS rendition.
        grown: it grows, or grew before it was whole: its playlist was an EVENT one from the start.
        copied: the run's first rendition was taken over as it came: its segments are as long as its groups of pictures.
        retired: offered no more; those who play it go on.

    """

    kind: RenditionKind
    quality: str
    complete: bool
    width: int | None
    height: int | None
    frame_rate: float | None
    codecs: str
    bandwidth: int
    average_bandwidth: int
    duration_ms: int
    byte_size: int
    key: str
    grown: bool = False
    copied: bool = False
    retired: bool = False

    @property
    def name(self) -> str:
        """Name in addresses."""
        return rendition_name(self.quality, self.key)


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment of an HLS rendition: its number from 0, and its duration in microseconds."""

    number: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Ladder:
    """All renditions of the run in force, and which rung stands for one that would have wasted bits.

    Attributes:
        renditions: whole and growing ones.
        stands_for: quality that was left out to the quality that is as good.
        duration_ms: milliseconds of the work, also while it grows.

    """

    renditions: list[Rendition] = field(default_factory=list)
    stands_for: dict[str, str] = field(default_factory=dict)
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Small pictures of a work at equal intervals, laid out on sheets row by row.

    Attributes:
        run: name of the pipeline run that made it.
        interval_ms: milliseconds between two pictures.
        tile_width: pixels of one picture; likewise `tile_height`.
        columns: pictures side by side on a sheet; likewise `rows`.
        tiles: pictures on all sheets together.
        duration_ms: of the work.

    """

    run: str
    interval_ms: int
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    tiles: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that may be sent: its key and its size in bytes."""

    key: str
    byte_size: int


@dataclass(frozen=True, slots=True)
class Extra:
    """What belongs to a work beside its renditions: the waveform, a sheet of the storyboard."""

    run: str
    content_type: str
    item: StoredObject
