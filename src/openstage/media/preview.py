"""A short MP3 of a part of a sound, to listen before one buys."""

import asyncio
from pathlib import Path

from openstage.media import commands
from openstage.media.commands import Source
from openstage.media.encoding import NICE, reason_of
from openstage.media.errors import Unplayable
from openstage.media.models import MediaInfo, Rendition
from openstage.media.mp3 import describe_mp3
from openstage.media.sandbox import Limits, run
from openstage.media.sound import mp3_output
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.settings import Settings

FADE_IN, FADE_OUT = 0.02, 2.0  # seconds
LIMITS = Limits(seconds=900, cpu_seconds=900, nice=NICE)
# Formats without an index: a jump is a guess there, so they are decoded from the beginning.
NO_INDEX = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "amr", "loas"})


async def make_preview(
    source: Path,
    info: MediaInfo,
    folder: Path,
    settings: Settings,
    *,
    start: float,
    length: float,
    bit_rate: int = 128_000,
    fade_in: float = FADE_IN,
    fade_out: float = FADE_OUT,
) -> Rendition:
    """Make an MP3 of a part of a medium's sound.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        folder: an existing folder; the caller's. Written is `folder/preview.mp3`.
        settings: which ffmpeg.
        start: seconds from the beginning.
        length: seconds; what lies behind the end isn't there: the preview is shorter then.
        bit_rate: bits per second, one of MPEG-1's (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 kb/s).
        fade_in: seconds in which it becomes louder.
        fade_out: seconds in which it becomes softer; neither fade is longer than half of it.

    Returns:
        The preview, quality `preview`.

    Raises:
        Unplayable: there is no sound, none at that place, or it can't be decoded.
        TookTooLong: it took too long.
        ScratchFull: the disk is full.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    chosen = Source.of(source, info)
    length = min(length, chosen.end - start)
    if chosen.audio is None or start < 0 or length <= 0:
        raise Unplayable("There is no sound at that place.")
    seek = start if info.container not in NO_INDEX else None
    first = 0.0 if seek is not None else start
    filters = [f"atrim=start={first:.6f}:duration={length:.6f}", "asetpts=PTS-STARTPTS"]
    fade_in, fade_out = min(fade_in, length / 2), min(fade_out, length / 2)
    filters += [f"afade=t=in:d={fade_in:.6f}"] if fade_in > 0 else []
    filters += [f"afade=t=out:st={length - fade_out:.6f}:d={fade_out:.6f}"] if fade_out > 0 else []
    threads = thread_count(settings)
    arguments = [
        *commands.base_arguments(find_ffmpeg(settings), threads),
        *commands.input_arguments(chosen.path, info.container, threads, seek=seek),
        *("-filter_complex", f"{commands.sound_graph(chosen, ['all'])};[all]{','.join(filters)}[part]"),
        *mp3_output("part", bit_rate, "preview.mp3"),
    ]
    finished = await run(arguments, limits=LIMITS, readable=[chosen.path], writable=folder)
    if finished.status:
        raise Unplayable(reason_of(finished.stderr))
    return await asyncio.to_thread(describe_mp3, folder / "preview.mp3", "preview")
