"""What would make players stumble over a stream of H.264 whose packets are passed on as they are (ITU-T H.264).

The quirks that are told:

    fields              it may hold pictures of single fields (7.4.2.1.1, frame_mbs_only_flag)
    open-gop            a keyframe isn't an IDR picture: nothing plays after a jump to it
    parameters          size or the like change on the way
    edits               some of it is hidden by an edit list
    begins-within       the first packet isn't a keyframe, or is followed by pictures that come before it
    stamps              packets have no time stamps, or times go back
    clock-jumps         the clock jumps, as where two recordings were joined
"""

import contextlib
from collections.abc import Iterator
from typing import Any

LOOKED_INTO = 24  # keyframes whose content is read
FEW = 40  # packets at the beginning that may come before the first keyframe
IDR, PARAMETERS = 5, 7  # nal_unit_type
INDEXED = 20_000  # entries of an index that are read
EXTENDED = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}  # profiles with more fields (7.3.2.1.1)


class Packets:
    """Takes note of a video stream's packets as they come by."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.h264 = stream.codec_context is not None and stream.codec_context.name == "h264"
        header = bytes(stream.codec_context.extradata or b"") if self.h264 else b""
        self.prefix = header[4] % 4 + 1 if len(header) > 6 and header[0] == 1 else 0
        self.parameters = set(sequence_parameters(header)) if self.h264 else set()
        self.quirks: set[str] = set()
        self.looked = self.count = self.bytes = self.keyframes = 0
        self.first_key: int | None = None
        self.last_key: float | None = None
        self.decoded: int | None = None
        self.longest = 0.0

    def add(self, packet: Any) -> None:
        """Take note of a packet."""
        if packet.is_discard:
            self.quirks.add("edits")
            return
        self.count += 1
        self.bytes += packet.size
        if packet.pts is None or (packet.dts is not None and self.decoded is not None and packet.dts < self.decoded):
            self.quirks.add("stamps")
        if packet.dts is not None:
            self.decoded = packet.dts
        if packet.is_keyframe:
            self.keyframe(packet)
        if self.count == 1 and not packet.is_keyframe:
            self.quirks.add("begins-within")
        if self.count < FEW and packet.pts is not None and self.first_key is not None and packet.pts < self.first_key:
            self.quirks.add("begins-within")

    def keyframe(self, packet: Any) -> None:
        """Take note of a keyframe."""
        self.keyframes += 1
        if packet.pts is not None:
            if self.first_key is None:
                self.first_key = packet.pts
            seconds = float(packet.pts * packet.time_base)
            if self.last_key is not None:
                self.longest = max(self.longest, seconds - self.last_key)
            self.last_key = seconds
        if not self.h264 or self.looked >= LOOKED_INTO:
            return
        self.looked += 1
        units = list(nal_units(bytes(packet), self.prefix))
        if not any(unit[0] & 31 == IDR for unit in units):
            self.quirks.add("open-gop")
        self.parameters |= {unit for unit in units if unit[0] & 31 == PARAMETERS}

    def facts(self, track: Any, ended: bool) -> dict[str, Any]:
        """What has been learnt. `track`: the stream's times; `ended`: all of the stream has come by."""
        span = (track.end or 0.0) - (track.first or 0.0)
        if ended and self.last_key is not None and track.unshifted_end is not None:
            self.longest = max(self.longest, track.unshifted_end - self.last_key)
        if track.shift:
            self.quirks.add("clock-jumps")
        with contextlib.suppress(OverflowError, ValueError):
            self.longest = max(self.longest, indexed_distance(self.stream))
        known = [facts for facts in map(parameter_facts, self.parameters) if facts]
        if len(self.parameters) > 1:
            self.quirks.add("parameters")
        if any(not whole for _, whole in known):
            self.quirks.add("fields")
        return {
            "level": known[0][0] if known else 0,
            "bits": self.bytes * 8 / span if span > 0 and self.count > 1 else 0.0,
            "keyframe_seconds": self.longest,
            "quirks": sorted(self.quirks),
        }


def indexed_distance(stream: Any) -> float:
    """Longest distance between keyframes in seconds, by the index at the beginning of the file; 0 without one."""
    entries = stream.index_entries
    longest, before = 0, None
    for number in range(min(len(entries), INDEXED)):
        entry = entries[number]
        if entry.is_keyframe:
            longest = max(longest, entry.timestamp - before) if before is not None else 0
            before = entry.timestamp
    return float(longest * stream.time_base)


def nal_units(content: bytes, prefix: int) -> Iterator[bytes]:
    """The NAL units of a packet: each behind its length in `prefix` bytes, or behind a start code if that is 0."""
    if prefix:
        at = 0
        while at + prefix < len(content):
            length = int.from_bytes(content[at : at + prefix], "big")
            if unit := content[at + prefix : at + prefix + length]:
                yield unit
            at += prefix + length
        return
    for unit in content.split(b"\0\0\1")[1:]:
        if unit := unit.rstrip(b"\0"):
            yield unit


def sequence_parameters(header: bytes) -> Iterator[bytes]:
    """The sequence parameter sets in a stream's header: AVCDecoderConfigurationRecord (14496-15) or start codes."""
    if not header or header[0] != 1:
        yield from (unit for unit in nal_units(header, 0) if unit[0] & 31 == PARAMETERS)
        return
    at = 6
    for _ in range(header[5] & 31 if len(header) > 5 else 0):
        length = int.from_bytes(header[at : at + 2], "big")
        if unit := header[at + 2 : at + 2 + length]:
            yield unit.rstrip(b"\0")
        at += 2 + length


class Bits:
    """Reads bits, and numbers in Exp-Golomb code (9.1)."""

    def __init__(self, content: bytes) -> None:
        self.value = int.from_bytes(content, "big")
        self.left = 8 * len(content)

    def take(self, count: int) -> int:
        """The next so many bits; IndexError behind the end."""
        self.left -= count
        if self.left < 0:
            raise IndexError("no bits left")
        return self.value >> self.left & ((1 << count) - 1)

    def number(self) -> int:
        """An unsigned number."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """A signed number."""
        code = self.number()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def parameter_facts(unit: bytes) -> tuple[int, bool] | None:
    """Level, and whether all pictures are whole frames, of a sequence parameter set (7.3.2.1.1); None if damaged."""
    bits = Bits(unit[1:].replace(b"\0\0\3", b"\0\0"))
    try:
        profile, _, level = bits.take(8), bits.take(8), bits.take(8)
        bits.number()
        if profile in EXTENDED:
            skip_high_profile(bits)
        bits.number()
        order = bits.number()
        if order == 0:
            bits.number()
        elif order == 1:
            bits.take(1)
            bits.signed()
            bits.signed()
            for _ in range(bits.number()):
                bits.signed()
        bits.number()
        bits.take(1)
        bits.number()
        bits.number()
        return level, bool(bits.take(1))
    except IndexError:
        return None


def skip_high_profile(bits: Bits) -> None:
    """Pass over the fields that only the higher profiles have."""
    chroma = bits.number()
    if chroma == 3:
        bits.take(1)
    bits.number()
    bits.number()
    bits.take(1)
    if bits.take(1):
        for matrix in range(12 if chroma == 3 else 8):
            if bits.take(1):
                skip_scaling_list(bits, 16 if matrix < 6 else 64)


def skip_scaling_list(bits: Bits, size: int) -> None:
    """Pass over a scaling list (7.3.2.1.1.1)."""
    scale = following = 8
    for _ in range(size):
        if following:
            following = (scale + bits.signed()) % 256
        scale = following or scale
