"""Instruments in plain Python: a note of each as a list of samples between -1 and 1, at `RATE`.

Plucked strings are Karplus-Strong loops, the others sums of partials with an envelope: enough to tell a guzheng from
a guitar, and quick: some thirty nanoseconds a sample and operation.
"""

import functools
import math
import random
from dataclasses import dataclass
from typing import Final, Literal

RATE: Final = 24_000
"""Samples a second."""
TABLE: Final = 2048
"""Samples of one period of a waveform."""

SOFTENING: Final = 0.3
"""How much of the neighbouring sample a plucked string takes on each round: it gets softer as it rings."""

Samples = list[float]
Drum = Literal["kick", "snare", "hat", "clap", "tom", "tick"]


@dataclass(frozen=True, slots=True)
class Plucked:
    """A plucked string.

    Attributes:
        decay: part of its strength that is left after a second at 220 Hz.
        bright: how much of the pluck's noise is heard, 0 to 1.

    """

    decay: float
    bright: float


@dataclass(frozen=True, slots=True)
class Toned:
    """A tone of partials.

    Attributes:
        partials: strength by number of the partial.
        attack: seconds until it is loud.
        decay: seconds until it has fallen to a third; 0: it is held.
        vibrato: depth in semitones.
        breath: part of noise.

    """

    partials: tuple[tuple[float, float], ...]
    attack: float
    decay: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.0


def _saw(count: int, slope: float = 1.0) -> tuple[tuple[float, float], ...]:
    return tuple((number, 1 / number**slope) for number in range(1, count + 1))


INSTRUMENTS: Final[dict[str, Plucked | Toned]] = {
    "guzheng": Plucked(decay=0.55, bright=0.9),
    "pipa": Plucked(decay=0.12, bright=1.0),
    "guitar": Plucked(decay=0.35, bright=0.45),
    "oud": Plucked(decay=0.15, bright=0.3),
    "strings": Toned(_saw(9, 1.15), attack=0.09, vibrato=0.12),
    "cello": Toned(((1, 0.8), (2, 1.0), (3, 0.55), (4, 0.4), (5, 0.3), (6, 0.12)), attack=0.12, vibrato=0.15),
    "erhu": Toned(((1, 0.5), (2, 1.0), (3, 0.7), (4, 0.25), (5, 0.45), (6, 0.2)), attack=0.06, vibrato=0.35),
    "dizi": Toned(((1, 1.0), (2, 0.45), (3, 0.3), (4, 0.06)), attack=0.03, vibrato=0.15, breath=0.05),
    "brass": Toned(((1, 0.7), (2, 1.0), (3, 0.9), (4, 0.6), (5, 0.4), (6, 0.3), (7, 0.2)), attack=0.05, vibrato=0.05),
    "piano": Toned(((1, 1.0), (2, 0.5), (3, 0.25), (4, 0.15), (5, 0.06), (7, 0.03)), attack=0.004, decay=0.9),
    "bells": Toned(((1, 1.0), (2.76, 0.45), (5.4, 0.25), (8.93, 0.08)), attack=0.002, decay=0.8),
    "marimba": Toned(((1, 1.0), (3.93, 0.3), (9.2, 0.08)), attack=0.002, decay=0.18),
    "synth": Toned(((1, 1.0), (3, 0.4), (5, 0.25), (7, 0.15), (9, 0.1)), attack=0.006, decay=0.5),
    "pad": Toned(_saw(5, 1.6), attack=0.35, vibrato=0.06),
    "bass": Toned(((1, 1.0), (2, 0.35), (3, 0.12)), attack=0.008, decay=0.6),
}


@functools.lru_cache(maxsize=512)
def note(instrument: str, pitch: int, seconds: float) -> Samples:
    """Return a note; who gets it mustn't change it.

    Args:
        instrument: key of `INSTRUMENTS`.
        pitch: MIDI number.
        seconds: how long it is held; it rings a little longer.

    """
    kind = INSTRUMENTS[instrument]
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    if isinstance(kind, Plucked):
        return _pluck(kind, hertz, seconds + 0.6)
    return _tone(kind, hertz, seconds + (0.8 if kind.decay else 0.12), seconds)


@functools.cache
def drum(kind: Drum) -> Samples:
    """Return a stroke of a drum."""
    chance = random.Random(kind)  # noqa: S311 - noise, no secret
    length, low, fall, noise, ring = {
        "kick": (0.28, 52.0, 90.0, 0.02, 9.0),
        "tom": (0.34, 92.0, 60.0, 0.06, 8.0),
        "snare": (0.2, 185.0, 20.0, 0.75, 16.0),
        "clap": (0.16, 900.0, 0.0, 0.9, 20.0),
        "hat": (0.06, 6000.0, 0.0, 0.85, 55.0),
        "tick": (0.05, 1900.0, 0.0, 0.2, 70.0),
    }[kind]
    made: Samples = []
    phase = 0.0
    for index in range(int(length * RATE)):
        at = index / RATE
        phase += (low + fall * math.exp(-30 * at)) / RATE
        tone = math.sin(2 * math.pi * phase)
        made.append(math.exp(-ring * at) * (tone * (1 - noise) + noise * chance.uniform(-1, 1)))
    return made


