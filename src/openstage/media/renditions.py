"""Making everything that players are given: one ffmpeg process, one decode, all rungs and files at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from openstage.media import commands
from openstage.media.boxes import Fragment, TrackFacts, read_fragment, read_tracks
from openstage.media.commands import MP4_LIMIT, MP4_SOUND, MP4_SOUND_ALONE, Mp4, Source
from openstage.media.describe import describe_mp4, peak_bandwidth, rate_of
from openstage.media.encoding import BASE_SECONDS, SLOWEST, encode, reason_of, require_room
from openstage.media.errors import Unplayable
from openstage.media.ladder import MP4_STEPS, Rung, ladder
from openstage.media.models import MediaInfo, Rendition, Segment
from openstage.media.progress import MICROSECONDS, OnProgress, Percent
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.settings import Settings

__all__ = [
    "BASE_SECONDS",
    "LONGEST_LAST_FRAME",
    "MICROSECONDS",
    "SLOWEST",
    "Plan",
    "describe_mp4",
    "encode_arguments",
    "make_plan",
    "make_renditions",
    "peak_bandwidth",
    "plan_mp4s",
    "reason_of",
]

LONGEST_LAST_FRAME = 10  # seconds
MP4_TRIES = 3  # with a lower bit rate each time, until the file is within its limit
SMALLEST_MP4 = 4096  # bytes: of a few frames the index alone is more than the limit allows
MUXING_RATE = 6_000  # bits per second that an MP4's index takes, at most,
MUXING_FIXED = 24_000  # and bits that it takes however short the file is


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made of a source."""

    source: Source
    rungs: tuple[Rung, ...]
    mp4s: tuple[Mp4, ...]


async def make_renditions(
    source: Path,
    info: MediaInfo,
    folder: Path,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
) -> tuple[Rendition, ...]:
    """Make the HLS rungs, the HLS sound and the MP4 files of a medium.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        folder: an existing, empty folder; the caller's, who removes it afterwards. Nothing is written elsewhere.
        settings: which ffmpeg, its threads, disk space that must stay free.
        on_progress: called with 0 … 100, never going back, on the event loop's thread.

    Raises:
        Unplayable: the file can't be decoded.
        TookTooLong: over the time that its duration justifies.
        ScratchFull: the disk is full, or is so nearly.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    plan = make_plan(source, info)
    await asyncio.to_thread(_prepare, plan, folder, settings)
    percent = Percent(plan.source.end, on_progress)
    await _encode(encode_arguments(plan, settings), plan, folder, percent)
    made = await asyncio.to_thread(_collect, plan, folder)
    mp4s = [await _within_limit(plan, mp4, folder, settings) for mp4 in plan.mp4s]
    percent.report(100)
    return (*made, *mp4s)


def make_plan(source: Path, info: MediaInfo) -> Plan:
    """Decide what is made of a medium."""
    chosen = Source.of(source, info)
    rungs = ladder(chosen.video) if chosen.video else ()
    return Plan(source=chosen, rungs=rungs, mp4s=tuple(plan_mp4s(chosen, rungs)))


def plan_mp4s(source: Source, rungs: Sequence[Rung]) -> list[Mp4]:
    """The files for plain download: the picture of the largest rung that fits, bits for it that keep the limit."""
    mp4s = []
    for quality, largest in MP4_STEPS:
        sound, channels = (MP4_SOUND if rungs else MP4_SOUND_ALONE)[quality]
        channels = min(channels, source.audio.channels) if source.audio else channels
        sound = sound if source.audio else 0
        overhead = MUXING_RATE + MUXING_FIXED / max(source.end, 0.1)
        rate = round((MP4_LIMIT[quality] - overhead - 1.03 * sound) * 0.97)
        rung = max((rung for rung in rungs if rung.short_side <= largest), key=lambda it: it.short_side, default=None)
        rung = rung or (rungs[0] if rungs else None)
        mp4s.append(Mp4(quality=quality, rung=rung, video_rate=max(rate, 10_000), sound_rate=sound, channels=channels))
    return mp4s


def encode_arguments(plan: Plan, settings: Settings) -> list[str]:
    """The whole ffmpeg command that makes the plan's renditions."""
    source, threads = plan.source, thread_count(settings)
    graph: list[str] = []
    outputs: list[str] = []
    if plan.rungs:
        uses = {rung.quality: [f"hls{rung.quality}"] for rung in plan.rungs}
        for mp4 in plan.mp4s:
            if mp4.rung:
                uses[mp4.rung.quality].append(f"mp4{mp4.quality}")
        graph += commands.picture_graph(source, plan.rungs, uses)
        for rung in plan.rungs:
            outputs += commands.hls_video(f"hls{rung.quality}", rung, f"hls/{rung.quality}", threads)
    if source.audio:
        graph.append(commands.sound_graph(source, ["hlsa", *(f"snd{mp4.quality}" for mp4 in plan.mp4s)]))
        outputs += commands.hls_sound("hlsa", source.audio, "hls/a")
    for mp4 in plan.mp4s:
        video_pad = f"mp4{mp4.quality}" if mp4.rung else None
        sound_pad = f"snd{mp4.quality}" if source.audio else None
        outputs += commands.mp4_output(mp4, f"mp4/{mp4.quality}.mp4", source.end, video_pad, sound_pad)
    return [
        *commands.base_arguments(find_ffmpeg(settings), threads),
        *commands.input_arguments(source.path, source.info.container, threads),
        *("-filter_complex", ";".join(graph)),
        *outputs,
    ]


