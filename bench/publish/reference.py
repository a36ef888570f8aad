"""What the chunked pipeline is held against: one ffmpeg process that decodes once and encodes everything.

It is given the same rungs with the same encoder settings, and no sandbox, database or store: the least that encoding
everything before publishing can cost.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.publish.plan import Plan
from bench.publish.sources import SOURCES, source_file
from openstage.media import commands
from openstage.media.chunks import plan_ladder
from openstage.media.commands import Mp4, Source
from openstage.media.first import FirstPlan
from openstage.media.ladder import KEYFRAME_SECONDS, Rung, ladder
from openstage.media.models import AudioStream, MediaInfo
from openstage.media.probe import probe
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    seconds: float
    cpu_seconds: float


def encode(
    source: Path, info: MediaInfo, rungs: Sequence[Rung], mp4s: Sequence[Mp4], folder: Path, *, mp4_sound: bool = False
) -> Cost:
    """Make rungs, HLS sound and MP4 files in one process that uses all cores.

    Args:
        source: the file.
        info: what is in it.
        rungs: for HLS, from the lowest to the highest.
        mp4s: whole MP4 files, their pictures among the rungs' sizes.
        folder: gets `hls/<quality>/` and `mp4/<quality>.mp4`.
        mp4_sound: whether the MP4 files have sound; else they are pictures alone.

    """
    chosen = Source.of(source, info)
    graph: list[str] = []
    outputs: list[str] = []
    (folder / "mp4").mkdir(parents=True)
    if chosen.video:
        uses = {rung.quality: [f"hls{rung.quality}"] for rung in rungs}
        for mp4 in mp4s:
            if mp4.rung:
                uses[mp4.rung.quality].append(f"mp4{mp4.quality}")
        graph += commands.picture_graph(chosen, rungs, uses)
        for rung in rungs:
            outputs += _hls_video(f"hls{rung.quality}", rung, _folder(folder, rung.quality))
    if chosen.audio:
        pads = ["hlsa", *(f"snd{mp4.quality}" for mp4 in mp4s if mp4_sound)]
        graph.append(commands.sound_graph(chosen, pads))
        outputs += _hls_sound("hlsa", chosen.audio, _folder(folder, "a"))
    for mp4 in mp4s:
        path = str(folder / "mp4" / f"{mp4.quality}.mp4")
        video_pad = f"mp4{mp4.quality}" if mp4.rung else None
        sound_pad = f"snd{mp4.quality}" if chosen.audio and mp4_sound else None
        outputs += commands.mp4_output(mp4, path, chosen.end, video_pad, sound_pad)
    arguments = [
        *commands.base_arguments(find_ffmpeg(Settings()), 0),
        *commands.input_arguments(chosen.path, info.container),
        *("-filter_complex", ";".join(graph)),
        *outputs,
    ]
    return _run(arguments)


def _hls_output(folder: str, seconds: float) -> list[str]:
    """The end of an HLS output: an initialisation section and one file per segment in `folder`.

    A new segment begins at the first keyframe (of sound: packet) at least `seconds` times their number in.
    """
    return [
        *("-map_metadata", "-1", "-map_chapters", "-1", "-avoid_negative_ts", "disabled", "-f", "hls"),
        *("-hls_time", str(seconds), "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"),
        *("-hls_flags", "independent_segments+temp_file", "-hls_segment_options", commands.SEGMENT_OPTIONS),
        *("-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", f"{folder}/%05d.m4s", f"{folder}/list.m3u8"),
    ]


def _hls_video(pad: str, rung: Rung, folder: str, threads: int = 0) -> list[str]:
    """Output arguments of one rung: each keyframe begins a segment."""
    return ["-map", f"[{pad}]", *commands.video_encoder(rung, threads=threads), *_hls_output(folder, 1)]


def _hls_sound(pad: str, audio: AudioStream, folder: str) -> list[str]:
    """Output arguments of the sound rendition.

    The encoder's first packet holds nothing but its own run-in, before time 0: it is dropped instead of being hidden
    by an edit list.
    """
    channels = min(2, audio.channels)
    encoder = commands.sound_encoder(commands.SOUND_RATE if channels > 1 else commands.SOUND_RATE * 3 // 4, channels)
    return ["-map", f"[{pad}]", *encoder, "-bsf:a", r"noise=drop=lt(pts\,0)", *_hls_output(folder, KEYFRAME_SECONDS)]


def _folder(folder: Path, quality: str) -> str:
    made = folder / "hls" / quality
    made.mkdir(parents=True)
    return str(made)


def _run(arguments: list[str]) -> Cost:
    began = time.monotonic()
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        pid = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
        _, status, used = os.wait4(pid, 0)
    finally:
        os.close(null)
    if status:
        raise RuntimeError(f"ffmpeg ended with {os.waitstatus_to_exitcode(status)}.")
    return Cost(time.monotonic() - began, used.ru_utime + used.ru_stime)


def references(plan: Plan, scratch: Path, say: Callable[[str], None]) -> dict[str, float]:
    """Measure how long encoding everything takes, scaled from a part of each source to its duration.

    Returns:
        Seconds, by the letter of the source.

    """
    measured: dict[str, float] = {}
    for letter in plan.letters:
        if letter in "bg" and "a" in measured:  # the same content
            measured[letter] = measured["a"] * SOURCES[letter].times
            continue
        file = source_file(letter, plan.reference_seconds // SOURCES[letter].times, say)
        say(f"({letter}) encoded as a whole for comparison, {plan.reference_seconds} s of it")
        info = asyncio.run(probe(file, Settings()))
        rungs = ladder(info.video[0]) if info.video else ()
        mp4s = plan_ladder(info, FirstPlan(), Settings(), None).mp4s if info.video else ()
        folder = scratch / f"reference-{letter}"
        cost = encode(file, info, rungs, mp4s, folder, mp4_sound=True)
        shutil.rmtree(folder)
        measured[letter] = cost.seconds * plan.seconds * SOURCES[letter].times / (info.duration_ms / 1000)
    return measured
