"""The ladder in chunks: each is decoded once for all rungs, alone, and joins its neighbours to the frame."""

import asyncio
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from msgspec import Struct, structs

from openstage.media import commands
from openstage.media.boxes import read_tracks
from openstage.media.commands import Mp4, Source, Window
from openstage.media.encoders import Encoder, EncoderName, encoder_named
from openstage.media.encoding import encode, require_room
from openstage.media.errors import EncoderLost, TookTooLong, Unplayable
from openstage.media.fragments import REORDERED, TIMESCALE, Piece, digest, fragments, init_section, read_piece
from openstage.media.ladder import Rung
from openstage.media.models import MediaInfo, Segment
from openstage.media.mp4s import TRIES, smaller
from openstage.media.planning import LadderPlan, plan_ladder
from openstage.media.progress import MICROSECONDS, OnProgress, Percent
from openstage.media.seeking import first_moment, seek_before
from openstage.media.timing import exact_rate
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.settings import Settings

__all__ = [
    "Chunk",
    "ChunkPart",
    "ChunkRung",
    "EncoderName",
    "LadderPlan",
    "make_chunk",
    "plan_ladder",
]

WHOLE = "whole.mp4"  # what ffmpeg writes of a rung before it is taken apart
BEHIND = "behind.txt"
LONGEST_LAST_FRAME = 10  # seconds


class ChunkRung(Struct, frozen=True, kw_only=True):
    """What a chunk has made of one rung.

    Attributes:
        quality: of the rung.
        init_path: its initialisation section, the same bytes in every chunk of a rung.
        init_size: bytes.
        init_digest: SHA-256 of it, hexadecimal.
        codecs: RFC 6381.
        width: pixels; likewise height.
        frames: number of pictures.
        until_us: when the frame behind the last one is shown, microseconds on the medium's time line.
        segments: numbered from 0 within the chunk, times on the medium's time line; a `path` is only passed on by
            `join_renditions`, so a key of the object store may stand in its place.

    """

    quality: str
    init_path: str
    init_size: int
    init_digest: str
    codecs: str
    width: int
    height: int
    frames: int
    until_us: int
    segments: tuple[Segment, ...]


class ChunkPart(Struct, frozen=True, kw_only=True):
    """A chunk's share of an MP4's picture: a file that `join_mp4` takes."""

    quality: str
    path: str
    byte_size: int


class Chunk(Struct, frozen=True, kw_only=True):
    """One finished chunk; `rungs` and `parts` are empty where the source has no picture between its ends."""

    number: int
    rungs: tuple[ChunkRung, ...] = ()
    parts: tuple[ChunkPart, ...] = ()


