"""Samples of a medium, decoded by ffmpeg in its sandbox."""

from pathlib import Path
from typing import Final

import numpy as np

from openstage.catalogue.analysis.tempo import SAMPLE_RATE, Samples
from openstage.media import commands
from openstage.media.commands import Source
from openstage.media.encoding import reason_of
from openstage.media.errors import Unplayable
from openstage.media.models import MediaInfo
from openstage.media.sandbox import Limits, run
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.settings import Settings

LONGEST: Final = 150.0
"""Seconds that are listened to: tempo and key of a piece are there by then."""
_SKIPPED: Final = 0.1
"""Part of a longer piece that is passed over at its beginning: introductions often keep no time."""
_LIMITS: Final = Limits(seconds=900, cpu_seconds=900)
_NAME: Final = "samples.f32"


async def read_samples(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> Samples:
    """Return up to `LONGEST` seconds of a medium's sound, mono, at `SAMPLE_RATE`, full scale ±1.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it; there is sound in it.
        folder: an existing folder, to work in.
        settings: which ffmpeg and its threads.

    Raises:
        Unplayable: it can't be decoded; and what `sandbox.run` raises.

    """
    chosen = Source.of(source, info)
    start = min(info.duration * _SKIPPED, info.duration - LONGEST) if info.duration > LONGEST else 0.0
    threads = thread_count(settings)
    graph = f"{commands.sound_graph(chosen, ['all'])};[all]atrim=start={start:.3f}:duration={LONGEST}"
    arguments = [
        *commands.base_arguments(find_ffmpeg(settings), threads),
        *commands.input_arguments(chosen.path, info.container, threads),
        *("-filter_complex", f"{graph},aresample={SAMPLE_RATE},aformat=channel_layouts=mono[part]"),
        *("-map", "[part]", "-f", "f32le", "-c:a", "pcm_f32le", _NAME),
    ]
    finished = await run(arguments, limits=_LIMITS, readable=[chosen.path], writable=folder)
    if finished.status:
        raise Unplayable(reason_of(finished.stderr))
    made = folder / _NAME
    samples = np.fromfile(made, dtype="<f4")
    made.unlink()
    return np.asarray(np.nan_to_num(np.clip(samples, -1, 1)), dtype=np.float32)
