"""What a signal handler may ring while the main thread waits for it."""

import contextlib
import queue
from typing import Final


class Bell:
    """An event that signal handlers may set.

    `threading.Event` may not be set there: its lock isn't reentrant, so that a signal that comes while the main thread
    waits, clears or sets it would wait for that same thread for ever. `SimpleQueue.put` is reentrant (documented).
    """

    def __init__(self) -> None:
        """Silent at first."""
        self._rings: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        self._rings.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until it has rung since the last wait, or for so many seconds."""
        with contextlib.suppress(queue.Empty):
            self._rings.get(timeout=seconds)
            for _ in range(self._rings.qsize()):  # many rings are one; those that come now are for the next wait
                self._rings.get_nowait()
