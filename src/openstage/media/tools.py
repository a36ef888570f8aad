"""Which ffmpeg is used, and what it can do."""

import importlib.util
import os
import re
import shutil
from pathlib import Path

from openstage.media.errors import ToolMissing
from openstage.media.sandbox import Limits, run
from openstage.settings import Settings

REQUIRED_ENCODERS = ("libx264", "aac", "libmp3lame", "mjpeg")
MOST_THREADS = 8
ASKING = Limits(seconds=30, cpu_seconds=20)


def find_ffmpeg(settings: Settings) -> Path:
    """The ffmpeg program: the operator's if one is set, else the one that comes with Openstage.

    Raises:
        ToolMissing: there is none; the message says what to do.

    """
    if settings.ffmpeg:
        found = shutil.which(settings.ffmpeg)
        if found is None:
            raise ToolMissing(f"There is no program {settings.ffmpeg!r}: mend the setting `ffmpeg` or leave it empty.")
        return Path(found).absolute()
    package = importlib.util.find_spec("imageio_ffmpeg")
    folders = package.submodule_search_locations if package else None
    programs = sorted(program for folder in folders or () for program in Path(folder, "binaries").glob("ffmpeg-*"))
    if programs:
        return programs[-1].absolute()
    system = shutil.which("ffmpeg")
    if system is None:
        raise ToolMissing("There is no ffmpeg: install the package imageio-ffmpeg, or set `ffmpeg` to a program.")
    return Path(system).absolute()


def thread_count(settings: Settings) -> int:
    """Threads of each encoder and decoder; 0: ffmpeg's own choice, which is good up to some cores.

    On large machines it takes memory by the gigabyte for little: there are as many encoders as rungs.
    """
    return settings.encoder_threads or (MOST_THREADS if len(os.sched_getaffinity(0)) > MOST_THREADS else 0)


async def ffmpeg_version(settings: Settings) -> str:
    """Version as ffmpeg tells it, such as `7.1` or `n9.0.2-17-g2a571b6068`.

    Raises:
        ToolMissing: there is no ffmpeg, or it doesn't run.

    """
    said = await _ask(settings, "-version")
    found = re.match(r"ffmpeg version (\S+)", said)
    if found is None:
        raise ToolMissing(f"{find_ffmpeg(settings)} is no ffmpeg: it says {said[:80]!r}.")
    return found[1]


async def ffmpeg_encoders(settings: Settings) -> frozenset[str]:
    """Names of all encoders it has been built with; `REQUIRED_ENCODERS` must be among them.

    Raises:
        ToolMissing: there is no ffmpeg, or it doesn't run.

    """
    said = await _ask(settings, "-encoders")
    return frozenset(re.findall(r"^ [VAS][.A-Z]{5} (\S+)", said, re.MULTILINE))


async def _ask(settings: Settings, question: str) -> str:
    """What ffmpeg says to an option that asks about itself."""
    finished = await run([str(find_ffmpeg(settings)), "-hide_banner", question], limits=ASKING)
    if finished.status:
        raise ToolMissing(f"{find_ffmpeg(settings)} doesn't run: {finished.stderr[-200:]}")
    return finished.stdout.decode("utf-8", "replace")
