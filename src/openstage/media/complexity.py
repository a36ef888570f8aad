"""What a picture costs: a few short stretches encoded as a trial before the ladder is planned."""

import asyncio
import logging
import math
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct, structs

from openstage.media import commands
from openstage.media.commands import Source, Window
from openstage.media.encoders import EncoderName, choose_encoder
from openstage.media.encoding import encode
from openstage.media.errors import ScratchFull, TookTooLong, Unplayable
from openstage.media.fragments import TIMESCALE, Piece, read_piece
from openstage.media.ladder import KEYFRAME_SECONDS, Rung, ladder
from openstage.media.models import MediaInfo, VideoStream
from openstage.media.seeking import may_seek, read_clock
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

log = logging.getLogger(__name__)

SHORTEST = 30.0  # seconds; of a shorter medium, planning well saves less than the trial costs
SHARE = 0.008  # of the medium is tried, at most: the ladder of that is a hundredth of its processor time, with decoding
STRETCH, LONGEST_STRETCH = 0.4, 1.5  # seconds of one trial
MOST = 8  # trials
FEWEST = 4  # frames of one
NO_CAP = 100_000_000  # bits per second


class Complexity(Struct, frozen=True, kw_only=True):
    """What a trial found out.

    Attributes:
        rates: expected average of each rung of the full ladder, bits per second; empty: nothing is known.
        seconds: of source that were encoded.
        seek: whether chunks may jump to their beginning.
        reach: seconds by which the decoder has to begin before a wanted moment, at most, where it was tried.
        encoder: what encodes on this machine.
        end: seconds from the beginning to the end of a picture whose clock jumps; 0: as the probe has it.

    """

    rates: dict[str, int] = {}
    seconds: float = 0.0
    seek: bool = False
    reach: float = 0.0
    encoder: EncoderName = "software"
    end: float = 0.0


async def sample(source: Path, info: MediaInfo, settings: Settings) -> Complexity:
    """Try how many bits the rungs of a picture need, and how far apart its keyframes are.

    Takes about one hundredth of the ladder's processor time at most. A trial that fails is no error: the result then
    has no rates.

    Args:
        source: the file that was probed.
        info: what the probe found in it.
        settings: which ffmpeg, where to work.

    Raises:
        Unplayable, TookTooLong: a large recording can't be read to its end.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    video = info.main_video
    if video is None:
        return Complexity()
    encoder = await choose_encoder(settings)
    clock = await read_clock(source, info, settings)
    if video.duration < SHORTEST or clock.jumps or not may_seek(info):
        end = video.start + clock.seconds if clock.jumps else 0.0
        return Complexity(seek=may_seek(info) and not clock.jumps, encoder=encoder, end=end)
    chosen = Source.of(source, info)
    moments, length = stretches(video)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="trial-"))
    tried: list[_Trial] = []
    try:
        for moment in moments:
            trial = await _try(chosen, moment, length, folder, settings)
            if trial is None:
                return Complexity(encoder=encoder)
            tried.append(trial)
    except (Unplayable, TookTooLong, ScratchFull) as error:
        log.info("a trial of %s says nothing: %s", source.name, error.message)
        return Complexity(seek=True, reach=max((trial.reach for trial in tried), default=0.0), encoder=encoder)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return Complexity(
        rates={quality: round(statistics.fmean(trial.rates[quality] for trial in tried)) for quality in tried[0].rates},
        seconds=length * len(tried),
        seek=True,
        reach=max(trial.reach for trial in tried),
        encoder=encoder,
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """What one stretch costs at each rung, bits per second; seconds by which its keyframe comes before the moment."""

    rates: dict[str, int]
    reach: float


def stretches(video: VideoStream) -> tuple[list[float], float]:
    """Moments of the medium at which to try, spread evenly, and how long each trial is; all in seconds."""
    duration = video.duration
    length = min(LONGEST_STRETCH, max(STRETCH, SHARE * duration / 4))
    number = max(1, min(MOST, int(SHARE * duration / length)))
    return [video.start + duration * (index + 0.5) / number for index in range(number)], length


async def _try(source: Source, moment: float, length: float, folder: Path, settings: Settings) -> _Trial | None:
    """Encode a stretch from the keyframe before a moment on; None if nothing comes out."""
    rungs = ladder(source.video) if source.video else ()
    arguments = trial_arguments(source, rungs, moment, length, settings)
    await encode(arguments, source.path, folder, seconds=length)
    rates, first = {}, math.inf
    for rung in rungs:
        path = folder / f"{rung.quality}.mp4"
        piece = await asyncio.to_thread(read_piece, path)
        path.unlink(missing_ok=True)
        if piece is None:
            return None
        rates[rung.quality] = min(rung.max_rate, expected_rate(piece))
        first = min(first, piece.groups[0].first / TIMESCALE)
    return _Trial(rates, max(0.0, moment - first))


def trial_arguments(
    source: Source, rungs: Sequence[Rung], moment: float, length: float, settings: Settings
) -> list[str]:
    """The ffmpeg command that encodes a stretch at all rungs, from the keyframe before `moment` on."""
    assert source.video is not None
    uses = {rung.quality: [f"v{rung.quality}"] for rung in rungs}
    outputs = []
    for rung in rungs:
        frames = max(FEWEST, round(length * (rung.frame_rate or source.video.nominal_frame_rate)))
        free = structs.replace(rung, max_rate=NO_CAP, buffer=NO_CAP)  # what it would take, however short the stretch is
        encoder = [*commands.video_encoder(free, threads=1), "-frames:v", str(frames)]
        outputs += ["-map", f"[v{rung.quality}]", *encoder, *commands.piece_output(f"{rung.quality}.mp4")]
    return [
        *commands.base_arguments(find_ffmpeg(settings), 1),
        *commands.input_arguments(source.path, source.info.container, 1, seek=moment, keep_times=True),
        *("-filter_complex", ";".join(commands.picture_graph(source, rungs, uses, Window(0.0, None, moment)))),
        *outputs,
    ]


def expected_rate(piece: Piece) -> int:
    """Bits per second that a rung will have: a keyframe every so many seconds, and what lies between two of them."""
    samples = [sample for group in piece.groups for sample in group.samples]
    keys = [group.samples[0].size for group in piece.groups]
    between = sum(sample.size for sample in samples) - sum(keys)
    shown = [sample.shown for sample in samples]
    usual = (max(shown) - min(shown)) / max(1, len(shown) - 1)
    seconds = max(usual * (len(samples) - len(keys)), 1) / TIMESCALE
    return round(8 * (statistics.fmean(keys) / KEYFRAME_SECONDS + (between / seconds if between else 0)))
