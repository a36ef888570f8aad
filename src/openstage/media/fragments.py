"""From a chunk of an encoder's output to media segments that fit those of any other chunk (ISO/IEC 14496-12, 8.8).

The encoder of each chunk delays reordered frames by as much as its first frames happen to take, and notes that delay
in its edit list. Here every chunk of a rung gets the same edit list, so that all have the same initialisation section,
and decode times that go on from chunk to chunk. The times at which frames are shown stay as they are.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openstage.media.boxes import children, find, read_tracks, samples_of, top_boxes
from openstage.media.errors import Unplayable

TIMESCALE = 90_000  # of every picture we encode
PER_CHUNK = 10_000  # fragments that a chunk may have; their numbers increase over the whole rendition
REORDERED = 2  # frames by which x264 decodes ahead with our settings
SYNC, NO_SYNC = 0x02000000, 0x01010000  # sample flags: needs no other frame; needs some
BRANDS = b"msdh" + bytes(4) + b"msdhmsixcmfc"
MOST_FRAGMENT = 1 << 30  # bytes of a fragment that are read


@dataclass(frozen=True, slots=True)
class Sample:
    """One coded frame: when it is shown (units of `TIMESCALE`), for how long as the encoder has it, and its bytes."""

    shown: int
    lasts: int
    size: int


@dataclass(frozen=True, slots=True)
class Group:
    """Coded frames from one keyframe to the next, in the order of decoding, and where their bytes are in the file."""

    samples: tuple[Sample, ...]
    offset: int

    @property
    def first(self) -> int:
        """When the first of them is shown."""
        return min(sample.shown for sample in self.samples)

    @property
    def size(self) -> int:
        """Bytes of them all."""
        return sum(sample.size for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Piece:
    """What an encoder made of a chunk: `init` without an edit list, groups in order."""

    path: Path
    init: bytes
    groups: tuple[Group, ...]

    @property
    def frames(self) -> int:
        """How many there are."""
        return sum(len(group.samples) for group in self.groups)

    @property
    def last(self) -> Sample:
        """The frame that is shown last."""
        return max((sample for group in self.groups for sample in group.samples), key=lambda sample: sample.shown)


def read_piece(path: Path) -> Piece | None:
    """Read the index of a file that the encoder wrote with `commands.PIECE_FLAGS`.

    Returns:
        None if there is no frame in it.

    Raises:
        Unplayable: the file isn't what it should be: the encoder was led astray.

    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        init, groups = b"", []
        edit: int | None = None
        pending: list[Sample] = []
        for name, offset, body in top_boxes(path, (b"ftyp", b"moov", b"moof")):
            if name == b"moof":
                if edit is None:
                    edit = _delay(path)
                pending = list(_samples(body, edit))
            elif name == b"mdat" and pending:
                groups.append(Group(tuple(pending), offset))
                pending = []
            elif name == b"ftyp":
                init += box(name, body)
            elif name == b"moov":
                init += box(name, _without_edits(body))
        return Piece(path, init, tuple(groups)) if groups else None
    except (struct.error, LookupError, ValueError, StopIteration) as error:
        raise Unplayable("Converting the file gave something that can't be played.") from error


def box(name: bytes, *content: bytes) -> bytes:
    """A box."""
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, name) + body


def _delay(path: Path) -> int:
    """How much later than shown the encoder's clock has every frame: what its edit list takes back."""
    tracks = read_tracks(path)
    if len(tracks) != 1 or tracks[0].timescale != TIMESCALE:
        raise ValueError("not one track with our clock")
    return tracks[0].delay


def _samples(moof: bytes, delay: int) -> Iterator[Sample]:
    """The samples of a movie fragment with one track."""
    for traf in (body for name, body in children(moof) if name == b"traf"):
        tfdt = find(traf, b"tfdt")
        clock = struct.unpack_from(">Q" if tfdt[0] else ">I", tfdt, 4)[0]
        for lasts, offset, size in samples_of(traf):
            yield Sample(clock + offset - delay, lasts, size)
            clock += lasts


def _without_edits(moov: bytes) -> bytes:
    """A movie header whose tracks have no edit lists."""
    parts = []
    for name, body in children(moov):
        if name == b"trak":
            parts.append(box(name, *(box(inner, content) for inner, content in children(body) if inner != b"edts")))
        elif name != b"udta":  # holds the name of the muxer and no more
            parts.append(box(name, body))
    return b"".join(parts)


