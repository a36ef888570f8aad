"""Still pictures of a work: a telling frame of the film, the cover of a sound file, or its waveform."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from openstage.media import commands
from openstage.media.commands import Source
from openstage.media.encoding import NICE, reason_of
from openstage.media.errors import Unplayable
from openstage.media.helper import ask
from openstage.media.ladder import LONGEST_SIDE
from openstage.media.models import Cover, MediaInfo, Picture, PictureKind, VideoStream
from openstage.media.sandbox import GIB, MIB, Limits, run
from openstage.media.sound import make_waveform
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.media.waveform import to_png
from openstage.settings import Settings

WIDTHS: dict[PictureKind, int] = {"original": LONGEST_SIDE, "img": 640, "thumbnail": 320}
QUALITY = {"original": 2, "img": 3, "thumbnail": 4}  # of the JPEG encoder: 2 is best, 31 worst
# Where in the film frames are judged, as shares of it: neither at the opening nor in the closing titles.
SHARES = (0.06, 0.12, 0.2, 0.28, 0.37, 0.46, 0.55, 0.64, 0.73, 0.82)
FIRST_SECONDS = (0.0, 1.0)  # and where besides, in case that jumping isn't possible
LIMITS = Limits(seconds=180, cpu_seconds=180, memory=4 * GIB, file_size=256 * MIB, nice=NICE)
WAVEFORM, WAVE_HEIGHT = (1280, 720), 400
WAVE_COLOUR = (0x5A, 0xC8, 0xFA)
DARKEST, BRIGHTEST = 24.0, 232.0  # of the mean; a picture beyond them shows hardly anything
FLATTEST = 0.55  # a larger share of one brightness is a title, a fade, a blank slide, a card
SHARPEST = 70.0  # steps at edges that can't be told from sharper ones
LATE, EARLY = 0.85, 0.03  # shares of the film: behind and before them, pictures must be better to be taken


class Candidate(msgspec.Struct):
    """A frame that may become the picture: seconds after the beginning, and its marks (see `inside/scoring.py`)."""

    time: float
    brightness: float
    contrast: float
    detail: float
    sharpness: float = 0.0
    colour: float = 0.0
    flat: float = 0.0

    @property
    def score(self) -> float:
        """How much there is to see: contrast, detail, sharp edges and colour, in a picture that isn't all one."""
        visible = 1.0 if DARKEST <= self.brightness <= BRIGHTEST else 0.1
        various = 1.0 if self.flat <= FLATTEST else max(0.05, (1 - self.flat) / (1 - FLATTEST))
        sharp = 0.5 + 0.5 * min(self.sharpness, SHARPEST) / SHARPEST
        return visible * various * sharp * (self.contrast + 2 * min(self.detail, 30.0) + min(self.colour, 40.0))

    def score_within(self, span: float) -> float:
        """Its score in a film of `span` seconds: less at the opening and at the end."""
        place = self.time / span if span > 0 else 0.5
        return self.score * (1.0 if EARLY <= place <= LATE else 0.8)


class Candidates(msgspec.Struct):
    """The helper's answer."""

    candidates: list[Candidate]


