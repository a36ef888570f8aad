"""The facts of a media file: container, streams, time stamps, the first decoded picture."""

import contextlib
import os
from typing import Any

import av
from av.stream import Disposition

from .opening import BROKEN, first_frame, open_file
from .packets import Packets

SAMPLE = 3000  # packets of the picture from whose time stamps the frame rate is told
TAIL_SECONDS = 20
ALL = 1 << 60  # bytes
JUMP, BACK = 10, 0.1  # seconds; as in ffmpeg, a longer step in a transport stream's clock is a new recording


def boxes_trouble(file: Any, size: int) -> str | None:
    """What is wrong with the top level of an MP4 or MOV (ISO/IEC 14496-12, 4.2)."""
    offset, seen = 0, set()
    while offset + 8 <= size:
        file.seek(offset)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - offset
        if length < 8:
            break
        seen.add(name)
        offset += length
    if b"moov" not in seen:
        return "no-index"
    return "cut" if offset > size else None


def ebml_trouble(head: bytes, size: int) -> str | None:
    """Whether a Matroska file ends before its segment does (RFC 8794: sizes are variable-length integers)."""
    at = head.find(b"\x18\x53\x80\x67")
    if at < 0 or at + 12 > len(head) or not head[at + 4]:
        return None
    length = 9 - head[at + 4].bit_length()
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << (7 * length)) - 1)
    unknown = value == (1 << (7 * length)) - 1  # a live recording
    return "cut" if not unknown and at + 4 + length + value > size else None


def avi_claim(head: bytes) -> float | None:
    """Seconds that an AVI's main header promises; ffmpeg shortens what it tells to what is there."""
    at = head.find(b"avih")
    if at < 0 or at + 28 > len(head):
        return None
    per_frame, count = (int.from_bytes(head[at + 8 + field : at + 12 + field], "little") for field in (0, 16))
    return per_frame * count / 1_000_000


def outside(path: str) -> dict[str, Any]:
    """What a file's outermost structure tells: `trouble` (`cut`, `no-index` of an MP4, None), `claim` in seconds."""
    size = os.stat(path).st_size  # noqa: PTH116
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(4096)
        if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
            return {"trouble": boxes_trouble(file, size)}
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return {"trouble": ebml_trouble(head, size)}
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        cut = int.from_bytes(head[4:8], "little") + 8 > size
        return {"trouble": "cut" if cut else None, "claim": avi_claim(head)}
    return {}


class Track:
    """Time stamps of one stream as they come by, in seconds."""

    def __init__(self, jumpy: bool, looked_into: Packets | None = None) -> None:
        self.jumpy = jumpy
        self.unit = 0.0  # seconds; fractions take long
        self.looked_into = looked_into
        self.shift = 0.0
        self.decoded: float | None = None
        self.first: float | None = None
        self.end: float | None = None
        self.unshifted_end: float | None = None
        self.packets = 0
        self.shortest = self.longest = 0.0
        self.last: float | None = None
        self.stamps: list[float] = []

    def add(self, packet: Any) -> None:
        """Take note of a packet."""
        if packet.size == 0:
            return
        self.packets += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        if not self.unit:
            self.unit = float(packet.time_base)
        if self.jumpy and packet.dts is not None:
            self.follow(packet.dts * self.unit)
        seconds = stamp * self.unit + self.shift
        if self.first is None or seconds < self.first:
            self.first = seconds
        if self.last is not None and seconds > self.last:
            self.longest = max(self.longest, seconds - self.last)
            self.shortest = min(self.shortest or self.longest, seconds - self.last)
        self.last = seconds
        end = seconds + (packet.duration or 0) * self.unit
        self.unshifted_end = max(self.unshifted_end or end, end - self.shift)
        if self.end is None or end > self.end:
            self.end = end
        if len(self.stamps) < SAMPLE:
            self.stamps.append(seconds)

    def follow(self, decoded: float) -> None:
        """Where the clock jumps, two recordings have been joined: it goes on from where it was."""
        if self.decoded is not None and self.end is not None and not -BACK < decoded - self.decoded < JUMP:
            self.shift = self.end - decoded
        self.decoded = decoded


def scan(container: Any, streams: list[Any], enough: float) -> tuple[dict[int, Track], bool]:
    """Read packets until the end or until `enough` bytes; what came by for each stream, whether the end was reached."""
    jumpy = container.format.name in {"mpegts", "mpeg"}
    tracks = {stream.index: Track(jumpy, Packets(stream) if stream.type == "video" else None) for stream in streams}
    read = 0
    try:
        for packet in container.demux(streams):
            looked_into = tracks[packet.stream_index].looked_into
            if looked_into and packet.size:
                looked_into.add(packet)
            if packet.is_discard:
                continue
            tracks[packet.stream_index].add(packet)
            read += packet.size
            if read > enough and all(track.packets >= SAMPLE for track in tracks.values()):
                return tracks, False
            if read > 4 * enough:
                return tracks, False
    except BROKEN:
        pass  # damaged from here on: what came before counts
    return tracks, True


