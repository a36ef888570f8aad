"""Small pictures from all over a film, for the place above a player's seek bar.

Only keyframes are decoded, one for each tile, where the film has enough of them; if it has not, the tiles get further
apart; and if they would get too far apart, all frames that others refer to are decoded.
"""

import asyncio
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from openstage.media import commands
from openstage.media.commands import Source
from openstage.media.encoding import NICE, reason_of
from openstage.media.errors import Unplayable
from openstage.media.models import MediaInfo, VideoStream
from openstage.media.sandbox import MIB, Limits, run
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.settings import Settings

MOST_TILES, FEWEST_TILES = (
    120,
    30,
)  # tiles of a film; and below which they don't get further apart for want of keyframes
INTERVALS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600)  # seconds
COVERED = 0.9  # share of the tiles that must have a frame of their own
TILE_AREA = 160 * 90  # pixels: a tile has the picture's shape and about this area
LONGEST_SIDE = 320
COLUMNS, ROWS = 5, 5
QUALITIES = (5, 10, 20, 31)  # of the JPEG encoder: 2 is best, 31 worst; the first one that keeps the size
SHEET_BYTES = 256 * 1024
SHEET_LIMITS = Limits(seconds=120, cpu_seconds=120, file_size=64 * MIB, nice=NICE)
FRAMES, TIMES, TILES = "frames.yuv", "frames.txt", "tiles.yuv"
KEYFRAMES = ("-skip_frame", "nokey")
FILTER_PACKETS = "-bsf:v"  # as an input option: since ffmpeg 7.1
REFERENCES = ("-skip_frame", "noref", "-skip_loop_filter", "all")


class Sheet(Struct, frozen=True, kw_only=True):
    """One JPEG file that holds many tiles; `path` is absolute, width and height in pixels."""

    number: int
    path: str
    width: int
    height: int
    byte_size: int


class Storyboard(Struct, frozen=True, kw_only=True):
    """Tiles on sheets, row by row, from left to right.

    Attributes:
        interval_ms: tile n shows the film at some moment from n to n + 1 intervals; the last one stands for the rest.
        tile_width: pixels; likewise tile_height.
        columns: tiles side by side on a sheet.
        rows: tiles below each other on a sheet.
        tiles: number of them; the places after the last one are black.
        sheets: numbered from 0, all of one size.

    """

    interval_ms: int
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    tiles: int
    sheets: tuple[Sheet, ...]


