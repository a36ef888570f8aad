"""What delivery reads of works: just enough to play them."""

import hashlib
from dataclasses import dataclass
from typing import Literal

RenditionKind = Literal["hls_video", "hls_audio", "mp4"]
PictureKind = Literal["original", "img", "thumbnail"]
PICTURE_KINDS: tuple[PictureKind, ...] = ("original", "img", "thumbnail")

SOUND = "a"
"""Quality of the one sound rendition that all rungs share."""
SOUND_ONLY = "96"
"""Quality under which a work without pictures is offered as a playlist: the lowest one, which every client knows."""


def rendition_name(quality: str, key: str) -> str:
    """Name a rendition in addresses: its quality, and a mark that changes when it is made anew.

    A player that began with the old one then misses segments instead of mixing two encodings.
    """
    return f"{quality}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Rendition:
    """One playable form of a work.

    Attributes:
        kind: an HLS rung, the HLS sound, or a whole mp4 file.
        quality: `96`, `1` … `5` as in the video dialect; `a` for sound.
        complete: nothing will be added to it.
        width: pixels; None for sound.
        height: pixels; None for sound.
        frame_rate: frames per second; None for sound.
        codecs: RFC 6381, such as `avc1.64001f`.
        bandwidth: peak, bits per second.
        average_bandwidth: bits per second.
        duration_ms: milliseconds.
        byte_size: bytes of all its objects.
        key: object of an mp4; initialisation section of an HLS rendition.

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
class StoredObject:
    """An object that may be sent: its key and its size in bytes."""

    key: str
    byte_size: int
