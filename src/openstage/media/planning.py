"""What is made of a picture, and in which chunks: decided once, before anything of the ladder is made."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from openstage.media.commands import Mp4, Source
from openstage.media.complexity import Complexity
from openstage.media.encoders import EncoderName
from openstage.media.first import FirstPlan
from openstage.media.ladder import KEYFRAME_SECONDS, Rung, ladder, wasteful
from openstage.media.models import MediaInfo
from openstage.media.mp4s import plan_mp4s
from openstage.media.progress import MICROSECONDS
from openstage.media.seeking import may_seek
from openstage.settings import Settings

MOST_FROM_START = 4  # chunks of a file in which one can't jump: each decodes all that lies before it
REACHES = 1.5  # a chunk is so many times as long as the way from a keyframe to it


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


def plan_ladder(info: MediaInfo, first: FirstPlan, settings: Settings, complexity: Complexity | None) -> LadderPlan:
    """Decide which rungs a picture gets, and the chunks in which they are made.

    Args:
        info: from `probe()`.
        first: what has been made already; its rung isn't made again.
        settings: length of chunks, encoder.
        complexity: from `sample()`; None: nothing is known of the content.

    """
    video = info.main_video
    if video is None:
        return LadderPlan()
    source = Source.of(Path("/"), info)
    rungs = ladder(video)
    made = {first.video.quality} if first.video else set()
    stands_for = wasteful(rungs, complexity.rates if complexity else {}, made)
    seek = complexity.seek if complexity else may_seek(info)
    end = max(source.end, complexity.end if complexity else 0.0)
    return LadderPlan(
        rungs=tuple(rung for rung in rungs if rung.quality not in made and rung.quality not in stands_for),
        mp4s=plan_mp4s(source, rungs),
        chunks=cut(end, rungs[-1], _chunk_length(end, seek, complexity, settings)),
        stands_for=stands_for,
        seek=seek,
        encoder=complexity.encoder if complexity and settings.encoder != "software" else "software",
    )


def _chunk_length(end: float, seek: bool, complexity: Complexity | None, settings: Settings) -> float:
    """Seconds of a chunk: so many that decoding what lies before it stays a small part of the work."""
    if not seek:
        return max(settings.chunk_seconds, end / MOST_FROM_START)
    return max(settings.chunk_seconds, REACHES * complexity.reach if complexity else 0.0)


def cut(end: float, rung: Rung, length: float) -> tuple[tuple[int, int], ...]:
    """Chunks of about `length` seconds, all alike, that begin where the rungs have keyframes.

    Args:
        end: of the medium, in seconds.
        rung: any of the ladder; all have their keyframes at the same moments.
        length: in seconds.

    """
    cell = (
        rung.keyframe_every / rung.frame_rate if rung.keyframe_every and rung.frame_rate else Fraction(KEYFRAME_SECONDS)
    )
    number = max(1, round(end / length))
    cells = max(1, round(end / number / cell))
    starts = [index * cells * cell for index in range(number) if index == 0 or index * cells * cell < end]
    edges = [round(start * MICROSECONDS) for start in starts] + [max(1, round(end * MICROSECONDS))]
    return tuple(pairwise(edges))
