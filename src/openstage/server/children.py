"""Child processes that are kept running, and never outlive this one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from openstage.database import launch

FIRST_PAUSE = 0.25
"""Seconds before a child that ended is started again; doubled each time, up to LONGEST_PAUSE."""
LONGEST_PAUSE = 30.0
SETTLED = 30.0
"""A child that lived so many seconds had started well: its next restart is quick again."""


class Child:
    """One program in a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone.

    Start it from a thread that lives as long as it should: the kernel kills it when that thread ends.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = FIRST_PAUSE
        self._due: float | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it."""
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(signal.SIGKILL))]
        self._process = subprocess.Popen(
            [*launcher, "-1", "-1", "0", *self._command],
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started = time.monotonic()
        self._due = None

    def tend(self) -> str | None:
        """Notice that it ended, and start it again when its pause is over.

        Returns:
            What happened, as a sentence for the log; None if nothing did.

        """
        if self._process is not None and (status := self._process.poll()) is not None:
            self._process = None
            if time.monotonic() - self._started > SETTLED:
                self._pause = FIRST_PAUSE
            pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
            self._due = time.monotonic() + pause
            return f"The {self.name} ended ({describe_status(status)}); it starts again in {pause:g} s."
        if self._due is not None and time.monotonic() >= self._due:
            self.start()
            return f"The {self.name} was started again (pid {self.pid})."
        return None

    def next_due(self) -> float | None:
        """When `tend` has something to do by the clock (`time.monotonic`), if ever."""
        return self._due

    def ended(self) -> int | None:
        """Its exit status if it has ended and not been tended since."""
        return self._process.poll() if self._process else None

    def ask_to_end(self) -> None:
        """Send SIGTERM; it won't be started again."""
        self._due = None
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until it has ended; kill it, and what is left of its process group, at `deadline` (`time.monotonic`)."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the group is still its own
            process.wait()


def describe_status(status: int) -> str:
    """Say how a process ended: `status 1`, or `killed by SIGKILL`."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"status {status}"
