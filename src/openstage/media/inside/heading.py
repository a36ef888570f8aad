"""The facts of a media file's header and first packets: a quick look, at what has arrived of it."""

import contextlib
import itertools
from typing import Any

import av

from .opening import BROKEN, open_file, ready
from .packets import Packets
from .probing import SAMPLE, Track, describe
from .received import ReceivedFile

SECONDS, BYTES = 1.5, 4 * 1024**2  # read at the beginning: up to the first of these,
KEYFRAMES, LONGEST, MOST_BYTES = 2, 11.0, 64 * 1024**2  # and to the second keyframe, or so far;
INDEXED_SECONDS = 0.2  # this much where an index tells the rest
INDEXED_SHARE = 0.9  # of a file that an index of all of it covers at least
PICTURES = 120  # packets of a picture out of which one must come
REORDERED = 16  # pictures among which the order of the file isn't that of their times
INDEXED = frozenset({"mov"})  # formats (the first of ffmpeg's names) whose index tells of keyframes


class Beginning:
    """What has been read at the beginning of a file.

    Attributes:
        tracks: times of each stream, by index.
        pictures: the first picture of each stream.
        bytes: of packets.
        enough: it went as far as is wanted; else the file, or what has arrived of it, ended before.

    """

    def __init__(self, container: Any, streams: list[Any], order: dict[str, Any]) -> None:
        name = container.format.name
        self.indexed = name.split(",")[0] in INDEXED
        jumpy = name in {"mpegts", "mpeg"}
        self.streams = streams
        self.tracks = {it.index: Track(jumpy, Packets(it) if it.type == "video" else None) for it in streams}
        self.pictured = [it.index for it in streams if it.type == "video" and small_enough(it, order)]
        self.pictures: dict[int, Any] = {}
        self.bytes = 0
        self.enough = False
        for stream in streams:
            if stream.type == "video":
                ready(stream, order)
        with contextlib.suppress(*BROKEN):
            for packet in container.demux(streams):
                self.take(packet)
                self.enough = self.far()
                if self.enough:
                    return

    @property
    def seconds(self) -> float:
        """How far all streams that have begun have been read."""
        spans = [track.end - track.first for track in self.tracks.values() if track.end and track.first is not None]
        return min(spans, default=0.0)

    def far(self) -> bool:
        """Whether no more need be read."""
        if self.bytes < BYTES and not all(track.packets for track in self.tracks.values()):
            return False
        if self.indexed and len(self.pictures) == len(self.pictured) and self.seconds > INDEXED_SECONDS:
            return True
        if self.seconds < SECONDS and self.bytes < BYTES:
            return False
        unsure = any(
            track.looked_into and track.looked_into.h264 and track.looked_into.keyframes < KEYFRAMES
            for track in self.tracks.values()
        )
        return self.indexed or not unsure or self.seconds > LONGEST or self.bytes > MOST_BYTES

    def indexed_part(self, size: int) -> float:
        """Seconds that the file may last by an index of its first fragments; 0 if there is none, or one of all."""
        indices = [(stream, stream.index_entries) for stream in self.streams]
        last = [(stream, index[len(index) - 1]) for stream, index in indices if len(index)]
        end = max((entry.pos + entry.size for _, entry in last), default=0)
        if not self.indexed or not 0 < end < INDEXED_SHARE * size:
            return 0.0
        return max(float(entry.timestamp * stream.time_base) for stream, entry in last) * size / end

    def take(self, packet: Any) -> None:
        """Take note of a packet, and decode it as long as its stream has shown no picture."""
        stream = packet.stream
        track = self.tracks[stream.index]
        self.bytes += packet.size
        if packet.size and track.looked_into:
            track.looked_into.add(packet)
        if stream.type == "video" and stream.index not in self.pictures and track.packets < PICTURES:
            with contextlib.suppress(*BROKEN):
                for frame in packet.decode():
                    self.pictures.setdefault(stream.index, frame)
        if not packet.is_discard:
            track.add(packet)