def init_section(piece: Piece, delay: int) -> bytes:
    """The initialisation section that all chunks of a rung share.

    Args:
        piece: of any chunk.
        delay: by how much later its fragments have every frame.

    """
    boxes = []
    for name, body in children(piece.init):
        content = body
        if name == b"moov":
            content = b"".join(
                box(inner, _with_edit(part, delay) if inner == b"trak" else part) for inner, part in children(body)
            )
        boxes.append(box(name, content))
    return b"".join(boxes)


def _with_edit(trak: bytes, delay: int) -> bytes:
    """A track that is shown from `delay` on: one edit of unknown length at the usual rate (8.6.6)."""
    edits = box(b"edts", box(b"elst", struct.pack(">IIIiI", 0, 1, 0, delay, 0x10000)))
    parts = []
    for name, body in children(trak):
        parts.append(box(name, body))
        if name == b"tkhd":
            parts.append(edits)
    return b"".join(parts)


def digest(init: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(init).hexdigest()


def decode_times(shown: Sequence[int], delay: int) -> list[int]:
    """When each frame is decoded, in order: as many frames ahead of when it is shown as the reordering needs.

    The first frames of a chunk have none before them to take the time of; they follow each other at the pace that
    `delay` allows, so that the frames of the chunk before come earlier still.
    """
    order = sorted(shown)
    ahead = REORDERED
    while any(order[number - ahead] > moment for number, moment in enumerate(shown) if number >= ahead):
        ahead += 1
    ahead = min(ahead, max(1, delay))
    step = delay // ahead
    before = [order[0] - (ahead - number) * step for number in range(min(ahead, len(order)))]
    return [*before, *order[: max(0, len(order) - ahead)]]


def fragments(piece: Piece, chunk: int, delay: int, until: int) -> Iterator[bytes]:
    """Media segments of a chunk, one for each keyframe.

    Args:
        piece: of the chunk.
        chunk: its number.
        delay: as in `init_section`.
        until: when the frame behind the last one is shown, in units of `TIMESCALE`.

    """
    samples = [sample for group in piece.groups for sample in group.samples]
    decoded = decode_times([sample.shown for sample in samples], delay)
    end = max(decoded[-1] + 1, until - delay)
    lasts = [after - before for before, after in zip(decoded, [*decoded[1:], end], strict=True)]
    at = 0
    with piece.path.open("rb") as file:
        for number, group in enumerate(piece.groups):
            stop = at + len(group.samples)
            if group.size > MOST_FRAGMENT:
                raise Unplayable("The file becomes too large when it is converted.")
            file.seek(group.offset)
            media = file.read(group.size)
            if len(media) != group.size:
                raise Unplayable("Converting the file gave something that can't be played.")
            head = _moof(chunk * PER_CHUNK + number + 1, group.samples, decoded[at:stop], lasts[at:stop], delay)
            yield box(b"styp", BRANDS) + head + box(b"mdat", media)
            at = stop


def _moof(number: int, samples: Sequence[Sample], decoded: Sequence[int], lasts: Sequence[int], delay: int) -> bytes:
    """A movie fragment whose first sample is a keyframe (8.8.4 to 8.8.12)."""
    steady = len(set(lasts)) == 1
    flags = 0x1 | 0x4 | 0x200 | 0x800 | (0 if steady else 0x100)  # data offset, first flags, sizes, offsets, durations
    rows = bytearray()
    for sample, moment, duration in zip(samples, decoded, lasts, strict=True):
        rows += b"" if steady else struct.pack(">I", duration)
        rows += struct.pack(">Ii", sample.size, sample.shown - moment)
    # Base is this box; default duration and flags.
    tfhd = box(b"tfhd", struct.pack(">IIII", 0x020000 | 0x8 | 0x20, 1, lasts[0], NO_SYNC))
    tfdt = box(b"tfdt", struct.pack(">IQ", 1 << 24, max(0, decoded[0] + delay)))

    def whole(offset: int) -> bytes:
        trun = box(b"trun", struct.pack(">IIiI", 1 << 24 | flags, len(samples), offset, SYNC), bytes(rows))
        return box(b"moof", box(b"mfhd", struct.pack(">II", 0, number)), box(b"traf", tfhd, tfdt, trun))

    return whole(len(whole(0)) + 8)
