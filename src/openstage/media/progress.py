"""Percent of a media tool's work, from what it says while it runs."""

from collections.abc import Callable

OnProgress = Callable[[float], None]
MICROSECONDS = 1_000_000


class Percent:
    """Turns the lines of ffmpeg's `-progress` into percent that never go back.

    Args:
        seconds: how long what is made will last; 0: unknown, nothing is told before the end.
        on_progress: called with 0 … 100.
        start: moment at which it begins, in seconds.

    """

    def __init__(self, seconds: float, on_progress: OnProgress | None, start: float = 0.0) -> None:
        self.seconds = seconds
        self.start = start
        self.on_progress = on_progress
        self.last = -1.0

    def line(self, line: str) -> None:
        """Take in a line of `-progress`."""
        key, _, value = line.partition("=")
        if key == "out_time_us" and value.strip().isdigit() and self.seconds > 0:
            done = (int(value) / MICROSECONDS - self.start) / self.seconds
            self.report(min(99.0, max(0.0, 100 * done)))

    def report(self, percent: float) -> None:
        """Tell the caller, if it is more than before."""
        if percent > self.last:
            self.last = percent
            if self.on_progress:
                self.on_progress(percent)