async def make_chunk(  # noqa: PLR0917 - what, of it, where, how
    source: Path,
    info: MediaInfo,
    plan: LadderPlan,
    number: int,
    folder: Path,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
) -> Chunk:
    """Make all rungs and MP4 parts of one chunk.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        plan: from `plan_ladder()`, maybe by way of JSON.
        number: of the chunk, from 0.
        folder: an existing, empty folder; the caller's. Nothing is written elsewhere.
        settings: which ffmpeg, its threads, disk space that must stay free.
        on_progress: called with 0 … 100, never going back, on the event loop's thread.

    Raises:
        Unplayable: the file can't be decoded.
        TookTooLong: over the time that the chunk's duration justifies.
        EncoderLost: the hardware encoder failed; plan again with the setting `encoder` as `software`.
        ScratchFull: the disk is full, or is so nearly.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    await asyncio.to_thread(require_room, folder, settings)
    work = await _prepare(Source.of(source, info), plan, number, settings)
    await asyncio.to_thread(_make_folders, work, folder)
    percent = Percent(work.seconds, on_progress, work.window.start)
    await _encode(work, folder, settings, percent)
    behind = await asyncio.to_thread(_behind, folder / BEHIND)
    if work.window.seek is not None and behind is None and await asyncio.to_thread(_nothing, work, folder):
        # Better slow than wrong: what a jump doesn't lead to may be there for those who read on.
        work = replace(work, window=replace(work.window, seek=None))
        await _encode(work, folder, settings, percent)
        behind = await asyncio.to_thread(_behind, folder / BEHIND)
    rungs = await asyncio.to_thread(_collect_rungs, work, folder, behind)
    parts = [await _make_part(work, mp4, folder, settings, behind) for mp4 in plan.mp4s]
    (folder / BEHIND).unlink(missing_ok=True)
    percent.report(100)
    return Chunk(number=number, rungs=rungs, parts=tuple(part for part in parts if part))


async def _encode(work: "Work", folder: Path, settings: Settings, percent: Percent) -> None:
    """Run ffmpeg on a chunk."""
    try:
        await encode(
            chunk_arguments(work, settings),
            work.source.path,
            folder,
            seconds=work.seconds,
            decoded=work.window.start - (work.window.seek or 0.0),
            percent=percent,
            devices=work.encoder.devices,
            # A work of one chunk has nothing else to do with the other processors.
            cores=settings.encoder_threads if len(work.plan.chunks) > 1 else 0,
        )
    except (Unplayable, TookTooLong) as error:
        if work.plan.encoder == "software":
            raise
        raise EncoderLost(f"The encoder {work.plan.encoder} failed: {error.message}") from error


@dataclass(frozen=True, slots=True)
class Work:
    """One chunk to be made."""

    source: Source
    plan: LadderPlan
    number: int
    window: Window
    encoder: Encoder

    @property
    def seconds(self) -> float:
        """How long the chunk is."""
        start, end = self.plan.chunks[self.number]
        return (end - start) / MICROSECONDS

    @property
    def sizes(self) -> tuple[Rung, ...]:
        """The rungs whose frames are needed, from the smallest on."""
        needed = {rung.quality: rung for rung in self.plan.rungs}
        needed |= {mp4.rung.quality: mp4.rung for mp4 in self.plan.mp4s if mp4.rung}
        return tuple(sorted(needed.values(), key=lambda rung: rung.short_side))

    @property
    def looks_behind(self) -> bool:
        """Whether it takes a look at the frame behind the chunk, to know how long the last one is shown."""
        return self.window.end is not None and self.sizes[-1].rate is None


async def _prepare(source: Source, plan: LadderPlan, number: int, settings: Settings) -> Work:
    """Find out where decoding has to begin."""
    start, end = (edge / MICROSECONDS for edge in plan.chunks[number])
    last = number == len(plan.chunks) - 1
    seek = await seek_before(source.path, source.info, start, settings) if plan.seek and number else None
    return Work(source, plan, number, Window(start, None if last else end, seek), encoder_named(plan.encoder))


def _make_folders(work: Work, folder: Path) -> None:
    for rung in work.plan.rungs:
        (folder / "hls" / rung.quality).mkdir(parents=True)
    (folder / "mp4").mkdir()


def chunk_arguments(work: Work, settings: Settings) -> list[str]:
    """The ffmpeg command that makes a chunk."""
    threads = thread_count(settings)
    source, window = work.source, work.window
    uses: dict[str, list[str]] = {rung.quality: [] for rung in work.sizes}
    outputs: list[str] = []
    chains: list[str] = []

    def add(pad: str, rung: Rung, encoder: list[str], path: str) -> None:
        uses[rung.quality].append(pad)
        if filters := work.encoder.handing_over():
            chains.append(f"[{pad}]{filters}[{pad}x]")
            pad += "x"
        outputs.extend(["-map", f"[{pad}]", *encoder, *commands.piece_output(path)])

    for rung in work.plan.rungs:
        add(f"hls{rung.quality}", rung, work.encoder.arguments(rung, threads=threads), f"hls/{rung.quality}/{WHOLE}")
    seconds = min(end - start for start, end in work.plan.chunks) / MICROSECONDS  # the same limits for all chunks
    for mp4 in work.plan.mp4s:
        if mp4.rung:
            encoder = work.encoder.arguments(mp4.rung, rate=mp4.video_rate, seconds=seconds, threads=threads)
            add(f"mp4{mp4.quality}", mp4.rung, encoder, f"mp4/{mp4.quality}-{WHOLE}")
    after = "after" if work.looks_behind else None
    if after:
        outputs += ["-map", f"[{after}]", *commands.first_stamp(BEHIND)]
    graph = [*commands.picture_graph(source, work.sizes, uses, window, after), *chains]
    return [
        *commands.base_arguments(find_ffmpeg(settings), threads),
        *("-max_error_rate", "1"),  # of a damaged stretch, what can be decoded is taken; the others make up the work
        *work.encoder.opening(),
        *commands.input_arguments(source.path, source.info.container, threads, seek=window.seek, keep_times=True),
        *("-filter_complex", ";".join(graph)),
        *outputs,
    ]


def _nothing(work: Work, folder: Path) -> bool:
    """Whether not one frame came out."""
    wholes = [folder / "hls" / rung.quality / WHOLE for rung in work.plan.rungs]
    wholes += [folder / "mp4" / f"{mp4.quality}-{WHOLE}" for mp4 in work.plan.mp4s]
    return read_piece(wholes[0]) is None  # all get the same frames


def _collect_rungs(work: Work, folder: Path, behind: int | None) -> tuple[ChunkRung, ...]:
    """Turn what ffmpeg wrote into segments."""
    rungs = []
    for rung in work.plan.rungs:
        whole = folder / "hls" / rung.quality / WHOLE
        piece = read_piece(whole)
        if piece:
            rungs.append(_rung(work, rung, piece, behind))
        whole.unlink(missing_ok=True)
    return tuple(rungs)


async def _make_part(work: Work, mp4: Mp4, folder: Path, settings: Settings, behind: int | None) -> ChunkPart | None:
    """Turn what ffmpeg wrote into a part of an MP4; where it is over its limit, make it again with fewer bits."""
    whole, path = folder / "mp4" / f"{mp4.quality}-{WHOLE}", folder / "mp4" / f"{mp4.quality}.mp4"
    for left in reversed(range(TRIES)):
        piece = await asyncio.to_thread(read_piece, whole)
        if piece is None or mp4.rung is None:
            whole.unlink(missing_ok=True)
            return None
        until = _until(work, mp4.rung, piece, behind)
        fewer = smaller(mp4, piece, until) if left else None
        if fewer is None:
            await asyncio.to_thread(_write_part, work, mp4.rung, piece, path, until)
            break
        mp4 = fewer
        alone = replace(work, plan=structs.replace(work.plan, rungs=(), mp4s=(mp4,)))
        await _encode(alone, folder, settings, Percent(0, None))
    whole.unlink(missing_ok=True)
    return ChunkPart(quality=mp4.quality, path=str(path), byte_size=path.stat().st_size)


def _write_part(work: Work, rung: Rung, piece: Piece, path: Path, until: int) -> None:
    delay = delay_of(work.source, rung)
    with path.open("wb") as file:
        file.write(init_section(piece, delay))
        file.writelines(fragments(piece, work.number, delay, until))


def _behind(path: Path) -> int | None:
    """When the first frame behind the chunk is shown, in units of our clock; None: there is none, or nobody looked."""
    moment = first_moment(path.read_text("ascii", "replace")) if path.exists() else None
    return None if moment is None else round(moment * TIMESCALE)


def _rung(work: Work, rung: Rung, piece: Piece, behind: int | None) -> ChunkRung:
    """Write a rung's segments and describe them."""
    folder, delay = piece.path.parent, delay_of(work.source, rung)
    init, init_path = init_section(piece, delay), folder / "init.mp4"
    init_path.write_bytes(init)
    track = read_tracks(init_path)[0]
    until = _until(work, rung, piece, behind)
    edges = [_microseconds(moment) for moment in [*(group.first for group in piece.groups), until]]
    segments = []
    for number, content in enumerate(fragments(piece, work.number, delay, until)):
        path = folder / f"{work.number:05}-{number:05}.m4s"
        path.write_bytes(content)
        lasts = max(1, edges[number + 1] - edges[number])
        segments.append(
            Segment(number=number, path=str(path), start_us=edges[number], duration_us=lasts, byte_size=len(content))
        )
    return ChunkRung(
        quality=rung.quality,
        init_path=str(init_path),
        init_size=len(init),
        init_digest=digest(init),
        codecs=track.codec,
        width=track.width,
        height=track.height,
        frames=piece.frames,
        until_us=edges[-1],
        segments=tuple(segments),
    )


def _microseconds(moment: int) -> int:
    return round(moment * MICROSECONDS / TIMESCALE)


def frame_ticks(source: Source, rung: Rung) -> Fraction:
    """How long a frame of a rung is shown at the usual pace, in units of our clock."""
    assert source.video is not None
    return TIMESCALE / (rung.frame_rate or exact_rate(source.video.nominal_frame_rate or 25.0))


def delay_of(source: Source, rung: Rung) -> int:
    """By how much later than shown a rung's fragments have every frame: the same in all chunks."""
    return REORDERED * round(frame_ticks(source, rung))


def _until(work: Work, rung: Rung, piece: Piece, behind: int | None) -> int:
    """When the frame behind the last one of a chunk is shown, in units of our clock."""
    usual, last = frame_ticks(work.source, rung), piece.last.shown
    if rung.rate is not None:
        return round((round(last / usual) + 1) * usual)
    if behind is not None:
        return max(behind, last + 1)
    video = work.source.video
    assert video is not None
    until = last + round(usual)
    if video.variable_frame_rate:
        # The last picture stands until the source ends.
        end = round((video.start + video.duration) * TIMESCALE)
        until = max(until, min(end, last + LONGEST_LAST_FRAME * TIMESCALE))
    return until
