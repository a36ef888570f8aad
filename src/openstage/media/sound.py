"""All that is made of a work's sound besides HLS, from one decode of the whole file.

Tracks for the MP4 files of a film; of sound alone the MP4 and MP3 files themselves; loudness and waveform.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import Struct

from openstage.media import commands
from openstage.media.commands import MP4_SOUND, MP4_SOUND_ALONE, Mp4, Source
from openstage.media.describe import describe_mp4
from openstage.media.encoding import NICE, reason_of, require_room
from openstage.media.errors import Unplayable
from openstage.media.loudness import Loudness, loudness_filter, read_loudness
from openstage.media.models import AudioStream, MediaInfo, Rendition
from openstage.media.mp3 import describe_mp3
from openstage.media.progress import OnProgress, Percent
from openstage.media.sandbox import Limits, run
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.media.waveform import Waveform, read_waveform, to_png, waveform_filters, waveform_scale
from openstage.settings import Settings

MP3_RATES = {"1": 128_000, "2": 256_000}  # bits per second of stereo; sound of one channel takes half
STEREO = 2
SLOWEST, BASE_SECONDS = (
    5,
    600,
)  # wall clock and processor seconds that a second of sound may cost, and that any file may
EXTREMES = "waveform.txt"


class Sound(Struct, frozen=True, kw_only=True):
    """What has been made of a work's sound; paths are absolute.

    Attributes:
        tracks: of a film: AAC track (an .m4a file) for the MP4 of each quality, to be joined with its picture.
        renditions: of sound alone: MP4 and MP3 files, qualities `1` and `2`.
        loudness: measured.
        waveform_json: file in audiowaveform's format, version 2.
        waveform_png: picture of it, transparent ground.

    """

    tracks: dict[str, str]
    renditions: tuple[Rendition, ...]
    loudness: Loudness
    waveform_json: str
    waveform_png: str


@dataclass(frozen=True, slots=True)
class _Task:
    """The sound, what is made of it beside the measurements, where, and with which ffmpeg."""

    source: Source
    audio: AudioStream
    folder: Path
    settings: Settings
    mp4s: tuple[str, ...] = ()
    mp3s: tuple[str, ...] = ()
    metered: bool = True

    @property
    def channels(self) -> int:
        """Channels of what is made: everything is mixed down to stereo."""
        return min(STEREO, self.audio.channels)

    @property
    def sample_rate(self) -> int:
        """Sample rate of what is made, in hertz."""
        return commands.sound_sample_rate(self.audio)

    @property
    def seconds(self) -> float:
        """How long what is made will last, as far as the probe knows."""
        return self.source.end

    @property
    def scale(self) -> int:
        """Samples per pixel of the waveform."""
        return waveform_scale(self.seconds, self.sample_rate)


async def make_sound(
    source: Path,
    info: MediaInfo,
    folder: Path,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
) -> Sound:
    """Make and measure everything of a medium's published sound track.

    All of it begins at the beginning of the medium, gaps are silence, and the tracks of a film last as long as it does.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it; there is sound in it.
        folder: an existing, empty folder; the caller's, who removes it afterwards. Nothing is written elsewhere.
        settings: which ffmpeg, its threads, disk space that must stay free.
        on_progress: called with 0 … 100, never going back, on the event loop's thread.

    Raises:
        Unplayable: there is no sound, or it can't be decoded.
        TookTooLong: over the time that its duration justifies.
        ScratchFull: the disk is full, or is so nearly.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    mp3s = tuple(MP3_RATES) if info.sound_only else ()
    task = replace(_task(source, info, folder, settings), mp4s=tuple(MP4_SOUND), mp3s=mp3s)
    await asyncio.to_thread(_prepare, task)
    percent = Percent(task.seconds, on_progress)
    loudness, waveform = await _run(task, percent)
    made = await asyncio.to_thread(_collect, task, loudness, waveform)
    percent.report(100)
    return made