async def make_storyboard(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> Storyboard | None:
    """Make the sheets of a film.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        folder: an existing folder; the caller's, who removes it afterwards. Written to is `folder/storyboard`.
        settings: which ffmpeg.

    Returns:
        The storyboard; None of sound without a picture, or if no picture can be decoded.

    Raises:
        TookTooLong: it took too long.
        ScratchFull: the disk is full.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    source_of = Source.of(source, info)
    if source_of.video is None:
        return None
    task = _Task(source_of, source_of.video, folder / "storyboard", settings)
    await asyncio.to_thread(task.folder.mkdir, exist_ok=True)
    interval = intervals_for(task.seconds)[0]
    frames = await _take(task, interval, KEYFRAMES)
    fitting = [each for each in intervals_for(task.seconds) if covered(frames, each, task.seconds) >= COVERED]
    if fitting:
        interval = fitting[0]
    else:
        frames = await _take(task, interval, REFERENCES) or frames
    if not frames:
        return None
    chosen = [frame_for(frames, number, interval) for number in range(tile_count(task.seconds, interval))]
    await asyncio.to_thread(_order, task, chosen)
    return await _sheets(task, interval, len(chosen))


@dataclass(frozen=True, slots=True)
class _Task:
    """The film, where the sheets go, and with which ffmpeg they are made."""

    source: Source
    video: VideoStream
    folder: Path
    settings: Settings

    @property
    def seconds(self) -> float:
        """Duration of the work."""
        return self.source.end or self.source.info.duration

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height of a tile."""
        return tile_size(self.video.display_size)

    @property
    def tile_bytes(self) -> int:
        """Bytes of a tile as it lies in the files between the tools (4:2:0)."""
        width, height = self.tile
        return width * height * 3 // 2


def tile_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a tile for a picture of a size: even, of its shape, about as many pixels for every shape."""
    width, height = size
    scale = min(math.sqrt(TILE_AREA / (width * height)), LONGEST_SIDE / max(size))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def tile_count(seconds: float, interval: float) -> int:
    """Tiles of a film: a rest of less than a third of an interval belongs to the last one."""
    return max(1, math.ceil(seconds / interval - 1 / 3))


def intervals_for(seconds: float) -> list[float]:
    """Intervals that suit a film, the best one first: later ones have fewer tiles, but not too few."""
    fine = [each for each in INTERVALS if tile_count(seconds, each) <= MOST_TILES]
    fine = fine or [math.ceil(seconds / MOST_TILES)]
    return [fine[0], *(each for each in fine[1:] if tile_count(seconds, each) >= FEWEST_TILES)]


def covered(times: Sequence[float], interval: float, seconds: float) -> float:
    """Share of the tiles that have one of the frames in their own interval."""
    count = tile_count(seconds, interval)
    own = {min(count - 1, max(0, math.floor(time / interval))) for time in times}
    return len(own) / count


def frame_for(times: Sequence[float], number: int, interval: float) -> int:
    """Index of the frame for a tile: the first one in its interval, else what stands there since before."""
    first = bisect_left(times, number * interval)
    if first < len(times) and times[first] < (number + 1) * interval:
        return first
    return max(0, bisect_right(times, number * interval) - 1)


async def _take(task: _Task, interval: float, decoding: Sequence[str]) -> list[float]:
    """Write the first decoded frame of each interval to a file, as a tile.

    Returns:
        Seconds after the beginning at which each stands, in order; nothing if none can be decoded.

    """
    # Of the keyframes, only those that are needed reach the decoder. Its clock isn't ours, hence the finer grid.
    cell = f"floor(4*pts*tb/{interval})"
    needed = f"noise=drop='if(key*(nopts+gt({cell}+1,ld(0))),st(0,{cell}+1)*0,1)'"
    variants = [[FILTER_PACKETS, needed], []] if decoding is KEYFRAMES else [[]]
    for variant in variants:
        arguments = _taking(task, interval, [*decoding, *variant])
        seconds = 600 + 2 * task.seconds
        limits = Limits(seconds=seconds, cpu_seconds=round(2 * seconds), file_size=256 * MIB, nice=NICE)
        finished = await run(arguments, limits=limits, readable=[task.source.path], writable=task.folder)
        if not finished.status:
            return await asyncio.to_thread(_times, task)
    return []


def _taking(task: _Task, interval: float, decoding: Sequence[str]) -> list[str]:
    """The ffmpeg command that takes frames."""
    source, threads = task.source, thread_count(task.settings)
    # Not deinterlaced: that would mix frames that lie seconds apart, and at this size the lines can't be seen.
    video = msgspec.structs.replace(task.video, interlaced=False)
    matrices = "in_color_matrix=bt709:out_color_matrix=bt601:out_range=pc"  # as JFIF has it
    filters = [
        f"select='isnan(prev_selected_t)+gt(floor(t/{interval}),floor(prev_selected_t/{interval}))'",
        "metadata=mode=add:key=taken:value=1",
        f"metadata=mode=print:file={TIMES}",
        *commands.first_scale(video, *task.tile),
        f"scale={matrices},format=yuvj420p",
    ]
    return [
        *commands.base_arguments(find_ffmpeg(task.settings), threads),
        *decoding,
        *commands.input_arguments(source.path, source.info.container, threads),
        *("-filter_complex", f"[0:{video.index}]{','.join(filters)}[taken]"),
        *("-map", "[taken]", "-fps_mode", "passthrough", "-frames:v", str(2 * MOST_TILES), "-f", "rawvideo", FRAMES),
    ]


def _times(task: _Task) -> list[float]:
    """Times of the frames that have been taken, as many as are really there."""
    times, frames = task.folder / TIMES, task.folder / FRAMES
    if not times.exists() or not frames.exists():
        return []
    found = re.findall(r"pts_time:(-?\d+(?:\.\d+)?)", times.read_text(encoding="ascii", errors="replace"))
    whole = frames.stat().st_size // task.tile_bytes
    return sorted(float(time) for time in found[:whole])


def _order(task: _Task, chosen: Sequence[int]) -> None:
    """Write the tiles one after the other, from the frames that have been chosen for them."""
    with (task.folder / FRAMES).open("rb") as frames, (task.folder / TILES).open("wb") as tiles:
        for index in chosen:
            frames.seek(index * task.tile_bytes)
            tiles.write(frames.read(task.tile_bytes))
    (task.folder / FRAMES).unlink()
    (task.folder / TIMES).unlink()


async def _sheets(task: _Task, interval: float, tiles: int) -> Storyboard:
    """Lay the tiles out on sheets, none of them too large."""
    width, height = task.tile
    columns = min(COLUMNS, tiles)
    rows = min(ROWS, math.ceil(tiles / columns))
    count = math.ceil(tiles / (columns * rows))
    paths = [task.folder / f"{number}.jpg" for number in range(count)]
    raw = ["-f", "rawvideo", "-pixel_format", "yuvj420p", "-video_size", f"{width}x{height}", "-framerate", "1"]
    for quality in QUALITIES:
        arguments = [
            *commands.base_arguments(find_ffmpeg(task.settings), 1),
            *(*raw, "-i", f"file:{TILES}", "-vf", f"tile={columns}x{rows}", "-c:v", "mjpeg", "-threads", "1"),
            *("-q:v", str(quality), "-f", "image2", "-start_number", "0", "%d.jpg"),
        ]
        finished = await run(arguments, limits=SHEET_LIMITS, writable=task.folder)
        if finished.status or not all(path.exists() for path in paths):
            raise Unplayable(reason_of(finished.stderr))
        if all(path.stat().st_size <= SHEET_BYTES for path in paths):
            break
    (task.folder / TILES).unlink()
    size = {"width": columns * width, "height": rows * height}
    return Storyboard(
        interval_ms=round(interval * 1000),
        tile_width=width,
        tile_height=height,
        columns=columns,
        rows=rows,
        tiles=tiles,
        sheets=tuple(
            Sheet(number=number, path=str(path), byte_size=path.stat().st_size, **size)
            for number, path in enumerate(paths)
        ),
    )