def _pluck(kind: Plucked, hertz: float, seconds: float) -> Samples:
    """Karplus-Strong: a period of noise that goes round, and loses its edges on the way."""
    period = RATE / hertz
    whole = int(period - SOFTENING)
    part = period - SOFTENING - whole  # what is left of the period tunes the string, between two samples
    keep = kind.decay ** (1 / 220)
    chance = random.Random(whole)  # noqa: S311 - noise, no secret
    burst = [chance.uniform(-1, 1) for _ in range(whole)]
    smooth = [(a + b) / 2 for a, b in zip(burst, [burst[-1], *burst[:-1]], strict=True)]
    block = [kind.bright * a + (1 - kind.bright) * b for a, b in zip(burst, smooth, strict=True)]
    last = second = 0.0
    made: Samples = []
    here = keep * (1 - part) * (1 - SOFTENING)
    there = keep * ((1 - part) * SOFTENING + part * (1 - SOFTENING))
    beyond = keep * part * SOFTENING
    for _ in range(int(seconds * RATE / whole) + 1):
        made += block
        shifted, twice = [last, *block[:-1]], [second, last, *block[:-2]]
        last, second = block[-1], block[-2]
        block = [here * a + there * b + beyond * c for a, b, c in zip(block, shifted, twice, strict=True)]
    made = made[: int(seconds * RATE)]
    return _fade(made, 0.05)


def _tone(kind: Toned, hertz: float, seconds: float, held: float) -> Samples:
    count = int(seconds * RATE)
    whole = [(number, strength) for number, strength in kind.partials if number * hertz < RATE / 2.2]
    if all(number == int(number) for number, _ in whole):
        table = _period(tuple(whole))
        made = _wave(table, hertz, count, kind.vibrato)
    else:  # bells: partials that fit no common period
        made = [0.0] * count
        total = sum(strength for _, strength in whole)
        for number, strength in whole:
            sine = _wave(_period(((1, 1.0),)), hertz * number, count, 0.0)
            made = [a + strength / total * b for a, b in zip(made, sine, strict=True)]
    if kind.breath:
        chance = random.Random(count)  # noqa: S311 - noise, no secret
        made = [value + kind.breath * chance.uniform(-1, 1) for value in made]
    return [value * gain for value, gain in zip(made, _envelope(kind.attack, kind.decay, held, count), strict=True)]


@functools.cache
def _period(partials: tuple[tuple[float, float], ...]) -> Samples:
    total = sum(strength for _, strength in partials) or 1.0
    return [
        sum(strength * math.sin(2 * math.pi * number * index / TABLE) for number, strength in partials) / total
        for index in range(TABLE)
    ]


def _wave(table: Samples, hertz: float, count: int, vibrato: float) -> Samples:
    step = hertz * TABLE / RATE
    mask = TABLE - 1
    if not vibrato:
        return [table[int(index * step) & mask] for index in range(count)]
    # A vibrato of 5.2 Hz that comes in slowly: the phase sways, by as much as makes the pitch sway by its depth.
    rate = 2 * math.pi * 5.2 / RATE
    depth = step * (2 ** (vibrato / 12) - 1) / rate
    sine, grown = math.sin, RATE * 0.35
    return [
        table[int(index * step + depth * min(1.0, index / grown) * sine(index * rate)) & mask] for index in range(count)
    ]


@functools.lru_cache(maxsize=64)
def _envelope(attack: float, decay: float, held: float, count: int) -> Samples:
    rise = max(1, int(attack * RATE))
    made = [min(1.0, index / rise) for index in range(count)]
    if decay:
        fall = math.exp(-1 / (decay * RATE))
        gain = 1.0
        for index in range(rise, count):
            gain *= fall
            made[index] = gain
        return _fade(made, 0.05)
    end = int(held * RATE)
    return _fade(made[:end] + [made[min(end, count) - 1]] * (count - end), (count - end) / RATE)


def _fade(samples: Samples, seconds: float) -> Samples:
    """Let the end fade away."""
    length = min(len(samples), max(1, int(seconds * RATE)))
    start = len(samples) - length
    return samples[:start] + [value * (length - index) / length for index, value in enumerate(samples[start:])]