def _prepare(plan: Plan, folder: Path, settings: Settings) -> None:
    """Make the folders the encoder writes to, if there is room."""
    require_room(folder, settings)
    for rung in plan.rungs:
        (folder / "hls" / rung.quality).mkdir(parents=True)
    if plan.source.audio:
        (folder / "hls" / "a").mkdir(parents=True)
    (folder / "mp4").mkdir()


async def _encode(arguments: list[str], plan: Plan, folder: Path, percent: Percent) -> None:
    """Run ffmpeg; Unplayable if it fails."""
    await encode(arguments, plan.source.path, folder, seconds=plan.source.end, percent=percent)


def _collect(plan: Plan, folder: Path) -> list[Rendition]:
    """Describe what has been made for HLS."""
    made = [_hls(plan, folder / "hls" / rung.quality, rung.quality) for rung in plan.rungs]
    if plan.source.audio:
        made.append(_hls(plan, folder / "hls" / "a", "a"))
    return made


def _hls(plan: Plan, folder: Path, quality: str) -> Rendition:
    """Describe an HLS rendition by its fragments."""
    init = folder / "init.mp4"
    paths = sorted(folder.glob("*.m4s"))
    if not init.exists() or not paths:
        what = "sound" if quality == "a" else "picture"
        raise Unplayable(f"The file's {what} can't be decoded: nothing comes out of it.")
    (folder / "list.m3u8").unlink(missing_ok=True)
    track = _only_track(init)
    fragments = [read_fragment(path) for path in paths]
    segments = _segments(paths, _edges(plan, track, fragments))
    seconds = sum(segment.duration_us for segment in segments) / MICROSECONDS
    media_size = sum(segment.byte_size for segment in segments)
    frames = sum(fragment.samples for fragment in fragments)
    average = round(media_size * 8 / max(seconds, 0.001))
    return Rendition(
        kind="hls_video" if track.width else "hls_audio",
        quality=quality,
        path=str(init),
        init_size=init.stat().st_size,
        segments=segments,
        width=track.width or None,
        height=track.height or None,
        frame_rate=rate_of(frames, seconds) if track.width else None,
        codecs=track.codec,
        bandwidth=max(average, peak_bandwidth(segments)),
        average_bandwidth=average,
        duration_ms=round(seconds * 1000),
        byte_size=media_size + init.stat().st_size,
    )


def _edges(plan: Plan, track: TrackFacts, fragments: Sequence[Fragment]) -> list[int]:
    """Microseconds at which each segment begins, and at which the last one ends."""
    moments = [fragment.first for fragment in fragments]
    last = fragments[-1]
    end = last.last + last.lasts
    video = plan.source.video
    if track.width and video and video.variable_frame_rate:
        # The last picture stands until the source ends; how long, the encoder doesn't tell.
        until = round((video.start + video.duration) * track.timescale) + track.delay
        end = max(end, min(until, last.last + LONGEST_LAST_FRAME * track.timescale))
    return [round((moment - track.delay) * MICROSECONDS / track.timescale) for moment in [*moments, end]]


def _segments(paths: Sequence[Path], edges: Sequence[int]) -> tuple[Segment, ...]:
    """Describe the segments that lie between the edges."""
    return tuple(
        Segment(
            number=number,
            path=str(path),
            start_us=edges[number],
            duration_us=max(1, edges[number + 1] - edges[number]),
            byte_size=path.stat().st_size,
        )
        for number, path in enumerate(paths)
    )


def _only_track(path: Path) -> TrackFacts:
    """The one track of an initialisation section."""
    tracks = read_tracks(path)
    if len(tracks) != 1:
        raise Unplayable("Converting the file gave something that can't be played.")
    return tracks[0]


async def _within_limit(plan: Plan, mp4: Mp4, folder: Path, settings: Settings) -> Rendition:
    """Describe an MP4; where it came out over its limit (short or busy pictures), make it again with fewer bits."""
    path = folder / "mp4" / f"{mp4.quality}.mp4"
    for _ in range(MP4_TRIES):
        made = await asyncio.to_thread(describe_mp4, path, mp4.quality)
        if made.average_bandwidth <= MP4_LIMIT[mp4.quality] or made.byte_size <= SMALLEST_MP4 or mp4.rung is None:
            return made
        too_much = made.average_bandwidth / MP4_LIMIT[mp4.quality]
        smaller = replace(mp4.rung, crf=min(51, mp4.rung.crf + 6))
        mp4 = replace(mp4, rung=smaller, video_rate=max(8_000, round(mp4.video_rate / too_much * 0.85)))
        alone = Plan(plan.source, (smaller,), (mp4,))
        await _encode(_mp4_arguments(alone, settings), alone, folder, Percent(0, None))
    return await asyncio.to_thread(describe_mp4, path, mp4.quality)


def _mp4_arguments(plan: Plan, settings: Settings) -> list[str]:
    """The ffmpeg command that makes nothing but the plan's one MP4."""
    source, mp4, threads = plan.source, plan.mp4s[0], thread_count(settings)
    graph = commands.picture_graph(source, plan.rungs, {plan.rungs[0].quality: ["v"]})
    graph += [commands.sound_graph(source, ["s"])] if source.audio else []
    return [
        *commands.base_arguments(find_ffmpeg(settings), threads),
        *commands.input_arguments(source.path, source.info.container, threads),
        *("-filter_complex", ";".join(graph)),
        *commands.mp4_output(mp4, f"mp4/{mp4.quality}.mp4", source.end, "v", "s" if source.audio else None),
    ]
