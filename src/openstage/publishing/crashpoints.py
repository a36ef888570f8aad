"""Named points at which tests kill the process: between each write and its commit.

`OPENSTAGE_CRASH_AT=<name>` ends the process there as `kill -9` would. Nobody sets it but tests.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "OPENSTAGE_CRASH_AT"

POINTS: Final = (
    "claimed",  # the run is entered, nothing is made
    "probed",
    "rendering",  # ffmpeg is at work
    "rendered",  # all files are in the scratch folder
    "storing",  # the first object of the run is in the store, others are not
    "stored",  # all objects of the run are durable, the original isn't moved
    "original-moved",  # the original is in the store, and not recorded there
    "original-recorded",
    "before-commit",  # rows written, transaction open
    "committed",  # published, and the job not yet ended
    "superseding",  # a rerun is in force, what it replaced not yet removed
    "failing",  # the reason is written, transaction open
    "purging",  # objects of a deleted work are gone, and not recorded so
)


def reached(point: str) -> None:
    """Die here if a test wants it."""
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
