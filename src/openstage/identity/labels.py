"""Names that others chose, of devices and apps, as they may stand beside our own words."""

import re
from typing import Final

_TURNING: Final = re.compile("[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Controls, and the controls of writing direction (UAX #9, 2): they turn what stands around a name, so that it reads
as something else. Letters of any script stay, joiners and emoji too."""


def plain(text: str) -> str:
    """Return a name in one line, without what changes how the text beside it is read."""
    return " ".join(_TURNING.sub("", " ".join(text.split())).split())
