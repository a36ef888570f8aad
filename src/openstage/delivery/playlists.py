"""HLS playlists (RFC 8216) rendered from rows; pure functions.

A multivariant playlist names renditions, a media playlist names segments. Addresses in them are given by the
caller, so nothing here knows of signing.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from openstage.delivery.models import SOUND, Rendition, Segment

VERSION = 7
"""EXT-X-MAP in playlists that are not I-frame only needs 6 (RFC 8216, 7); 7 is what fMP4 players expect."""
_GROUP = "sound"


def multivariant_playlist(renditions: Sequence[Rendition], address: Callable[[Rendition], str]) -> str:
    """Render the playlist of a work's HLS renditions, the lowest bandwidth first (RFC 8216, 4.3.4).

    Growing renditions are listed only while there is no whole one.

    Args:
        renditions: rungs and sound; mp4 files are passed over. Sound without a rung is a variant of its own.
        address: address of a rendition's media playlist.

    """
    rungs = _offered([r for r in renditions if r.kind == "hls_video"])
    sounds = _offered([r for r in renditions if r.kind == "hls_audio"])
    sound = sounds[0] if sounds else None
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if rungs and sound:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_GROUP}",NAME="{_GROUP}",DEFAULT=YES,AUTOSELECT=YES,URI="{address(sound)}"'
        )
    for rung in sorted(rungs or sounds[:1], key=lambda r: (r.bandwidth, r.quality)):
        lines += [f"#EXT-X-STREAM-INF:{_attributes(rung, sound if rungs else None)}", address(rung)]
    return "\n".join(lines) + "\n"


def media_playlist(rendition: Rendition, segments: Sequence[Segment], prefix: str) -> str:
    """Render the playlist of one rendition's segments: EVENT while it grows, VOD once it is whole.

    Args:
        rendition: an HLS rendition.
        segments: its segments in order.
        prefix: what stands before the names of its initialisation section and segments.

    """
    longest = max((segment.duration_us for segment in segments), default=0)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        # "Rounded to the nearest integer" must not exceed it (RFC 8216, 4.3.3.1); rounding up is safe, and never 0.
        f"#EXT-X-TARGETDURATION:{max(1, math.ceil(longest / 1_000_000))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if rendition.complete else 'EVENT'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{prefix}init.mp4"',
    ]
    for segment in segments:
        lines += [f"#EXTINF:{segment.duration_us / 1_000_000:.6f},", f"{prefix}{segment.number:05}.m4s"]
    if rendition.complete:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _offered(renditions: list[Rendition]) -> list[Rendition]:
    return [r for r in renditions if r.complete] or renditions


def _attributes(rung: Rendition, sound: Rendition | None) -> str:
    """Render the attributes of a variant: what a player has to fetch and decode if it takes it (RFC 8216, 4.3.4.2)."""
    parts = [rung, sound] if sound else [rung]
    attributes = [
        f"BANDWIDTH={sum(part.bandwidth for part in parts)}",
        f"AVERAGE-BANDWIDTH={sum(part.average_bandwidth for part in parts)}",
        f'CODECS="{",".join(part.codecs for part in parts)}"',
    ]
    if rung.width and rung.height:
        attributes.append(f"RESOLUTION={rung.width}x{rung.height}")
    if rung.frame_rate:
        attributes.append(f"FRAME-RATE={float(Fraction(rung.frame_rate).limit_denominator(1001)):.3f}")
    if sound:
        attributes.append(f'AUDIO="{_GROUP}"')
    return ",".join(attributes)


def of_quality(renditions: Sequence[Rendition], quality: str) -> list[Rendition]:
    """Pick what a playlist of one quality lists: that rung and the sound; nothing if there is no such rung."""
    rungs = [r for r in renditions if r.kind == "hls_video" and r.quality == quality]
    return [*rungs, *(r for r in renditions if r.quality == SOUND)] if rungs else []
