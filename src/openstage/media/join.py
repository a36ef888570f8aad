"""Putting chunks together: what a whole rendition is, and the MP4 files for plain download."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from openstage.media import commands
from openstage.media.boxes import top_boxes
from openstage.media.chunks import Chunk, ChunkRung, LadderPlan
from openstage.media.describe import describe_mp4, peak_bandwidth, rate_of
from openstage.media.encoding import require_room
from openstage.media.errors import ChunksDontJoin, Unplayable
from openstage.media.ladder import Rung
from openstage.media.models import Rendition, Segment
from openstage.media.progress import MICROSECONDS
from openstage.media.sandbox import Limits, run
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

log = logging.getLogger(__name__)

LARGEST_GAP_US = 100_000  # between chunks; more of it is worth a line in the log
JOINING = Limits(seconds=3600, cpu_seconds=1800, nice=15)
COPIED = 1 << 20  # bytes at once


def join_renditions(plan: LadderPlan, chunks: Sequence[Chunk]) -> tuple[Rendition, ...]:
    """Describe the whole HLS renditions that a plan's chunks make up; nothing is read.

    Args:
        plan: of the ladder.
        chunks: all of its chunks, in any order.

    Returns:
        One rendition for each of `plan.rungs`, segments numbered from 0, paths as the chunks have them.

    Raises:
        ChunksDontJoin: a chunk lacks, or the pieces don't fit: initialisation sections differ, times run backwards.
        Unplayable: there is no picture in any chunk.

    """
    ordered = sorted(chunks, key=lambda chunk: chunk.number)
    if [chunk.number for chunk in ordered] != list(range(len(plan.chunks))):
        raise ChunksDontJoin(f"Of {len(plan.chunks)} chunks, {len(ordered)} are there.")
    return tuple(_join(rung, ordered) for rung in plan.rungs)


def _join(rung: Rung, chunks: Sequence[Chunk]) -> Rendition:
    """One whole rendition."""
    made = [part for chunk in chunks for part in chunk.rungs if part.quality == rung.quality]
    if not made:
        raise Unplayable("The file's picture can't be decoded: nothing comes out of it.")
    first = made[0]
    for part in made:
        if (part.init_digest, part.codecs, part.width, part.height) != (
            *(first.init_digest, first.codecs),
            *(first.width, first.height),
        ):
            raise ChunksDontJoin(f"Chunks of rung {rung.quality} have different initialisation sections.")
    segments = _segments(made)
    seconds = (made[-1].until_us - segments[0].start_us) / MICROSECONDS
    size = sum(segment.byte_size for segment in segments)
    average = round(size * 8 / max(seconds, 0.001))
    return Rendition(
        kind="hls_video",
        quality=rung.quality,
        path=first.init_path,
        init_size=first.init_size,
        segments=segments,
        width=first.width,
        height=first.height,
        frame_rate=rate_of(sum(part.frames for part in made), seconds),
        codecs=first.codecs,
        bandwidth=max(average, peak_bandwidth(segments)),
        average_bandwidth=average,
        duration_ms=round(seconds * 1000),
        byte_size=size + first.init_size,
    )


def _segments(parts: Sequence[ChunkRung]) -> tuple[Segment, ...]:
    """The segments of all chunks, each lasting until the next one begins."""
    for before, after in pairwise(parts):
        gap = after.segments[0].start_us - before.until_us
        if after.segments[0].start_us <= before.segments[-1].start_us:
            raise ChunksDontJoin(f"Chunks of rung {before.quality} overlap by {-gap} µs.")
        if abs(gap) > LARGEST_GAP_US:
            log.warning("rung %s: %d µs between two chunks", before.quality, gap)
    found = [segment for part in parts for segment in part.segments]
    edges = [*(segment.start_us for segment in found), parts[-1].until_us]
    return tuple(
        replace(segment, number=number, duration_us=max(1, edges[number + 1] - edges[number]))
        for number, segment in enumerate(found)
    )


async def join_mp4(
    quality: str, parts: Sequence[Path], sound: Path | None, path: Path, settings: Settings
) -> Rendition:
    """Put an MP4 for plain download together, its index in front; nothing is encoded.

    Args:
        quality: `1` or `2`.
        parts: the pictures of the chunks in order of time.
        sound: an MP4 file with the sound alone (see `sound.make_sound`); None: there is none.
        path: the file that is made, in an existing folder in which nothing else is touched.
        settings: which ffmpeg.

    Raises:
        ChunksDontJoin: the parts don't fit together.
        Unplayable: there are none.
        ScratchFull: the disk is full, or is so nearly.

    """
    if not parts:
        raise Unplayable("The file's picture can't be decoded: nothing comes out of it.")
    await asyncio.to_thread(require_room, path.parent, settings)
    pictures = path.with_name(f"{path.stem}-pictures.mp4")
    try:
        await asyncio.to_thread(_concatenate, parts, pictures)
        inputs = [item for one in (pictures, sound) if one for item in commands.input_arguments(one.absolute(), "mov")]
        arguments = [
            *commands.base_arguments(find_ffmpeg(settings), 1),
            "-copyts",  # a picture that begins later than the sound stays later
            *inputs,
            *("-map", "0:v", *(("-map", "1:a") if sound else ()), "-c", "copy", *commands.mp4_end(path.name)),
        ]
        readable = [one.absolute() for one in (pictures, sound) if one]
        finished = await run(arguments, limits=JOINING, readable=readable, writable=path.parent)
        if finished.status:
            raise ChunksDontJoin(f"The parts of an MP4 don't fit together: {finished.stderr[-160:]}")
    finally:
        pictures.unlink(missing_ok=True)
    return await asyncio.to_thread(describe_mp4, path, quality)


def _concatenate(parts: Sequence[Path], target: Path) -> None:
    """Write one file of fragments: the header of the first part, the fragments of all."""
    header: bytes | None = None
    with target.open("wb") as out:
        for path in parts:
            begin = _header_size(path)
            with path.open("rb") as part:
                head = part.read(begin)
                if header is None:
                    out.write(head)
                elif head != header:
                    raise ChunksDontJoin("Parts of an MP4 have different headers.")
                header = head
                while piece := part.read(COPIED):
                    out.write(piece)


def _header_size(path: Path) -> int:
    """Bytes before the first fragment."""
    try:
        return next(offset for name, offset, _ in top_boxes(path, ()) if name == b"styp") - 8
    except (ValueError, StopIteration) as error:
        raise ChunksDontJoin("A part of an MP4 isn't what it should be.") from error
