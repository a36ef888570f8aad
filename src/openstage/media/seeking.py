"""Where a chunk's decoding begins, so that it gives the very frames that decoding from the start of the file gives."""

import re
from pathlib import Path

from openstage.media import commands
from openstage.media.models import MediaInfo, VideoStream
from openstage.media.sandbox import Limits, run
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

# The decoder begins so many seconds before the first frame that is wanted: frames that refer to what lies before the
# keyframe (open groups of pictures) are gone by then. Where no keyframe is found in time, further back.
MARGINS = (2.0, 12.0, 60.0)
LOOKING = Limits(seconds=120, cpu_seconds=60, file_size=0, nice=15)
# Formats with an index or time stamps by which jumping is exact; the tests hold every one of them against decoding
# from the start. In the others (raw streams, damaged clocks) a chunk decodes from the start of the file.
SEEKABLE = frozenset({"mov", "matroska", "flv", "avi", "asf", "mpegts"})


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
    if video is None or info.container not in SEEKABLE:
        return None
    for margin in MARGINS:
        seek = start - margin
        if seek <= video.start:
            return None
        found = await _first_keyframe(source, info, video, seek, settings)
        if found is not None and video.start - 1 < found <= start - min(1.0, margin / 2):
            return seek
    return None


async def _first_keyframe(
    source: Path, info: MediaInfo, video: VideoStream, seek: float, settings: Settings
) -> float | None:
    """When the first keyframe behind a jump is shown, in seconds of the medium; None if there is none."""
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
    stamp = row[2] if row[2] != "NOPTS" else row[1]
    return int(stamp) * int(unit[1]) / int(unit[2]) if stamp != "NOPTS" and int(unit[2]) else None
