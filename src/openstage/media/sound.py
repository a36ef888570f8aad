"""All that is made of a work's sound besides HLS, from one decode of the whole file.

Tracks for the MP4 files of a film; of sound alone the MP4 and MP3 files themselves; loudness and waveform.
"""

from pathlib import Path

from msgspec import Struct

from openstage.media.loudness import Loudness
from openstage.media.models import MediaInfo, Rendition
from openstage.media.progress import OnProgress
from openstage.settings import Settings


class Sound(Struct, frozen=True, kw_only=True):
    """What has been made of a work's sound; paths are absolute.

    Attributes:
        tracks: of a film: AAC track (an .m4a file) for the MP4 of each quality, to be joined with its picture.
        renditions: of sound alone: MP4 and MP3 files, qualities `1` and `2`.
        loudness: measured.
        waveform_json: file in audiowaveform's format, version 2.
        waveform_png: picture of it, transparent ground.

    """

    tracks: dict[str, str]
    renditions: tuple[Rendition, ...]
    loudness: Loudness
    waveform_json: str
    waveform_png: str


async def make_sound(
    source: Path,
    info: MediaInfo,
    folder: Path,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
) -> Sound:
    """Make and measure everything of a medium's published sound track.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it; there is sound in it.
        folder: an existing, empty folder; the caller's, who removes it afterwards. Nothing is written elsewhere.
        settings: which ffmpeg, its threads, disk space that must stay free.
        on_progress: called with 0 … 100, never going back, on the event loop's thread.

    Raises:
        Unplayable: there is no sound, or it can't be decoded.
        TookTooLong: over the time that its duration justifies.
        ScratchFull: the disk is full, or is so nearly.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    raise NotImplementedError
