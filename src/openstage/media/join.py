"""Putting chunks together: what a whole rendition is, and the MP4 files for plain download."""

from collections.abc import Sequence
from pathlib import Path

from openstage.media.chunks import Chunk, LadderPlan
from openstage.media.models import Rendition
from openstage.settings import Settings


def join_renditions(plan: LadderPlan, chunks: Sequence[Chunk]) -> tuple[Rendition, ...]:
    """Describe the whole HLS renditions that a plan's chunks make up; nothing is read.

    Args:
        plan: of the ladder.
        chunks: all of its chunks, in any order.

    Returns:
        One rendition for each of `plan.rungs`, segments numbered from 0, paths as the chunks have them.

    Raises:
        ChunksDontJoin: a chunk lacks, or the pieces don't fit: initialisation sections differ, times run backwards.

    """
    raise NotImplementedError


async def join_mp4(
    quality: str, parts: Sequence[Path], sound: Path | None, path: Path, settings: Settings
) -> Rendition:
    """Put an MP4 for plain download together, its index in front; nothing is encoded.

    Args:
        quality: `1` or `2`.
        parts: the pictures of the chunks in order of time.
        sound: an MP4 file with the sound alone (see `sound.make_sound`); None: there is none.
        path: the file that is made, in an existing folder in which nothing else is touched.
        settings: which ffmpeg.

    Raises:
        ChunksDontJoin: the parts don't fit together.
        ScratchFull: the disk is full, or is so nearly.

    """
    raise NotImplementedError
