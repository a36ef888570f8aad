"""When a growing rendition may be offered: once a player that starts now won't catch up with the encoder."""

from typing import Final

MARGIN: Final = 1.15
"""What is yet to be made may take so many times longer than what has been made lets expect."""
CELL: Final = 4.0
"""Seconds of a segment, which can be played when it is whole."""


def seconds_to_wait(ready: float, duration: float, speed: float) -> float:
    """Tell how long a player must wait so that it never waits again.

    What is made after so many seconds lies on one line, what is wanted of it on another: where the first lies above the
    second at both ends, it does everywhere.

    Args:
        ready: seconds of the medium that can be played now.
        duration: seconds that it has.
        speed: seconds of it that are made in a second.

    Returns:
        Seconds; 0: it can begin now; infinite: nothing is made.

    """
    if ready >= duration > 0:
        return 0.0
    if ready <= 0 or speed <= 0:
        return float("inf")
    pace = speed / MARGIN
    # The segment behind what is ready is wanted when that has been played. The first ones are short (1, 1, 2, 4 s).
    next_one = min(CELL, ready, duration - ready)
    enough = next_one / pace
    # The last one is there (duration - ready) / pace from now, and wanted when all before it has been played.
    enough = max(enough, duration - pace * max(duration - CELL, duration / 2, ready))
    return max(0.0, (min(enough, duration) - ready) / pace)


def slow_notice(wait: float) -> str:
    """Tell a person why a work can't be played yet.

    Args:
        wait: seconds until it can.

    """
    if wait == float("inf"):
        return "This machine encodes more slowly than the work plays: it can't be told yet when it can be played."
    span = f"{max(round(wait), 1)} s" if wait < 90 else f"{round(wait / 60)} min"
    return f"This machine encodes more slowly than the work plays: it can be played in about {span}."
