"""Loudness as EBU R 128 has it: how loud a work is as a whole, how much that varies, and its true peak.

Measured on what is heard, after multichannel sound has been mixed down to stereo; sound of one channel counts as it
is played, from both speakers. ffmpeg's `ebur128` filter (ITU-R BS.1770-4, EBU Tech 3341 and 3342) does it.
"""

import re

from msgspec import Struct

SILENCE = -70.0  # LUFS: nothing softer counts (the absolute gate of BS.1770)
SHORTEST_FOR_RANGE = 3.0  # seconds: the window of EBU Tech 3342


class Loudness(Struct, frozen=True, kw_only=True):
    """The loudness of a whole work.

    Attributes:
        integrated_lufs: programme loudness in LUFS; None: silence, or shorter than 0.4 seconds.
        range_lu: loudness range in LU; None: silence, or shorter than 3 seconds.
        true_peak_dbtp: largest level between samples too, in dB of full scale; None: digital silence.

    """

    integrated_lufs: float | None = None
    range_lu: float | None = None
    true_peak_dbtp: float | None = None


def loudness_filter(channels: int) -> str:
    """The filter that measures sound of one or two channels and lets it through; it reports at log level `info`."""
    return f"ebur128=framelog=quiet:peak=true:dualmono={int(channels == 1)}"


def read_loudness(said: str, seconds: float) -> Loudness:
    """Loudness from what ffmpeg said last.

    Args:
        said: the end of its log, with the filter's summary.
        seconds: duration of the sound.

    """
    _, _, summary = said.rpartition("Summary:")
    integrated = _number(summary, r"Integrated loudness:\s+I:\s+(\S+) LUFS")
    spread = _number(summary, r"Loudness range:\s+LRA:\s+(\S+) LU")
    peak = _number(summary, r"True peak:\s+Peak:\s+(\S+) dBFS")
    if integrated is None or integrated <= SILENCE:
        return Loudness(true_peak_dbtp=peak)
    return Loudness(
        integrated_lufs=integrated, range_lu=spread if seconds >= SHORTEST_FOR_RANGE else None, true_peak_dbtp=peak
    )


def _number(text: str, pattern: str) -> float | None:
    """A finite number out of a text."""
    found = re.search(pattern, text)
    if found is None or not re.fullmatch(r"-?\d+(\.\d+)?", found[1]):
        return None
    return float(found[1])
