"""What a picture costs: a few short stretches encoded as a trial before the ladder is planned."""

from pathlib import Path

from msgspec import Struct

from openstage.media.models import MediaInfo
from openstage.settings import Settings


class Complexity(Struct, frozen=True, kw_only=True):
    """What a trial found out.

    Attributes:
        rates: expected average of each rung of the full ladder, bits per second.
        seconds: of source that were encoded.
        seek: whether jumping to a moment leads to the very frames that decoding from the start gives.
        reach_ms: how long before a wanted moment the decoder has to begin, at most, where it was tried.

    """

    rates: dict[str, int] = {}
    seconds: float = 0.0
    seek: bool = False
    reach_ms: int = 0


async def sample(source: Path, info: MediaInfo, settings: Settings) -> Complexity:
    """Try how many bits the rungs of a picture need, and whether chunks may seek in the file.

    Takes at most about one hundredth of the ladder's processor time. A trial that fails says nothing: the result
    then has no rates.

    Args:
        source: the file that was probed.
        info: what the probe found in it.
        settings: which ffmpeg.

    Raises:
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    raise NotImplementedError
