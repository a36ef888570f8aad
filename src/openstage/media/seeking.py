"""Where a chunk's decoding begins, so that it gives the very frames that decoding from the start of the file gives."""

import re
from pathlib import Path

from msgspec import Struct

from openstage.media import commands
from openstage.media.errors import TookTooLong, Unplayable
from openstage.media.helper import ask
from openstage.media.models import MediaInfo
from openstage.media.probe import SCAN_BYTES
from openstage.media.sandbox import GIB, Limits, run
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

# The decoder begins so many seconds before the first frame that is wanted: frames that refer to what lies before the
# keyframe (open groups of pictures) are gone by then. Where no keyframe is found in time, further back.
MARGINS = (2.0, 12.0, 60.0)
READING = Limits(seconds=3600, cpu_seconds=1200, memory=2 * GIB, file_size=0, nice=15)
LOOKING = Limits(seconds=600, cpu_seconds=60, file_size=0, nice=15)
# Formats with an index or time stamps by which jumping is exact; the tests hold every one of them against decoding
# from the start. In the others (raw streams, damaged clocks) a chunk decodes from the start of the file.
SEEKABLE = frozenset({"mov", "matroska", "flv", "avi", "asf", "mpegts", "mpeg", "ogg", "nut", "mxf"})
BROADCAST = frozenset({"mpegts", "mpeg"})  # recordings of which may have been joined as they are
JUMPS = "clock-jumps"  # the probe's word for two recordings behind each other, of which each has its own clock
UNKNOWN = ("NOPTS", "-9223372036854775808")


def may_seek(info: MediaInfo) -> bool:
    """Whether jumping in a medium can lead to the right frames at all."""
    video = info.main_video
    return video is not None and info.container in SEEKABLE and JUMPS not in video.quirks


class Clock(Struct, frozen=True, kw_only=True):
    """The clock of a picture: whether it jumps, and how long it runs in all, in seconds; 0 if nobody has looked."""

    jumps: bool = False
    seconds: float = 0.0


async def read_clock(path: Path, info: MediaInfo, settings: Settings) -> Clock:
    """Read a large broadcast recording to the end for its clock; of all others the probe has seen enough.

    Raises:
        Unplayable, TookTooLong: it can't be read.
        ToolMissing: the helper can't run here.

    """
    video = info.main_video
    if video is None or info.container not in BROADCAST or info.byte_size <= SCAN_BYTES:
        return Clock(jumps=video is not None and JUMPS in video.quirks)
    return await ask("clock", path, settings, Clock, limits=READING, index=video.index)


async def seek_before(source: Path, info: MediaInfo, start: float, settings: Settings) -> float | None:
    """The moment to jump to in order to decode the frames from `start` on; None: decode from the file's beginning.

    What ffmpeg finds there is looked at first: the first keyframe must come before `start`.

    Args:
        source: the file, absolute.
        info: what the probe found in it.
        start: seconds from the beginning of the medium.
        settings: which ffmpeg.

    """
    video = info.main_video
    if video is None or not may_seek(info):
        return None
    for margin in MARGINS:
        seek = start - margin
        if seek <= video.start:
            return None
        try:
            found = await first_keyframe(source, info, seek, settings)
        except (TookTooLong, Unplayable):
            return None  # what can't be jumped to may still be decoded from the start
        if found is not None and video.start - 1 < found <= start - min(1.0, margin / 2):
            return seek
    return None


async def first_keyframe(source: Path, info: MediaInfo, seek: float, settings: Settings) -> float | None:
    """When the first keyframe behind a jump is shown, in seconds of the medium; None if there is none."""
    video = info.main_video
    assert video is not None
    arguments = [
        *commands.base_arguments(find_ffmpeg(settings), 1),
        *commands.input_arguments(source, info.container, seek=seek, keep_times=True),
        *("-map", f"0:{video.index}", "-c", "copy", "-frames:v", "1", "-f", "framecrc", "pipe:1"),
    ]
    finished = await run(arguments, limits=LOOKING, readable=[source])
    return first_moment(finished.stdout.decode("ascii", "replace"))


def first_moment(listing: str) -> float | None:
    """Seconds at which the first frame of a `framecrc` listing is shown."""
    unit = re.search(r"^#tb 0: (\d+)/(\d+)$", listing, re.MULTILINE)
    row = re.search(r"^0,\s*(-?\d+|NOPTS),\s*(-?\d+|NOPTS),", listing, re.MULTILINE)
    if unit is None or row is None:
        return None
    stamp = next((int(it) for it in (row[2], row[1]) if it not in UNKNOWN), None)
    return None if stamp is None else stamp * int(unit[1]) / max(1, int(unit[2]))
