"""Players' view of HLS: playlists read by another implementation (`m3u8`), each entry held against its own bytes."""

import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import av
import httpx
import m3u8


@dataclass(frozen=True)
class Variant:
    """One choice of a master playlist: its media playlist and that of its sound, and what is promised of them."""

    address: str
    sound: str | None
    codecs: tuple[str, ...]
    resolution: tuple[int, int] | None
    bandwidth: int


@dataclass(frozen=True)
class Decoded:
    """What decoding a segment gives: seconds at which its first frame is shown, and at which its last one ends."""

    begin: float
    end: float
    frames: int
    keyframes: int
    size: tuple[int, int]
    codec: str


@dataclass(frozen=True)
class MediaPlaylist:
    """A media playlist, fetched."""

    address: str
    text: str
    parsed: m3u8.M3U8

    @property
    def whole(self) -> bool:
        """Nothing will be added to it."""
        return bool(self.parsed.is_endlist)

    @property
    def seconds(self) -> float:
        """Sum of its segments' durations."""
        return float(sum(segment.duration for segment in self.parsed.segments))


def variants(http: httpx.Client, master: str) -> list[Variant]:
    """Read a master playlist."""
    parsed = m3u8.loads(_text(http, master))
    assert parsed.is_independent_segments
    groups = {media.group_id: urljoin(master, media.uri) for media in parsed.media}
    assert parsed.playlists, "a master playlist without variants"
    return [
        Variant(
            urljoin(master, each.uri),
            groups[each.stream_info.audio] if each.stream_info.audio else None,
            tuple(each.stream_info.codecs.split(",")),
            each.stream_info.resolution,
            each.stream_info.bandwidth,
        )
        for each in parsed.playlists
    ]


def media_playlist(http: httpx.Client, address: str) -> MediaPlaylist:
    """Fetch a media playlist."""
    text = _text(http, address)
    return MediaPlaylist(address, text, m3u8.loads(text))


def decode_entry(http: httpx.Client, playlist: MediaPlaylist, number: int) -> Decoded:
    """Fetch an initialisation section and one segment, and decode the two alone."""
    section = playlist.parsed.segment_map[0]
    parts = [
        _bytes(http, urljoin(playlist.address, uri)) for uri in (section.uri, playlist.parsed.segments[number].uri)
    ]
    begins, ends, keyframes, size = [], [], 0, (0, 0)
    with av.open(io.BytesIO(b"".join(parts)), "r") as container:
        (stream,) = container.streams
        assert isinstance(stream, av.VideoStream | av.AudioStream)
        codec = _codec(stream)
        for frame in container.decode(stream):
            assert isinstance(frame, av.VideoFrame | av.AudioFrame)
            assert frame.pts is not None
            assert frame.time_base is not None
            begin = float(frame.pts * frame.time_base)
            begins.append(begin)
            if isinstance(frame, av.VideoFrame):
                keyframes += frame.key_frame
                size = (frame.width, frame.height)
                ends.append(begin + float((frame.duration or 0) * frame.time_base))
            else:
                ends.append(begin + frame.samples / frame.sample_rate)
    return Decoded(min(begins), max(ends), len(begins), keyframes, size, codec)


def check_entries(http: httpx.Client, playlist: MediaPlaylist, *, frame: float) -> list[Decoded]:
    """Hold every entry of a media playlist against what its segment decodes to.

    Args:
        http: the client.
        playlist: a media playlist.
        frame: seconds by which times may be off: one frame, or packet of sound.

    Returns:
        What each segment decodes to.

    """
    parsed = playlist.parsed
    assert parsed.version >= 6
    assert parsed.is_independent_segments
    assert parsed.media_sequence == 0
    assert len(parsed.segment_map) == 1
    found, begin = [], 0.0
    for number, segment in enumerate(parsed.segments):
        decoded = decode_entry(http, playlist, number)
        where = f"segment {number} of {playlist.address.rpartition('/')[2]}: {decoded}"
        assert abs(decoded.begin - begin) <= frame, f"{where} should begin at {begin}"
        assert abs(decoded.end - begin - segment.duration) <= frame, f"{where} should last {segment.duration}"
        assert round(segment.duration) <= parsed.target_duration, where
        begin += segment.duration
        found.append(decoded)
    return found


def _codec(stream: av.VideoStream | av.AudioStream) -> str:
    """RFC 6381 name of what a decoder was set up for."""
    context = stream.codec_context
    if context.name == "h264":
        assert context.extradata
        return f"avc1.{context.extradata[1:4].hex()}"  # AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2)
    assert context.name == "aac"
    assert context.extradata
    return f"mp4a.40.{context.extradata[0] >> 3}"  # AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)


def picture_size(content: bytes) -> tuple[int, int]:
    """Width and height of a picture."""
    with av.open(io.BytesIO(content), "r") as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height


def frame_count(path: Path) -> int:
    """Pictures in a file."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _text(http: httpx.Client, address: str) -> str:
    return _bytes(http, address).decode()


def _bytes(http: httpx.Client, address: str) -> bytes:
    reply = http.get(address)
    assert reply.status_code == 200, f"{address}: {reply.status_code} {reply.text[:200]}"
    return reply.content
