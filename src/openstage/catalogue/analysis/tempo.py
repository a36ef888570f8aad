"""The tempo of a piece of music, in beats per minute.

1. Where sounds begin: the rise of each band's level (spectral flux: Bello et al., "A tutorial on onset detection in
   music signals", 2005).
2. Which periods that curve has, found in two ways: autocorrelation, which also answers to multiples of the period, and
   the Fourier transform, which also answers to fractions of it (Peeters, "Time variable tempo detection", 2005).
3. Which of the simple multiples and fractions is the beat: the one whose beats are about equally strong and have
   nothing as strong between them. This is what keeps errors by an octave rare.

`docs/decisions/bpm.md` compares it with libraries.
"""

from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 22_050
"""Hertz of the samples that are taken."""
SLOWEST, FASTEST = 45.0, 220.0
"""Tempi that are told, in beats per minute."""
SHORTEST: Final = 4.0
"""Seconds of sound below which nothing is said."""

_WINDOW: Final = 1024
_HOP: Final = 220
_FRAMES_PER_SECOND: Final = SAMPLE_RATE / _HOP
_BANDS: Final = 24
_LOUDNESS: Final = 1.2  # exponent of the levels: cymbals count less than drums, drums not more than they are heard
_STEP: Final = 0.005  # of a tempo to the next one that is tried
_SEARCHED: Final = (40.0, 240.0)
_RELATED: Final = tuple(map(Fraction, ("1/4", "1/3", "1/2", "2/3", "1", "3/2", "2", "3", "4")))
_PREFERRED, _OCTAVES = 110.0, 1.5  # people hear the beat near there (van Noorden and Moelants, 1999)
_FAINT_RISE, _FAINT_PULSE = 0.02, 0.06  # below these there is no pulse
_BINS: Final = 24  # of a beat, when the curve is laid over itself beat by beat

Samples = NDArray[np.float32]
Curve = NDArray[np.float64]


def estimate_tempo(samples: Samples) -> float | None:
    """Return the beats per minute of mono sound at `SAMPLE_RATE`; None if no pulse is heard."""
    if len(samples) < SHORTEST * SAMPLE_RATE:
        return None
    rise = onsets(samples)
    if rise.max() < _FAINT_RISE:
        return None
    curve = _sharpened(rise)
    slowest, fastest = _SEARCHED
    tempi = slowest * (1 + _STEP) ** np.arange(np.log(fastest / slowest) / np.log(1 + _STEP))
    scores = _periods(curve, tempi)
    best = int(np.argmax(scores))
    if scores[best] < _FAINT_PULSE:
        return None
    period = _refined(curve, float(tempi[best]))
    strong = np.maximum(rise - np.median(rise), 0)
    related = [float(each) * period for each in _RELATED if SLOWEST <= float(each) * period <= FASTEST]
    return max(related, key=lambda tempo: _beat(strong, tempo))


def onsets(samples: Samples) -> Curve:
    """Return how much begins at each moment, `_FRAMES_PER_SECOND` times a second."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    bands = _filters()
    levels = np.concatenate(
        [np.abs(np.fft.rfft(frames[at : at + 2000] * window)) @ bands for at in range(0, len(frames), 2000)]
    )
    levels = (levels / max(float(levels.max()), 1e-4)) ** _LOUDNESS
    return np.asarray(np.maximum(levels[2:] - levels[:-2], 0).sum(axis=1), dtype=np.float64)


def _sharpened(rise: Curve) -> Curve:
    """The curve without slow changes, mean 0 and variance 1."""
    width = int(_FRAMES_PER_SECOND / 2)
    curve = np.maximum(rise - np.convolve(rise, np.ones(width) / width, mode="same"), 0)
    spread = float(curve.std())
    return np.asarray((curve - curve.mean()) / spread if spread > 0 else curve * 0)


def _periods(curve: Curve, tempi: Curve) -> Curve:
    """How strongly a curve repeats at each tempo."""
    size = 1 << int(np.ceil(np.log2(2 * len(curve))))
    power = np.abs(np.fft.rfft(curve, size)) ** 2
    correlation = np.fft.irfft(power)[: len(curve)]
    correlation /= max(float(correlation[0]), 1e-9)
    lags = 60 * _FRAMES_PER_SECOND / tempi
    steady = np.mean(
        [np.interp(lags * beats, np.arange(len(curve)), correlation, right=0.0) for beats in (1, 2, 3, 4)], axis=0
    )
    cycles = np.round(tempi / 60 / _FRAMES_PER_SECOND * size).astype(int)
    loud = np.max([power[np.clip(cycles + shift, 0, len(power) - 1)] for shift in (-1, 0, 1)], axis=0)
    return np.asarray(np.maximum(steady, 0) * np.sqrt(loud / max(float(power.max()), 1e-9)) * _preference(tempi, 1.1))


def _refined(curve: Curve, tempo: float) -> float:
    """A tempo exactly: the one near it whose phase fits the whole curve best."""
    moments = np.arange(len(curve)) / _FRAMES_PER_SECOND
    near = tempo * np.linspace(0.97, 1.03, 241)
    turns = np.outer(near / 60, moments)
    fits = np.abs((np.exp(-2j * np.pi * turns) + np.exp(-4j * np.pi * turns)) @ curve)
    return float(near[int(np.argmax(fits))])


def _beat(rise: Curve, tempo: float) -> float:
    """How much a tempo is that of the beat."""
    one = _folded(rise, tempo, 1)
    first = int(np.argmax(one))
    strength = max(float(one[first]), 1e-9)
    between = max(_near(one, first + _BINS // 2), _near(one, first + _BINS // 3), _near(one, first + 2 * _BINS // 3))
    # Where these are only divisions of the beat, every second or third is weak; bars of three are uneven too, but less.
    even, triple = (_evenness(_folded(rise, tempo, beats), first, beats) for beats in (2, 3))
    alike = min(even, triple**0.5)
    alone = max(1 - between / strength, 0.02)
    return float(alike**0.6 * alone**0.8 * _preference(np.array([tempo]), _OCTAVES)[0])


def _folded(rise: Curve, tempo: float, beats: int) -> Curve:
    """The mean of a curve at each moment of so many beats."""
    count = _BINS * beats
    places = ((np.arange(len(rise)) / _FRAMES_PER_SECOND * tempo / 60 / beats % 1) * count).astype(int)
    mean = np.bincount(places, rise, count) / np.maximum(np.bincount(places, minlength=count), 1)
    return np.asarray(np.convolve(np.r_[mean[-1], mean, mean[0]], [0.25, 0.5, 0.25], "valid"))


def _evenness(folded: Curve, first: int, beats: int) -> float:
    """The weakest beat's part of the strongest one."""
    strengths = [_near(folded, first + _BINS * beat) for beat in range(beats)]
    return min(strengths) / max(*strengths, 1e-9)


def _near(folded: Curve, place: int) -> float:
    return max(float(folded[(place + shift) % len(folded)]) for shift in (-1, 0, 1))


def _preference(tempi: Curve, octaves: float) -> Curve:
    return np.asarray(np.exp(-0.5 * (np.log2(tempi / _PREFERRED) / octaves) ** 2))


def _filters() -> NDArray[np.float32]:
    """Triangular bands, equally wide to the ear (mel) and of equal weight, as columns."""
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 30 / 700), top, _BANDS + 2) / 2595) - 1)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(bands / np.maximum(bands.sum(axis=0), 1e-6), dtype=np.float32)
