"""What an upload holds, told from the part of it that has arrived."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from openstage.media.models import MediaInfo
from openstage.settings import Settings


class NotYet(Struct, frozen=True, kw_only=True):
    """Nothing can be told so far.

    Attributes:
        wants: where the bytes are (begin, end) that would help; ask again when they have arrived.

    """

    wants: tuple[int, int]


class Head(Struct, frozen=True, kw_only=True):
    """What the header tells.

    Attributes:
        info: as `probe()` would tell it, durations and bit rates as the header has them.
        can_feed: segments can be made from the beginning while the rest arrives (`grow()` with a `Feed`).

    """

    info: MediaInfo
    can_feed: bool


async def probe_head(path: Path, size: int, received: Sequence[tuple[int, int]], settings: Settings) -> Head | NotYet:
    """Find out what is in a file of which parts have arrived.

    Args:
        path: the staging file, sparse: where nothing has arrived it reads as zeros.
        size: bytes that the whole file will have.
        received: stretches (begin, end) that have arrived, sorted, apart from each other.
        settings: limits on duration, pixels and streams.

    Raises:
        Unplayable: whatever else arrives, it can't be published.
        TookTooLong: reading it took too long.
        ToolMissing: the helper can't run on this machine.

    """
    raise NotImplementedError
