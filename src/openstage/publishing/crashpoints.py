"""Named points at which tests kill the process: between each write and its commit.

`OPENSTAGE_CRASH_AT=<name>` ends the process there as `kill -9` would. Nobody sets it but tests.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "OPENSTAGE_CRASH_AT"

FIRST_POINTS: Final = (
    "claimed",  # a task is claimed, nothing of it is made
    "planned",  # the first rendition is decided of
    "probed",  # the whole file has been judged, which isn't written down yet
    "storing",  # an object is in the store, others are not
    "growing",  # segments are entered, transaction open
    "grown",  # the first rendition is whole
    "offering",  # it is put in force, transaction open
    "offered",
    "before-commit",  # a task is done and what it made is entered, transaction open
    "first-ended",  # the task is done, and its job not yet ended
)
"""On the way to a work that plays."""
LATER_POINTS: Final = (
    "plan-claimed",
    "original-moved",  # the original is in the store, and not recorded there
    "original-recorded",
    "plan-ending",  # the other tasks are entered, transaction open
    "plan-ended",
    "pictures-stored",  # all objects of a task are durable
    "pictures-ending",
    "pictures-ended",
    "sound-stored",
    "sound-ending",
    "sound-ended",
    "chunk-made",  # all files are in the scratch folder
    "chunk-stored",
    "chunk-ending",
    "chunk-ended",
    "joining",  # rows of all rungs are entered, transaction open
    "joined",
    "parts-removed",  # what only tasks needed is gone, and `join` isn't done
    "join-ending",
    "join-ended",
)
"""On the way to a work that is whole."""
OTHER_POINTS: Final = (
    "superseding",  # a rerun is in force, what it replaced not yet removed
    "failing",  # the reason is written, transaction open
    "purging",  # objects of a deleted work are gone, and not recorded so
)
POINTS: Final = FIRST_POINTS + LATER_POINTS + OTHER_POINTS


def reached(point: str) -> None:
    """Die here if a test wants it."""
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
