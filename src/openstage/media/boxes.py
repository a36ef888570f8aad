"""Reading the few facts we need back from MP4 files and fragments that our encoder made (ISO/IEC 14496-12, -14, -15).

The encoder worked on a hostile file, so nothing here trusts a size or a count.
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from openstage.media.errors import Unplayable

MOST = 64 * 1024**2  # bytes of one header box that are read
DURATION, SIZE, FLAGS, OFFSET = 0x100, 0x200, 0x400, 0x800  # fields of a sample in a `trun` box


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """One track of an initialisation section or MP4 file.

    Attributes:
        codec: RFC 6381.
        timescale: units per second.
        duration: seconds; 0 if the fragments tell it.
        delay: units by which its edit list shifts the picture to earlier times.
        width: pixels; 0 for sound; likewise height.
        samples: number of frames or packets; 0 if the fragments tell it.

    """

    codec: str
    timescale: int
    duration: float
    delay: int
    width: int
    height: int
    samples: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """One media segment, in the track's units, before the edit list: times at which its samples are shown.

    Attributes:
        first: when the earliest is shown; likewise the last one.
        lasts: duration of the sample that comes last in the file.
        samples: number of them.

    """

    first: int
    last: int
    lasts: int
    samples: int


def read_tracks(path: Path) -> list[TrackFacts]:
    """The tracks of an initialisation section or of a whole MP4 file.

    Raises:
        Unplayable: the file isn't what it should be: the encoder was led astray.

    """
    try:
        moov = _header(path, b"moov")
        return [_track(body) for name, body in children(moov) if name == b"trak"]
    except (struct.error, LookupError, ValueError, ArithmeticError, StopIteration) as error:
        raise Unplayable("Converting the file gave something that can't be played.") from error


def read_duration(path: Path) -> float:
    """Seconds that a whole MP4 file plays, without what its edit lists cut away.

    Raises:
        Unplayable: as in `read_tracks`.

    """
    try:
        header = find(_header(path, b"moov"), b"mvhd")
        version_1 = header[0] == 1
        timescale, duration = struct.unpack_from(">IQ" if version_1 else ">II", header, 20 if version_1 else 12)
        return float(duration / timescale)
    except (struct.error, LookupError, ValueError, ArithmeticError, StopIteration) as error:
        raise Unplayable("Converting the file gave something that can't be played.") from error


class NothingShown(Unplayable):
    """A segment holds no frame."""


def read_fragment(path: Path) -> Fragment:
    """Times of a media segment that holds one track; several fragments in it count as one.

    Raises:
        Unplayable: as in `read_tracks`.

    """
    shown: list[int] = []
    lasts = 0
    try:
        for moof in _headers(path, b"moof"):
            for traf in (body for name, body in children(moof) if name == b"traf"):
                tfdt = find(traf, b"tfdt")
                clock = struct.unpack_from(">Q" if tfdt[0] else ">I", tfdt, 4)[0]
                for lasts, offset, _ in samples_of(traf):
                    shown.append(clock + offset)
                    clock += lasts
    except (struct.error, LookupError, ValueError, StopIteration) as error:
        raise Unplayable("Converting the file gave something that can't be played.") from error
    if not shown:
        raise NothingShown("Converting the file gave a segment without content.")
    return Fragment(min(shown), max(shown), lasts, len(shown))


def top_boxes(path: Path, wanted: Collection[bytes]) -> Iterator[tuple[bytes, int, bytes]]:
    """Each box of the outermost level: name, where its content begins in the file, and its content if it is wanted.

    Raises:
        ValueError: a size can't be.

    """
    size = path.stat().st_size
    offset = 0
    with path.open("rb") as file:
        while offset + 8 <= size:
            file.seek(offset)
            head = file.read(16)
            name, length, skip = head[4:8], int.from_bytes(head[:4], "big"), 8
            if length == 1:
                length, skip = int.from_bytes(head[8:16], "big"), 16
            if length < skip:
                raise ValueError("box too short")
            content = b""
            if name in wanted:
                if length > MOST:
                    raise ValueError("box too long")
                file.seek(offset + skip)
                content = file.read(length - skip)
            yield name, offset + skip, content
            offset += length


def shift_fragment(path: Path, units: int) -> None:
    """Move all of a media segment to a later time (`tfdt`, and `sidx` where there is one), in the track's units.

    Raises:
        Unplayable: as in `read_tracks`.

    """
    content = bytearray(path.read_bytes())
    try:
        for at in _clocks(content):
            layout = ">Q" if content[at + 8] else ">I"
            field = at + (20 if content[at + 4 : at + 8] == b"sidx" else 12)
            struct.pack_into(layout, content, field, struct.unpack_from(layout, content, field)[0] + units)
    except (struct.error, ValueError) as error:
        raise Unplayable("Converting the file gave something that can't be played.") from error
    path.write_bytes(content)


def _clocks(content: bytes | bytearray, begin: int = 0, end: int | None = None) -> Iterator[int]:
    """Where the boxes `sidx` and `tfdt` begin."""
    at, end = begin, len(content) if end is None else end
    while at + 8 <= end:
        length, name = int.from_bytes(content[at : at + 4], "big"), bytes(content[at + 4 : at + 8])
        if length < 8:
            raise ValueError("box too short")
        if name in {b"sidx", b"tfdt"}:
            yield at
        elif name in {b"moof", b"traf"}:
            yield from _clocks(content, at + 8, min(end, at + length))
        at += length


def _headers(path: Path, wanted: bytes) -> Iterator[bytes]:
    """Contents of the top-level boxes of a name."""
    return (content for name, _, content in top_boxes(path, (wanted,)) if name == wanted)


def _header(path: Path, wanted: bytes) -> bytes:
    """Content of the first top-level box of a name."""
    for body in _headers(path, wanted):
        return body
    raise ValueError(f"no {wanted!r}")


def children(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes inside a box.

    Raises:
        ValueError: a size can't be.

    """
    offset = 0
    while offset + 8 <= len(body):
        length = int.from_bytes(body[offset : offset + 4], "big")
        if length < 8:
            raise ValueError("box too short")
        yield body[offset + 4 : offset + 8], body[offset + 8 : offset + length]
        offset += length


