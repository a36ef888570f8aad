"""The key of a piece of music: how much of each pitch class sounds, against what keys have.

The profiles are those of Krumhansl and Kessler (1982), the decision is correlation (Krumhansl, "Cognitive Foundations
of Musical Pitch", 1990).
"""

from typing import Final

import numpy as np

from openstage.catalogue.analysis.tempo import SAMPLE_RATE, SHORTEST, Samples

NAMES: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_MAJOR: Final = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR: Final = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
_WINDOW: Final = 8192
_HOP: Final = 4096
_LOWEST, _HIGHEST = 65.0, 2100.0  # hertz: C2 to C7
_SURE: Final = 0.6  # correlation below which nothing is said


def estimate_key(samples: Samples) -> str:
    """Return the key of mono sound at `SAMPLE_RATE`, such as `A minor`; empty if none stands out."""
    if len(samples) < SHORTEST * SAMPLE_RATE:
        return ""
    shares = pitch_classes(samples)
    if shares.std() == 0:
        return ""
    fits = {
        f"{NAMES[tonic]} {mode}": float(np.corrcoef(np.roll(profile, tonic), shares)[0, 1])
        for tonic in range(12)
        for mode, profile in (("major", _MAJOR), ("minor", _MINOR))
    }
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] >= _SURE else ""


def pitch_classes(samples: Samples) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return how much of each of the twelve pitch classes sounds, C first; peaks of the spectrum are counted."""
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    heard = (frequencies >= _LOWEST) & (frequencies <= _HIGHEST)
    classes = np.round(12 * np.log2(frequencies[heard] / 440) + 9).astype(int) % 12
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    shares = np.zeros(12)
    for frame in frames:
        levels = np.abs(np.fft.rfft(frame * window))
        peaks = np.zeros_like(levels)
        top = (levels[1:-1] > levels[:-2]) & (levels[1:-1] >= levels[2:])
        peaks[1:-1][top] = levels[1:-1][top]
        found = np.bincount(classes, np.sqrt(peaks[heard]), minlength=12)
        total = found.sum()
        if total > 1:
            shares += found / total
    return shares