def scan_tail(container: Any, streams: list[Any], tracks: dict[int, Track]) -> None:
    """Learn where each stream really ends: jump close to the end the header promises and read on from there.

    Without a promise, or where there is no jumping, all of the file is read.
    """
    goal = (container.start_time or 0) + (container.duration or 0) - TAIL_SECONDS * av.time_base
    last: dict[int, Track] = {}
    with contextlib.suppress(*BROKEN):
        container.seek(max(goal, 0))
        last, _ = scan(container, streams, ALL)
    if not any(track.packets for track in last.values()):
        with contextlib.suppress(*BROKEN):
            container.seek(0)
            last, _ = scan(container, streams, ALL)
    for index, track in last.items():
        known = tracks[index].end
        if track.end is not None and (known is None or track.end > known):
            tracks[index].end = track.end


def missing_samples(stream: Any, size: int) -> float | None:
    """Second of the first sample that lies behind the end of the file, by the index of an MP4; None if none does."""
    entries = stream.index_entries
    count = len(entries)
    if not count or entries[count - 1].pos + entries[count - 1].size <= size:
        return None
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        if entries[middle].pos + entries[middle].size > size:
            high = middle
        else:
            low = middle + 1
    return float(entries[low].timestamp * stream.time_base)


def text(value: Any) -> str:
    """A name, or nothing."""
    return "" if value is None else str(value)


def describe_video(stream: Any, order: dict[str, Any], track: Track, ended: bool, picture: Any) -> dict[str, Any]:
    """Facts of a moving picture. `ended`: all of its packets have been seen; `picture()`: its first one."""
    context = stream.codec_context
    facts: dict[str, Any] = {
        "width": context.width or 0,
        "height": context.height or 0,
        "pixel_format": text(context.pix_fmt),
        "sample_aspect": ratio(stream.sample_aspect_ratio or context.sample_aspect_ratio),
        "guessed_rate": float(stream.guessed_rate or 0),
        "average_rate": float(stream.average_rate or 0),
        "stamps": track.stamps,
    }
    if track.looked_into is not None:
        facts |= track.looked_into.facts(track, ended)
    if not 0 < facts["width"] * facts["height"] <= order["max_pixels"]:
        return facts
    frame = picture()
    facts["decodes"] = frame is not None
    if frame is not None:
        facts |= {
            "width": frame.width,
            "height": frame.height,
            "pixel_format": frame.format.name,
            "bit_depth": max((component.bits for component in frame.format.components), default=8),
            "rotation": int(frame.rotation),
            "interlaced": bool(frame.interlaced_frame),
            "color_range": int(frame.color_range),
            "color_matrix": int(frame.colorspace),
            "color_primaries": int(frame.color_primaries),
            "color_transfer": int(frame.color_trc),
        }
    return facts


def ratio(value: Any) -> list[int]:
    """A fraction as two numbers; 1:1 if it says nothing."""
    return [value.numerator, value.denominator] if value else [1, 1]


def describe(  # noqa: PLR0917 - of what, asked what, times, how much of it
    stream: Any,
    order: dict[str, Any],
    track: Track,
    size: int,
    ended: bool,
    pictures: dict[int, Any] | None = None,
) -> dict[str, Any]:
    """Facts of one stream. `pictures`: the first one of each stream, as far as they have been decoded."""
    context = stream.codec_context
    facts: dict[str, Any] = {
        "index": stream.index,
        "type": stream.type,
        "codec": context.codec.canonical_name if context is not None else "",
        "profile": text(getattr(stream, "profile", "")),
        "language": text(stream.language),
        "default": bool(stream.disposition & Disposition.default),
        "cover": bool(stream.disposition & Disposition.attached_pic),
        "first": track.first,
        "end": track.end,
        "packets": track.packets,
        "header_duration": float(stream.duration * stream.time_base) if stream.duration else None,
        "missing_from": missing_samples(stream, size) if order["indexed"] else None,
    }
    if stream.type == "video" and context is not None:
        known = (pictures or {}).get(stream.index)
        facts |= describe_video(
            stream, order, track, ended, lambda: known if pictures is not None else first_frame(order, stream.index)
        )
    if stream.type == "audio" and context is not None:
        facts |= {
            "channels": context.channels or 0,
            "sample_rate": context.sample_rate or 0,
            "bit_rate": int(context.bit_rate or 0),
            "hole": max(track.longest - track.shortest, abs(track.shift)),  # where the clock jumps, sound doesn't fit
        }
    return facts


def result(order: dict[str, Any]) -> dict[str, Any]:
    """All facts of the file."""
    path = order["path"]
    size = os.stat(path).st_size  # noqa: PTH116
    try:
        container = open_file(order)
    except BROKEN as error:
        return {"error": type(error).__name__, **outside(path)}
    order["indexed"] = container.format.name.startswith("mov")
    streams = list(container.streams)
    facts: dict[str, Any] = {
        "container": container.format.name,
        "byte_size": size,
        "header_duration": container.duration / av.time_base if container.duration else None,
        "start": (container.start_time or 0) / av.time_base,
        "stream_count": len(streams),
        **outside(path),
        "streams": [],
    }
    playable = [stream for stream in streams if stream.type in {"video", "audio"}][: order["max_streams"]]
    if len(streams) > order["max_streams"] or not playable:
        return facts
    tracks, ended = scan(container, playable, order["scan_bytes"])
    facts["read_to_end"] = ended
    if not ended:
        scan_tail(container, playable, tracks)
    facts["streams"] = [describe(stream, order, tracks[stream.index], size, ended) for stream in playable]
    return facts