def small_enough(stream: Any, order: dict[str, Any]) -> bool:
    """Whether a picture is decoded at all."""
    context = stream.codec_context
    return context is not None and context.width * context.height <= order["max_pixels"]


def result(order: dict[str, Any]) -> dict[str, Any]:
    """Facts as `probing` tells them; the ends of streams by the header, or by the bit rate so far.

    `enough` is false if nothing ought to be concluded from so little; `sure` is true if an index tells all that a
    verdict on the whole file needs: where each stream ends, and that the file is as long as that takes.
    """
    try:
        container = open_file(order, ReceivedFile(order["path"], order["size"], order["ranges"]))
    except BROKEN as error:
        return {"error": type(error).__name__}
    whole = order["ranges"][0] == [0, order["size"]]
    order["indexed"] = container.format.name.split(",")[0] in INDEXED
    streams = list(container.streams)
    facts: dict[str, Any] = {
        "container": container.format.name,
        "byte_size": order["size"],
        "header_duration": container.duration / av.time_base if container.duration else None,
        "start": (container.start_time or 0) / av.time_base,
        "stream_count": len(streams),
        "enough": whole,
        "sure": False,
        "streams": [],
    }
    playable = [stream for stream in streams if stream.type in {"video", "audio"}][: order["max_streams"]]
    if len(streams) > order["max_streams"] or not playable:
        return facts
    begun = Beginning(container, playable, order)
    facts["enough"] = whole or begun.enough
    size = order["size"]
    facts["streams"] = [describe(it, order, begun.tracks[it.index], size, False, begun.pictures) for it in playable]
    expect_ends(facts, begun, whole)
    if begun.indexed:
        for stream, told in zip(playable, facts["streams"], strict=True):
            look_up(stream, told)
        facts["sure"] = begun.indexed_part(size) == 0.0 and all(
            told["header_duration"] and told["missing_from"] is None and len(stream.index_entries)
            for stream, told in zip(playable, facts["streams"], strict=True)
        )
    for told in facts["streams"]:
        told["missing_from"] = None  # what is missing is told of whole files only
    return facts


def look_up(stream: Any, told: dict[str, Any]) -> None:
    """What the index tells: how many packets, times of pictures and their bits, the longest hole in the sound."""
    index = stream.index_entries
    told["packets"] = max(told["packets"], len(index))
    entries = [index[number] for number in range(min(len(index), SAMPLE))]
    times = [float(entry.timestamp * stream.time_base) for entry in entries]
    steps = sorted(after - before for before, after in itertools.pairwise(times))
    if len(steps) > REORDERED and stream.type == "video":
        told["stamps"] = times
        told["bits"] = 8 * sum(entry.size for entry in entries[:-1]) / max(times[-1] - times[0], 0.001)
    elif len(steps) > REORDERED:
        told["hole"] = max(told["hole"], steps[-1] - steps[len(steps) // 2])


def expect_ends(facts: dict[str, Any], begun: Beginning, whole: bool) -> None:
    """Where each stream ends: as its own header has it, else as the file's has it, else at the rate so far."""
    rough = begun.seconds * facts["byte_size"] / begun.bytes if begun.bytes else 0.0
    # Without a header ffmpeg looks at the end, and adds up those fragments that have come.
    part = 0.0 if whole else begun.indexed_part(facts["byte_size"])
    guessed = not whole and (part or facts["container"] in {"mpegts", "mpeg"})
    lasts = part or rough if guessed or not facts["header_duration"] else facts["header_duration"]
    for stream in facts["streams"]:
        own = None if guessed else stream["header_duration"]
        first = stream["first"] if stream["first"] is not None else facts["start"]
        stream["end"] = first + own if own else facts["start"] + lasts
        if "stamps" in stream and len(stream["stamps"]) > 2 * REORDERED:  # of the last ones, some are still to come
            stream["stamps"] = sorted(stream["stamps"])[:-REORDERED]
