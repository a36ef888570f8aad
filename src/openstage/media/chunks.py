"""The ladder in chunks: each is decoded once for all rungs, alone, and joins its neighbours to the frame."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from openstage.media.commands import Mp4
from openstage.media.complexity import Complexity
from openstage.media.first import FirstPlan
from openstage.media.ladder import Rung
from openstage.media.models import MediaInfo, Segment
from openstage.settings import Settings

EncoderName = Literal["software", "nvenc", "vaapi", "qsv"]
OnProgress = Callable[[float], None]


class LadderPlan(Struct, frozen=True, kw_only=True):
    """What is made of a picture, and in which chunks. Plain values: `msgspec.to_builtins` and `convert` do for JSON.

    Attributes:
        rungs: HLS renditions to be made, from the lowest to the highest; not those that the first rendition is.
        mp4s: files for plain download whose pictures are made along.
        encoder: what encodes.
        chunks: microseconds at which each begins and ends, from 0 to the end of the medium; empty without a picture.
        stands_for: quality of the dialect that isn't made -> the one that a client asking for it is given.
        seek: whether a chunk may jump to its beginning; else it decodes from the start of the file.

    """

    rungs: tuple[Rung, ...] = ()
    mp4s: tuple[Mp4, ...] = ()
    encoder: EncoderName = "software"
    chunks: tuple[tuple[int, int], ...] = ()
    stands_for: dict[str, str] = {}
    seek: bool = True


class ChunkRung(Struct, frozen=True, kw_only=True):
    """What a chunk has made of one rung.

    Attributes:
        quality: of the rung.
        init_path: its initialisation section, the same bytes in every chunk of a rung.
        init_size: bytes.
        init_digest: SHA-256 of it, hexadecimal.
        codecs: RFC 6381.
        width: pixels; likewise height.
        frames: number of pictures.
        segments: numbered from 0 within the chunk, times on the medium's time line; a `path` is only passed on by
            `join_renditions`, so a key of the object store may stand in its place.

    """

    quality: str
    init_path: str
    init_size: int
    init_digest: str
    codecs: str
    width: int
    height: int
    frames: int
    segments: tuple[Segment, ...]


class ChunkPart(Struct, frozen=True, kw_only=True):
    """A chunk's share of an MP4's picture: a file that `join_mp4` takes."""

    quality: str
    path: str
    byte_size: int


class Chunk(Struct, frozen=True, kw_only=True):
    """One finished chunk; `rungs` and `parts` are empty where the source has no picture between its ends."""

    number: int
    rungs: tuple[ChunkRung, ...] = ()
    parts: tuple[ChunkPart, ...] = ()


def plan_ladder(info: MediaInfo, first: FirstPlan, settings: Settings, complexity: Complexity | None) -> LadderPlan:
    """Decide which rungs a picture gets, and the chunks in which they are made.

    Args:
        info: from `probe()`.
        first: what has been made already; its rung isn't made again.
        settings: length of chunks, encoder.
        complexity: from `sample()`; None: nothing is known of the content.

    """
    raise NotImplementedError


async def make_chunk(  # noqa: PLR0917 - what, of it, where, how
    source: Path,
    info: MediaInfo,
    plan: LadderPlan,
    number: int,
    folder: Path,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
) -> Chunk:
    """Make all rungs and MP4 parts of one chunk.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        plan: from `plan_ladder()`, maybe by way of JSON.
        number: of the chunk, from 0.
        folder: an existing, empty folder; the caller's. Nothing is written elsewhere.
        settings: which ffmpeg, its threads, disk space that must stay free.
        on_progress: called with 0 … 100, never going back, on the event loop's thread.

    Raises:
        Unplayable: the file can't be decoded.
        TookTooLong: over the time that the chunk's duration justifies.
        EncoderLost: the hardware encoder failed; plan again with the setting `encoder` as `software`.
        ScratchFull: the disk is full, or is so nearly.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    raise NotImplementedError
