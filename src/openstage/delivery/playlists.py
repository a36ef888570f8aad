"""HLS playlists (RFC 8216) rendered from rows; pure functions.

A multivariant playlist names renditions, a media playlist names segments. Addresses in them are given by the
caller, so nothing here knows of signing.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from openstage.delivery.models import Rendition, Segment

VERSION = 7
"""EXT-X-MAP in playlists that are not I-frame only needs 6 (RFC 8216, 7); 7 is what fMP4 players expect."""
TARGET_DURATION = 4
"""Seconds of a segment: the ladder's keyframes are so far apart (`media.ladder.KEYFRAME_SECONDS`)."""
TARGET_DURATION_OF_COPIES = 15
"""The same of a picture that is taken over as it came: cut at its first keyframe after 4 s, which come every 10.5 s."""
_GROUP = "sound"


def multivariant_playlist(renditions: Sequence[Rendition], address: Callable[[Rendition], str]) -> str:
    """Render the playlist of a work's HLS renditions in the order given (RFC 8216, 4.3.4).

    Args:
        renditions: rungs, and at most one sound. Sound without a rung is a variant of its own.
        address: address of a rendition's media playlist.

    """
    rungs = [rendition for rendition in renditions if rendition.kind == "hls_video"]
    sound = next((rendition for rendition in renditions if rendition.kind == "hls_audio"), None)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if rungs and sound:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_GROUP}",NAME="{_GROUP}",DEFAULT=YES,AUTOSELECT=YES,URI="{address(sound)}"'
        )
    for variant in rungs or ([sound] if sound else []):
        lines += [f"#EXT-X-STREAM-INF:{_attributes(variant, sound if rungs else None)}", address(variant)]
    return "\n".join(lines) + "\n"


def media_playlist(rendition: Rendition, segments: Sequence[Segment], prefix: str) -> str:
    """Render the playlist of one rendition's segments.

    One that was growing stays an `EVENT` playlist once it is whole: nothing but lines at its end may be added while
    players reload it, `EXT-X-ENDLIST` the last (RFC 8216, 4.3.3.5 and 6.2.1). Such a playlist asks players to begin at
    its start, where they would else begin near its end.

    Args:
        rendition: an HLS rendition.
        segments: its segments in order.
        prefix: what stands before the names of its initialisation section and segments.

    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration(rendition, segments)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'EVENT' if rendition.grown else 'VOD'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    if rendition.grown:
        lines.append("#EXT-X-START:TIME-OFFSET=0,PRECISE=YES")
    lines.append(f'#EXT-X-MAP:URI="{prefix}init.mp4"')
    for segment in segments:
        lines += [f"#EXTINF:{segment.duration_us / 1_000_000:.6f},", f"{prefix}{segment.number:05}.m4s"]
    if rendition.complete:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def target_duration(rendition: Rendition, segments: Sequence[Segment]) -> int:
    """Tell EXT-X-TARGETDURATION, in seconds.

    It must not change while a playlist grows, and be the same for all renditions of a work (RFC 8216, 6.2.1 and 6.2.4),
    so it is what segments are made to keep to; a longer one, which the makers don't let happen, would still be told.
    Native players wait for as long before they look for more, so it is no longer than it has to be.
    """
    longest = max((segment.duration_us for segment in segments), default=0)
    promised = TARGET_DURATION_OF_COPIES if rendition.copied else TARGET_DURATION
    return max(promised, (longest + 500_000) // 1_000_000)  # durations count rounded to the nearest (4.3.3.1)


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
