"""When a growing rendition may be offered: once a player that starts now won't catch up with the encoder."""

from typing import Final

MARGIN: Final = 1.15
"""What is yet to be made may take so many times longer than what has been made lets expect."""
CELL: Final = 4.0
"""Seconds of a segment, which can be played when it is whole."""


def seconds_to_wait(ready: float, duration: float, speed: float) -> float:
    """Tell how long a player must wait so that it never waits again.

    Each segment must be whole when all before it has been played. Segments are short at the beginning (1, 1, 2, then 4
    seconds); among those of full length the first and the last decide: what is made and what is played are both lines.

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
    wait, begins, length = 0.0, ready, 0.0
    while begins < duration and length < CELL:
        length = min(CELL, max(begins, 1.0))
        ends = min(begins + length, duration)
        wait = max(wait, (ends - ready) / pace - begins)
        begins = ends
    last = max(duration - CELL, duration / 2, ready)
    return max(wait, (duration - ready) / pace - last)


def slow_notice(wait: float) -> str:
    """Tell a person why a work can't be played yet.

    Args:
        wait: seconds until it can.

    """
    if wait == float("inf"):
        return "This machine encodes more slowly than the work plays: it can't be told yet when it can be played."
    span = f"{max(round(wait), 1)} s" if wait < 90 else f"{round(wait / 60)} min"
    return f"This machine encodes more slowly than the work plays: it can be played in about {span}."