async def make_pictures(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> tuple[Picture, ...]:
    """Make `original`, `img` and `thumbnail` as JPEG files, none larger than the source's picture.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        folder: an existing folder; the caller's, who removes it afterwards. Nothing is written elsewhere.
        settings: which ffmpeg.

    Raises:
        Unplayable: no picture can be made of it.
        TookTooLong: it took too long.
        ScratchFull: the disk is full.
        ToolMissing: there is no ffmpeg here.

    """
    task = _Task(Source.of(source, info), folder / "pictures", settings)
    await asyncio.to_thread(task.folder.mkdir, exist_ok=True)
    if task.source.video:
        return await _from_film(task, task.source.video)
    if info.covers:
        try:
            return await _from_cover(task, info.covers[0])
        except Unplayable:
            pass  # a broken cover is no reason to go without a picture
    if task.source.audio:
        return await _from_sound(task)
    raise Unplayable("There is neither a picture nor sound in the file.")


async def best_moment(source: Source, video: VideoStream, settings: Settings) -> float:
    """Seconds after the beginning at which the most telling of some frames stands."""
    span = video.duration or source.info.duration
    places = [span * share for share in SHARES] + [second for second in FIRST_SECONDS if second < span]
    moments = [round(video.start + place, 3) for place in places]
    order = {"index": video.index, "moments": moments}
    answer = await ask("scoring", source.path, settings, Candidates, limits=LIMITS, **order)
    best = max(answer.candidates, key=lambda candidate: candidate.score_within(video.start + span), default=None)
    return best.time if best else 0.0


@dataclass(frozen=True, slots=True)
class _Task:
    """What the pictures are made of, where they go, and with which ffmpeg."""

    source: Source
    folder: Path
    settings: Settings


async def _from_film(task: _Task, video: VideoStream) -> tuple[Picture, ...]:
    """The most telling frame."""
    moment = await best_moment(task.source, video, task.settings)
    sizes = sizes_of(video.display_size)
    chain = f"[0:{video.index}]{','.join(commands.first_scale(video, *sizes['original']))}"
    # Half a frame early: the time stamp of the frame itself may be rounded up.
    seek = max(0.0, moment - 0.5 / max(video.nominal_frame_rate, 1.0))
    try:
        return await _make(task, chain, sizes, seek)
    except Unplayable:
        return await _make(task, chain, sizes)  # there is no jumping in this file: its first frame


async def _from_cover(task: _Task, cover: Cover) -> tuple[Picture, ...]:
    """The cover that the file carries."""
    sizes = sizes_of((cover.width, cover.height))
    width, height = sizes["original"]
    matrices = "in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv"
    chain = f"[0:{cover.index}]scale={width}:{height}:flags=bicubic:{matrices},format=yuv420p,setsar=1"
    return await _make(task, chain, sizes)


async def _from_sound(task: _Task) -> tuple[Picture, ...]:
    """The waveform of the sound, drawn into a PNG file that then stands for the source."""
    waveform = await make_waveform(task.source.path, task.source.info, task.folder, task.settings)
    width, height = WAVEFORM
    drawn = task.folder / "waveform.png"
    await asyncio.to_thread(drawn.write_bytes, to_png(waveform, (width, WAVE_HEIGHT), WAVE_COLOUR))
    chain = (
        f"color=c=0x101418:s={width}x{height},trim=end_frame=1[ground];"
        f"[ground][0:v]overlay=y={(height - WAVE_HEIGHT) // 2}:format=auto,format=yuv420p,setsar=1"
    )
    source = replace(task.source, path=drawn, info=msgspec.structs.replace(task.source.info, container="png_pipe"))
    made = await _make(replace(task, source=source), chain, sizes_of(WAVEFORM))
    await asyncio.to_thread(drawn.unlink)
    return made


def sizes_of(size: tuple[int, int]) -> dict[PictureKind, tuple[int, int]]:
    """Width and height of each kind of picture: even, never enlarged."""
    width, height = size
    sizes: dict[PictureKind, tuple[int, int]] = {}
    for kind, widest in WIDTHS.items():
        scale = min(1.0, widest / width, LONGEST_SIDE / height)
        sizes[kind] = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    return sizes


async def _make(
    task: _Task, chain: str, sizes: dict[PictureKind, tuple[int, int]], seek: float | None = None
) -> tuple[Picture, ...]:
    """Run ffmpeg once for all sizes of the first picture that comes out of a filter chain."""
    source, threads = task.source, thread_count(task.settings)
    graph = f"{chain},split={len(sizes)}" + "".join(f"[{kind}]" for kind in sizes)
    for kind, (width, height) in sizes.items():
        matrices = "in_color_matrix=bt709:out_color_matrix=bt601:out_range=pc"  # as JFIF has it
        graph += f";[{kind}]scale={width}:{height}:flags=bicubic:{matrices},format=yuvj420p[{kind}out]"
    arguments = commands.base_arguments(find_ffmpeg(task.settings), threads)
    arguments += commands.input_arguments(source.path, source.info.container, threads, seek=seek)
    arguments += ["-filter_complex", graph]
    for kind in sizes:
        arguments += ["-map", f"[{kind}out]", "-map_metadata", "-1", "-frames:v", "1", "-c:v", "mjpeg"]
        arguments += ["-q:v", str(QUALITY[kind]), "-f", "image2", "-update", "1", f"{kind}.jpg"]
    finished = await run(arguments, limits=LIMITS, readable=[source.path], writable=task.folder)
    if finished.status:
        raise Unplayable(reason_of(finished.stderr))
    return await asyncio.to_thread(_collect, sizes, task.folder)


def _collect(sizes: dict[PictureKind, tuple[int, int]], folder: Path) -> tuple[Picture, ...]:
    """Describe the files that were made."""
    pictures = []
    for kind, (width, height) in sizes.items():
        path = folder / f"{kind}.jpg"
        if not path.exists() or path.stat().st_size == 0:
            raise Unplayable("The file's picture can't be decoded: nothing comes out of it.")
        size = path.stat().st_size
        pictures.append(Picture(kind=kind, path=str(path), width=width, height=height, byte_size=size))
    return tuple(pictures)
