"""Asking the helper that reads hostile files inside the sandbox."""

import functools
import importlib.util
import logging
import sys
import sysconfig
from pathlib import Path
from typing import TypeVar

import msgspec

from openstage.media.errors import ToolMissing, Unplayable
from openstage.media.inside import __file__ as inside
from openstage.media.sandbox import Limits, perform
from openstage.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

# Formats that hold their media themselves. Left out on purpose: whatever opens other files or hosts (hls, dash,
# concat, sdp, rtsp, image sequences, imf …), text, subtitles, still pictures, module music.
FORMATS = (
    *("mov", "matroska", "avi", "flv", "live_flv", "mpegts", "mpeg", "mpegvideo", "asf", "rm", "mxf", "ogg", "nut"),
    *("ivf", "obu", "h264", "hevc", "m4v", "h263", "vc1", "dv", "gxf", "wtv", "yuv4mpegpipe"),
    *("mp3", "aac", "flac", "wav", "w64", "aiff", "caf", "au", "ac3", "eac3", "dts", "truehd", "amr", "ape", "wv"),
    *("tta", "tak", "mpc", "mpc8", "dsf", "loas", "voc"),
)


@functools.cache
def python_libraries() -> tuple[Path, tuple[Path, ...]]:
    """The Python program, and all folders from which it and PyAV load code.

    Raises:
        ToolMissing: there is no PyAV.

    """
    found = importlib.util.find_spec("av")
    if found is None or found.origin is None:
        raise ToolMissing("The package av is missing: install Openstage with its server dependencies.")
    packages = Path(found.origin).parent.parent
    paths = sysconfig.get_paths()
    folders = {
        Path(paths["stdlib"]),
        Path(paths["platstdlib"]),
        packages,
        Path(inside).parent,
        Path(sys.base_prefix, "lib"),
    }
    shared = sysconfig.get_config_var("LIBDIR")
    folders |= {Path(shared)} if shared else set()
    return Path(sys.executable), tuple(sorted(folders))


async def ask(task: str, path: Path, settings: Settings, answer: type[T], *, limits: Limits, **order: object) -> T:
    """Let the helper do a task on a file.

    Args:
        task: module of `openstage.media.inside` whose `result()` is wanted.
        path: the file, absolute; the only one that the helper can read.
        settings: limit on pixels.
        answer: what the answer must look like; it comes from a process that the file may have taken over.
        limits: of the sandbox.
        order: what the task wants besides.

    Raises:
        Unplayable: the helper failed on this file.
        TookTooLong: over the limits.
        ToolMissing: the helper can't run here.

    """
    order |= {"task": task, "path": str(path), "formats": ",".join(FORMATS), "max_pixels": settings.max_pixels}
    finished = await perform(order, limits=limits, readable=[path], libraries=python_libraries()[1])
    if finished.status and "MemoryError" in finished.stderr:
        raise Unplayable("The file asks for more memory than is allowed.")
    if finished.status and ("ImportError" in finished.stderr or "ModuleNotFoundError" in finished.stderr):
        raise ToolMissing(f"The package av can't be loaded: {finished.stderr.splitlines()[-1]}")
    if finished.status:  # what a damaged file does is caught inside: this is a defect of ours, or an attack
        log.warning("the media helper failed at %s: %s", task, finished.stderr.splitlines()[-1:])
    try:
        return msgspec.json.decode(finished.stdout, type=answer)
    except msgspec.DecodeError as error:
        raise Unplayable("The file can't be read as a video or sound file.") from error