async def measure_sound(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> tuple[Loudness, Waveform]:
    """Measure a medium's published sound track without making anything of it.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it; there is sound in it.
        folder: an existing folder; the caller's, who removes it afterwards. Nothing is written elsewhere.
        settings: which ffmpeg and its threads.

    Raises:
        Unplayable, TookTooLong, ScratchFull, ToolKilled, ToolMissing: as `make_sound`.

    """
    return await _run(_task(source, info, folder, settings), Percent(0, None))


async def make_waveform(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> Waveform:
    """Find nothing but the waveform of a medium's published sound track.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it; there is sound in it.
        folder: an existing folder; the caller's, who removes it afterwards. Nothing is written elsewhere.
        settings: which ffmpeg and its threads.

    Raises:
        Unplayable, TookTooLong, ScratchFull, ToolKilled, ToolMissing: as `make_sound`.

    """
    task = replace(_task(source, info, folder, settings), metered=False)
    return (await _run(task, Percent(0, None)))[1]


def _task(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> _Task:
    """The task of measuring; Unplayable without sound."""
    chosen = Source.of(source, info)
    if chosen.audio is None:
        raise Unplayable("There is no sound in the file.")
    return _Task(chosen, chosen.audio, folder, settings)


def _prepare(task: _Task) -> None:
    """Make the folders that ffmpeg writes to, if there is room."""
    require_room(task.folder, task.settings)
    for name in ("mp4", *(["mp3"] if task.mp3s else [])):
        (task.folder / name).mkdir(exist_ok=True)


async def _run(task: _Task, percent: Percent) -> tuple[Loudness, Waveform]:
    """Decode once: make the files and measure."""
    seconds = BASE_SECONDS + SLOWEST * task.seconds
    limits = Limits(seconds=seconds, cpu_seconds=round(2 * seconds), nice=NICE)
    finished = await run(
        sound_arguments(task),
        limits=limits,
        readable=[task.source.path],
        writable=task.folder,
        on_line=percent.line,
    )
    if finished.status:
        raise Unplayable(reason_of(_complaints(finished.stderr)))
    waveform = await asyncio.to_thread(_waveform, task)
    return read_loudness(finished.stderr, task.seconds), waveform


def _waveform(task: _Task) -> Waveform:
    """Read the extremes; Unplayable if there are none."""
    extremes = task.folder / EXTREMES
    waveform = read_waveform(extremes, task.sample_rate, task.scale) if extremes.exists() else None
    extremes.unlink(missing_ok=True)
    if not waveform:
        raise Unplayable("The file's sound can't be decoded: nothing comes out of it.")
    return waveform


def sound_arguments(task: _Task) -> list[str]:
    """The whole ffmpeg command. It speaks at level `info`, with the level before each line: the meter does."""
    source, channels = task.source, task.channels
    made = [*(f"mp4{quality}" for quality in task.mp4s), *(f"mp3{quality}" for quality in task.mp3s)]
    meters = [loudness_filter(channels)] if task.metered else []
    meters += waveform_filters(channels, task.scale, EXTREMES)
    graph = [commands.sound_graph(source, [*made, "meter"]), f"[meter]{','.join(meters)}[measured]"]
    outputs = ["-map", "[measured]", "-f", "null", "-"]
    rates = MP4_SOUND_ALONE if source.info.sound_only else MP4_SOUND
    for quality in task.mp4s:
        rate, most = rates[quality]
        mp4 = Mp4(quality=quality, rung=None, video_rate=0, sound_rate=rate, channels=min(most, channels))
        suffix = "mp4" if source.info.sound_only else "m4a"
        path = f"mp4/{quality}.{suffix}"
        outputs += commands.mp4_output(mp4, path, task.seconds, None, f"mp4{quality}")
    for quality in task.mp3s:
        outputs += mp3_output(f"mp3{quality}", MP3_RATES[quality] * channels // STEREO, f"mp3/{quality}.mp3")
    return [
        *commands.base_arguments(find_ffmpeg(task.settings), thread_count(task.settings)),
        *("-v", "level+info"),
        *commands.input_arguments(source.path, source.info.container, thread_count(task.settings)),
        *("-filter_complex", ";".join(graph)),
        *outputs,
    ]


def mp3_output(pad: str, rate: int, path: str) -> list[str]:
    """Output arguments of an MP3 file of constant bit rate: ID3 tag, then a frame with the number of frames."""
    encoder = ["-c:a", "libmp3lame", "-b:a", str(rate), "-write_xing", "1", "-id3v2_version", "3"]
    return ["-map", f"[{pad}]", *encoder, "-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp3", path]


def _complaints(said: str) -> str:
    """The errors among the lines that ffmpeg said."""
    lines = said.splitlines()
    marks = ("[error] ", "[fatal] ", "[panic] ")
    return "\n".join(line.partition(mark)[2] for line in lines for mark in marks if mark in line)


def _collect(task: _Task, loudness: Loudness, waveform: Waveform) -> Sound:
    """Describe what has been made, and write the waveform's files."""
    folder = task.folder
    json, png = folder / "waveform.json", folder / "waveform.png"
    json.write_bytes(waveform.to_json())
    png.write_bytes(to_png(waveform))
    tracks: dict[str, str] = {}
    renditions: list[Rendition] = []
    for quality in task.mp4s:
        if task.source.info.sound_only:
            renditions.append(describe_mp4(folder / "mp4" / f"{quality}.mp4", quality))
        else:
            track = folder / "mp4" / f"{quality}.m4a"
            describe_mp4(track, quality)  # it is what it should be
            tracks[quality] = str(track)
    renditions += [describe_mp3(folder / "mp3" / f"{quality}.mp3", quality) for quality in task.mp3s]
    return Sound(
        tracks=tracks,
        renditions=tuple(renditions),
        loudness=loudness,
        waveform_json=str(json),
        waveform_png=str(png),
    )
