"""Telling what a rendition is by the bytes that came out."""

from collections.abc import Sequence
from pathlib import Path

from openstage.media.boxes import read_duration, read_tracks
from openstage.media.errors import Unplayable
from openstage.media.ladder import KEYFRAME_SECONDS
from openstage.media.models import Rendition, Segment
from openstage.media.progress import MICROSECONDS
from openstage.media.timing import exact_rate


def rate_of(frames: int, seconds: float) -> float:
    """Frames per second to three decimals, as playlists have it."""
    return round(float(exact_rate(frames / max(seconds, 0.001))), 3)


def peak_bandwidth(segments: Sequence[Segment]) -> int:
    """Largest bit rate of any run of segments that lasts 0.5 to 1.5 target durations (RFC 8216, 4.3.4.2)."""
    target = max(KEYFRAME_SECONDS, *(segment.duration_us / MICROSECONDS for segment in segments))
    peak = 0.0
    for first in range(len(segments)):
        size, seconds = 0, 0.0
        for segment in segments[first:]:
            size += segment.byte_size
            seconds += segment.duration_us / MICROSECONDS
            if seconds > 1.5 * target:
                break
            if seconds >= 0.5 * target:
                peak = max(peak, size * 8 / seconds)
    return round(peak)


def describe_mp4(path: Path, quality: str) -> Rendition:
    """Describe an MP4 file by its index.

    Raises:
        Unplayable: there is no such file, or it isn't one.

    """
    if not path.exists():
        raise Unplayable("The file can't be decoded: nothing comes out of it.")
    tracks = read_tracks(path)
    seconds = read_duration(path)
    picture = next((track for track in tracks if track.width), None)
    size = path.stat().st_size
    average = round(size * 8 / max(seconds, 0.001))
    return Rendition(
        kind="mp4",
        quality=quality,
        path=str(path),
        width=picture.width if picture else None,
        height=picture.height if picture else None,
        frame_rate=rate_of(picture.samples, picture.duration) if picture else None,
        codecs=",".join(track.codec for track in tracks),
        bandwidth=average,
        average_bandwidth=average,
        duration_ms=round(seconds * 1000),
        byte_size=size,
    )
