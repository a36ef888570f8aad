"""The tempo of a piece of music, in beats per minute.

Where sounds begin (log spectral flux: Böck and Widmer, "Maximum filter vibrato suppression for onset detection", 2013)
gives a curve whose periods are looked for in two ways: autocorrelation, which also answers to multiples of the period,
and the Fourier transform, which also answers to fractions of it. What both answer to is the tempo (Peeters, "Time
variable tempo detection and beat marking", 2005). `docs/decisions/bpm.md` compares it with libraries.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 22_050
"""Hertz of the samples that are taken."""
SLOWEST, FASTEST = 40.0, 240.0
"""Tempi that are found, in beats per minute."""
SHORTEST: Final = 4.0
"""Seconds of sound below which nothing is said."""

_WINDOW: Final = 1024
_HOP: Final = 220
_FRAMES_PER_SECOND: Final = SAMPLE_RATE / _HOP
_BANDS: Final = 24
_STEP: Final = 0.005  # of a tempo to the next one that is tried
_PREFERRED, _OCTAVES = 108.0, 1.1  # people hear the beat near there (van Noorden and Moelants, 1999)
_FAINT: Final = 0.02

Samples = NDArray[np.float32]
Curve = NDArray[np.float64]


def estimate_tempo(samples: Samples) -> float | None:
    """Return the beats per minute of mono sound at `SAMPLE_RATE`; None if no pulse is heard."""
    if len(samples) < SHORTEST * SAMPLE_RATE:
        return None
    curve = onset_curve(samples)
    tempi = SLOWEST * (1 + _STEP) ** np.arange(np.log(FASTEST / SLOWEST) / np.log(1 + _STEP))
    scores = pulse(curve, tempi)
    best = int(np.argmax(scores))
    if scores[best] < _FAINT:
        return None
    return refined(curve, float(tempi[best]))


def onset_curve(samples: Samples) -> Curve:
    """Return how much begins at each moment, `_FRAMES_PER_SECOND` times a second, without slow changes."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    bands = _filters()
    levels = np.concatenate(
        [
            np.log1p(100 * (np.abs(np.fft.rfft(frames[at : at + 2000] * window)) @ bands))
            for at in range(0, len(frames), 2000)
        ]
    )
    rise = np.maximum(levels[2:] - np.maximum(levels[:-2], levels[1:-1] * 0), 0).sum(axis=1)
    width = int(_FRAMES_PER_SECOND / 2)
    around = np.convolve(rise, np.ones(width) / width, mode="same")
    curve = np.maximum(rise - around, 0)
    spread = float(curve.std())
    return np.asarray((curve - curve.mean()) / spread if spread > 0 else curve * 0)


def pulse(curve: Curve, tempi: Curve) -> Curve:
    """Return how strongly each tempo is heard in a curve."""
    size = 1 << int(np.ceil(np.log2(2 * len(curve))))
    power = np.abs(np.fft.rfft(curve, size)) ** 2
    correlation = np.fft.irfft(power)[: len(curve)]
    correlation /= np.maximum(correlation[0], 1e-9)
    lags = 60 * _FRAMES_PER_SECOND / tempi
    steady = np.mean([_at(correlation, lags * beats) for beats in (1, 2, 3, 4)], axis=0)
    cycles = tempi / 60 / _FRAMES_PER_SECOND * size
    loud = np.sqrt(_around(power, cycles)) / np.sqrt(power.max())
    preference = np.exp(-0.5 * (np.log2(tempi / _PREFERRED) / _OCTAVES) ** 2)
    return np.asarray(np.maximum(steady, 0) * loud * preference)


def refined(curve: Curve, tempo: float) -> float:
    """Return a tempo exactly: the one near it whose phase fits the whole curve best."""
    moments = np.arange(len(curve)) / _FRAMES_PER_SECOND
    near = tempo * np.linspace(0.97, 1.03, 241)
    waves = np.exp(-2j * np.pi * np.outer(near / 60, moments)) + np.exp(-4j * np.pi * np.outer(near / 60, moments))
    return float(near[int(np.argmax(np.abs(waves @ curve)))])


def _filters() -> NDArray[np.float32]:
    """Triangular bands, equally wide to the ear (mel), as columns."""
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 30 / 700), top, _BANDS + 2) / 2595) - 1)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _at(curve: Curve, places: Curve) -> Curve:
    return np.asarray(np.interp(places, np.arange(len(curve)), curve, right=0.0))


def _around(power: Curve, places: Curve) -> Curve:
    middle = np.round(places).astype(int)
    return np.asarray(np.max([power[np.clip(middle + shift, 0, len(power) - 1)] for shift in (-1, 0, 1)], axis=0))