def find(body: bytes, *names: bytes) -> bytes:
    """Content of a box deeper down.

    Raises:
        StopIteration: there is none.

    """
    for name in names:
        body = next(inner for kind, inner in children(body) if kind == name)
    return body


def _track(trak: bytes) -> TrackFacts:
    """Facts of a `trak` box."""
    media = find(trak, b"mdia")
    header = find(media, b"mdhd")
    timescale, duration = struct.unpack_from(">IQ", header, 20) if header[0] else struct.unpack_from(">II", header, 12)
    table = find(media, b"minf", b"stbl")
    entry = find(table, b"stsd")[8:]
    name, inner = next(children(entry))
    samples = struct.unpack_from(">I", find(table, b"stsz"), 8)[0]
    delay = _delay(trak)
    if name == b"avc1":
        width, height = struct.unpack_from(">HH", inner, 24)
        return TrackFacts(
            _avc(find(inner[78:], b"avcC")), timescale, duration / timescale, delay, width, height, samples
        )
    if name == b"mp4a":
        return TrackFacts(_mp4a(find(inner[28:], b"esds")), timescale, duration / timescale, delay, 0, 0, samples)
    raise ValueError(f"unexpected codec {name!r}")


def _delay(trak: bytes) -> int:
    """Where in the track its edit list begins to play; 0 without one, or where it holds more than one edit."""
    edits = next((body for name, body in children(trak) if name == b"edts"), None)
    if edits is None:
        return 0
    table = find(edits, b"elst")
    if struct.unpack_from(">I", table, 4)[0] != 1:
        return 0
    return max(0, int(struct.unpack_from(">q" if table[0] else ">i", table, 16 if table[0] else 12)[0]))


def _avc(configuration: bytes) -> str:
    """`avc1.PPCCLL` from AVCDecoderConfigurationRecord: profile, constraints, level (RFC 6381, 3.3)."""
    return f"avc1.{configuration[1]:02x}{configuration[2]:02x}{configuration[3]:02x}"


def _mp4a(descriptors: bytes) -> str:
    """`mp4a.40.N` from an `esds` box: object type, then the audio object type of AudioSpecificConfig."""
    offset, kind = 4, descriptors[4]
    object_type = 0
    while True:
        offset += 1
        length = 0
        while True:  # a length is 7 bits a byte
            byte = descriptors[offset]
            offset += 1
            length = length << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if kind == 3:  # ES_Descriptor: id and flags (ours has no optional fields)
            offset += 3
        elif kind == 4:  # DecoderConfigDescriptor
            object_type = descriptors[offset]
            offset += 13
        elif kind == 5:  # DecoderSpecificInfo
            return f"mp4a.{object_type:02x}.{descriptors[offset] >> 3}"
        else:
            offset += length
        kind = descriptors[offset]


def samples_of(traf: bytes) -> Iterator[tuple[int, int, int]]:
    """Samples of a track fragment: duration, how much later than decoded it is shown, bytes (8.8.7, 8.8.8)."""
    usual, usual_size = _defaults(find(traf, b"tfhd"))
    for trun in (body for name, body in children(traf) if name == b"trun"):
        flags = int.from_bytes(trun[1:4], "big")
        count = struct.unpack_from(">I", trun, 4)[0]
        offset = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
        fields = [bit for bit in (DURATION, SIZE, FLAGS, OFFSET) if flags & bit]
        if offset + count * 4 * len(fields) > len(trun) or count > MOST:
            raise ValueError("run too long")
        # From version 1 on, the last field is signed; ours never are so large that it matters in version 0.
        layout = struct.Struct(">" + "".join("i" if bit == OFFSET else "I" for bit in fields))
        at = {bit: place for place, bit in enumerate(fields)}
        rows = layout.iter_unpack(trun[offset : offset + count * layout.size]) if fields else [()] * count
        for values in rows:
            yield (
                values[at[DURATION]] if DURATION in at else usual,
                values[at[OFFSET]] if OFFSET in at else 0,
                values[at[SIZE]] if SIZE in at else usual_size,
            )


def _defaults(tfhd: bytes) -> tuple[int, int]:
    """Default duration and size of a fragment's samples; 0 where it has none."""
    flags = int.from_bytes(tfhd[1:4], "big")
    offset = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    values = [0, 0]
    for place, bit in enumerate((8, 16)):
        if flags & bit:
            values[place] = int(struct.unpack_from(">I", tfhd, offset)[0])
            offset += 4
    return values[0], values[1]
