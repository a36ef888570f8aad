"""Frame rates from time stamps."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

# The rates that are in use; a measured one close to one of these is meant to be it.
COMMON = (
    *(Fraction(n) for n in (1, 5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 75, 90, 100, 120, 144, 240)),
    *(Fraction(n * 1000, 1001) for n in (15, 24, 30, 48, 60, 120, 240)),
)
SNAP = 0.0004  # a rate within this share of a common one; 24 and 24000/1001 are 0.001 apart
SNAP_COARSE = 0.01  # likewise where time stamps are in whole milliseconds and nothing else is known
STEADY_SHARE = 0.1  # a distance within this share of the usual one, or
STEADY_SECONDS = 0.0016  # within the rounding of a clock of milliseconds, is the usual one
MOST_UNSTEADY = 0.02  # share of unsteady distances in a steady stream
REORDERED = 16  # stamps at the end of a sample between which some may not have come by yet


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames per second: on average, at the usual pace; whether the pace varies."""

    average: float
    nominal: float
    variable: bool


def frame_rates(stamps: Sequence[float], *, guessed: float, average: float) -> Rates:
    """Tell the pace of a stream by its first time stamps.

    Args:
        stamps: presentation times in seconds, in the order of the file.
        guessed: rate that the demuxer guesses, 0 if it has none.
        average: rate that the header gives, 0 if it has none.

    """
    ordered = sorted(set(stamps))
    if len(ordered) > 10 * REORDERED:
        ordered = ordered[:-REORDERED]
    distances = [after - before for before, after in itertools.pairwise(ordered)]
    if not distances:
        rate = guessed if 0 < guessed <= 240 else average if average > 0 else 25.0
        return Rates(average=average or rate, nominal=rate, variable=False)
    usual = statistics.median(distances)
    steady = [it for it in distances if abs(it - usual) <= max(STEADY_SHARE * usual, STEADY_SECONDS)]
    unsteady = len(distances) - len(steady)
    variable = unsteady > max(1, MOST_UNSTEADY * len(distances))
    nominal = len(steady) / sum(steady) if steady else 1 / usual
    if guessed > 0 and abs(guessed - nominal) <= SNAP_COARSE * nominal:
        nominal = guessed
    measured = len(distances) / (ordered[-1] - ordered[0])
    return Rates(average=measured if variable or average <= 0 else average, nominal=nominal, variable=variable)


def exact_rate(rate: float) -> Fraction:
    """The rate as a fraction: the common one that is meant, else to three decimals."""
    near = min(COMMON, key=lambda common: abs(float(common) - rate))
    if abs(float(near) - rate) <= SNAP * rate:
        return near
    return Fraction(round(rate * 1000), 1000)
