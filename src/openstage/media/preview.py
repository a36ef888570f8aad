"""A short MP3 of a part of a sound, to listen before one buys."""

from pathlib import Path

from openstage.media.models import MediaInfo, Rendition
from openstage.settings import Settings

FADE_IN, FADE_OUT = 0.02, 2.0  # seconds


async def make_preview(
    source: Path,
    info: MediaInfo,
    folder: Path,
    settings: Settings,
    *,
    start: float,
    length: float,
    bit_rate: int = 128_000,
    fade_in: float = FADE_IN,
    fade_out: float = FADE_OUT,
) -> Rendition:
    """Make an MP3 of a part of a medium's sound.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        folder: an existing folder; the caller's. Written is `folder/preview.mp3`.
        settings: which ffmpeg.
        start: seconds from the beginning.
        length: seconds; what lies behind the end isn't there: the preview is shorter then.
        bit_rate: bits per second, one of MPEG-1's (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 kb/s).
        fade_in: seconds in which it becomes louder.
        fade_out: seconds in which it becomes softer; neither fade is longer than half of it.

    Returns:
        The preview, quality `preview`.

    Raises:
        Unplayable: there is no sound, none at that place, or it can't be decoded.
        TookTooLong: it took too long.
        ScratchFull: the disk is full.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    raise NotImplementedError
