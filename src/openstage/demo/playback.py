"""Playing as a player does: playlists, initialisation sections, segments; and decoding what they hold."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
import imageio_ffmpeg

DECODING_SECONDS = 300


class PlaybackError(Exception):
    """What was published can't be played; the message says why."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a player fetched to begin with one quality."""

    playlists: int
    segments: int
    size: int
    """Bytes."""
    duration: float
    """Seconds that the media playlists announce."""


def begin(address: str) -> Fetched:
    """Fetch what a player needs for its first frame: every playlist, and of each the initialisation and a segment.

    Args:
        address: a multivariant playlist.

    Raises:
        PlaybackError: something is missing or is not what it should be.

    """
    with httpx.Client(timeout=30.0, follow_redirects=True) as http:
        top = _fetch(http, address)
        playlists, segments, size, duration = 1, 0, len(top), 0.0
        for media in dict.fromkeys(_listed(top.decode(), address)):
            text = _fetch(http, media)
            playlists, size = playlists + 1, size + len(text)
            duration = max(duration, sum(map(float, re.findall(r"#EXTINF:([\d.]+)", text.decode()))))
            for part in _first_parts(text.decode(), media):
                segments, size = segments + 1, size + len(_fetch(http, part))
    if not segments:
        raise PlaybackError(f"the playlist lists nothing to play: {address}")
    return Fetched(playlists, segments, size, duration)


def _fetch(http: httpx.Client, address: str) -> bytes:
    try:
        reply = http.get(address)
    except httpx.HTTPError as error:
        raise PlaybackError(f"{address}: {error}") from error
    if reply.status_code != 200 or not reply.content:
        raise PlaybackError(f"{address}: HTTP {reply.status_code} with {len(reply.content)} bytes")
    return reply.content


def _listed(playlist: str, base: str) -> Iterator[str]:
    """Yield the media playlists of a multivariant playlist (RFC 8216, 4.3.4)."""
    if not playlist.startswith("#EXTM3U"):
        raise PlaybackError(f"not a playlist: {base}")
    for address in re.findall(r'^#EXT-X-MEDIA:.*?URI="([^"]+)"', playlist, re.MULTILINE):
        yield urljoin(base, address)
    for address in re.findall(r"^#EXT-X-STREAM-INF:[^\n]*\n([^#\s][^\n]*)$", playlist, re.MULTILINE):
        yield urljoin(base, address.strip())


def _first_parts(playlist: str, base: str) -> Iterator[str]:
    """Yield the initialisation section and the first segment of a media playlist (RFC 8216, 4.3.2)."""
    for address in re.findall(r'^#EXT-X-MAP:.*?URI="([^"]+)"', playlist, re.MULTILINE)[:1]:
        yield urljoin(base, address)
    for address in re.findall(r"^([^#\s][^\n]*)$", playlist, re.MULTILINE)[:1]:
        yield urljoin(base, address.strip())


def decode(address: str) -> float:
    """Decode picture and sound to the end.

    Returns:
        seconds that were decoded.

    Raises:
        PlaybackError: ffmpeg finds an error.

    """
    command = [
        *(str(imageio_ffmpeg.get_ffmpeg_exe()), "-hide_banner", "-nostdin", "-v", "error", "-progress", "pipe:1"),
        *("-i", address, "-f", "null", "-"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DECODING_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise PlaybackError(f"decoding takes longer than {DECODING_SECONDS} s") from error
    times = re.findall(r"out_time_us=(\d+)", done.stdout)
    if done.returncode or done.stderr.strip() or not times:
        raise PlaybackError(f"it does not decode: {done.stderr.strip()[-1000:]}")
    return int(times[-1]) / 1_000_000
