"""Which renditions a picture gets: sizes, frame rates and bit rates, from what the probe found.

Sizes follow the short side, so that an upright film has the same detail as a lying one. Nothing is enlarged. A source
that lies well between two rungs gets the upper one at its own size.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from msgspec import Struct

from openstage.media.models import VideoStream
from openstage.media.timing import exact_rate

KEYFRAME_SECONDS = 4  # a segment's length: every rung has a keyframe at these times
LONGEST_SIDE = 4096  # of level 5.1 and of what players' decoders take
SMALLEST_SIDE = 16  # x264 takes less, hardware decoders don't
ABOVE = 1.1  # a source is given the next rung if it is that much larger than the rung below
SLOW, FAST = 30, 60  # frames per second: caps of low and high rungs
SLIDES, SLIDES_PACE = 2, 5  # a slower picture (slides, a cover) is repeated, so that segments don't get too long
TOLERANCE = 1.02  # 30.3 frames per second are let through as 30


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the ladder: the dialect's quality, short side, and for 16:9 at 30 frames per second: kb/s, CRF."""

    quality: str
    short_side: int
    kilobits: int
    crf: int
    fastest: int


STEPS = (
    Step("96", 180, 180, 26, SLOW),
    Step("1", 240, 320, 25, SLOW),
    Step("2", 360, 700, 24, SLOW),
    Step("3", 480, 1300, 23, SLOW),
    Step("4", 720, 2700, 23, FAST),
    Step("5", 1080, 5000, 23, FAST),
)
CLOSE = 1.35  # rungs whose bit rates are no farther apart than this factor are as good as one
REFERENCES = 4  # pictures that a decoder keeps
# Level, macroblocks per second, per picture and in the decoder's buffer, kb/s (ITU-T H.264, table A-1).
LEVELS = (
    *(("1", 1_485, 99, 396, 64), ("1.1", 3_000, 396, 900, 192), ("1.2", 6_000, 396, 2_376, 384)),
    *(("1.3", 11_880, 396, 2_376, 768), ("2", 11_880, 396, 2_376, 2_000), ("2.1", 19_800, 792, 4_752, 4_000)),
    *(("2.2", 20_250, 1_620, 8_100, 4_000), ("3", 40_500, 1_620, 8_100, 10_000)),
    *(("3.1", 108_000, 3_600, 18_000, 14_000), ("3.2", 216_000, 5_120, 20_480, 20_000)),
    *(("4", 245_760, 8_192, 32_768, 20_000), ("4.2", 522_240, 8_704, 34_816, 50_000)),
    *(("5", 589_824, 22_080, 110_400, 135_000), ("5.1", 983_040, 36_864, 184_320, 240_000)),
    ("5.2", 2_073_600, 36_864, 184_320, 240_000),
)
MP4_STEPS = (("1", 240), ("2", 360))  # quality and largest short side of the files for plain download


class Rung(Struct, frozen=True, kw_only=True):
    """One rendition of the picture; plain values, so that plans can be stored as JSON.

    Attributes:
        quality: as in the video dialect.
        width: pixels, even; likewise height.
        rate: frames per second that are made, as a fraction; None: those of the source, at its own times.
        keyframe_every: frames between keyframes; None: by time (all rungs have the same frames then).
        crf: x264's constant quality.
        max_rate: bits per second that are never exceeded over `buffer` bits.
        buffer: size of the decoder's buffer, in bits.
        pauses: frames may stand for seconds.

    """

    quality: str
    width: int
    height: int
    rate: tuple[int, int] | None
    keyframe_every: int | None
    crf: int
    max_rate: int
    buffer: int
    pauses: bool = False

    @property
    def frame_rate(self) -> Fraction | None:
        """`rate` as a number."""
        return Fraction(*self.rate) if self.rate else None

    @property
    def level(self) -> str:
        """The lowest level of H.264 that takes the picture (ITU-T H.264, table A-1), such as `3.1`."""
        blocks = math.ceil(self.width / 16) * math.ceil(self.height / 16)
        pace = float(self.frame_rate or SLOW)
        for level, per_second, per_frame, buffered, kilobits in LEVELS:
            fits = blocks <= per_frame and blocks * pace <= per_second and REFERENCES * blocks <= buffered
            if fits and self.max_rate <= kilobits * 1000:
                return level
        return LEVELS[-1][0]

    @property
    def short_side(self) -> int:
        """The smaller of width and height."""
        return min(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Pace:
    """Frame rates of a ladder: of its high and its low rungs; None twice: the source's frames are taken as they are."""

    high: Fraction | None
    low: Fraction | None

    def of(self, fastest: int) -> Fraction | None:
        """Rate of a rung that has this cap."""
        return self.high if fastest > SLOW else self.low

    def keyframe_every(self, fastest: int) -> int | None:
        """Frames between keyframes of a rung that has this cap: the same moments for all rungs."""
        if self.high is None or self.low is None:
            return None
        in_low = max(1, round(KEYFRAME_SECONDS * self.low))
        return in_low * int(self.high / self.low) if fastest > SLOW else in_low


def ladder(video: VideoStream) -> tuple[Rung, ...]:
    """The rungs of a picture, from the lowest to the highest; at least one."""
    size = video.display_size
    short = min(size)
    pace = pace_of(video)
    rungs: list[Rung] = []
    below = 0
    for step in STEPS:
        if rungs and short < ABOVE * below:
            break
        rungs.append(_rung(step, fit(size, min(step.short_side, short)), pace, video.variable_frame_rate))
        below = step.short_side
        if short <= below:
            break
    return tuple(rungs)


def wasteful(rungs: Sequence[Rung], rates: Mapping[str, int], kept: Collection[str] = ()) -> dict[str, str]:
    """Which rungs of a ladder would be of no use to anybody, by what they are expected to cost.

    From the top downwards, a rung goes if it costs about as much as the next better one that stays, or if that one
    costs no more than the lowest rung may. The lowest and the top one always stay.

    Args:
        rungs: from the lowest to the highest.
        rates: expected bits per second of each; empty: nothing is known.
        kept: qualities that stay in any case.

    Returns:
        The quality of each rung that goes, and the one that is given to those who ask for it.

    """
    gone: dict[str, str] = {}
    if not rungs or any(rung.quality not in rates for rung in rungs):
        return gone
    better = rungs[-1]
    for rung in reversed(rungs[1:-1]):
        near = rates[rung.quality] * CLOSE > rates[better.quality]
        if rung.quality not in kept and (near or rates[better.quality] <= rungs[0].max_rate):
            gone[rung.quality] = better.quality
        else:
            better = rung
    return gone


def fit(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Width and height of a picture of `size` scaled to `short_side`: even, of the same shape, not too long."""
    scale = min(short_side / min(size), LONGEST_SIDE / max(size))
    width, height = (max(SMALLEST_SIDE, min(2 * round(side * scale / 2), side - side % 2)) for side in size)
    return width, height


def pace_of(video: VideoStream) -> Pace:
    """Frame rates of the ladder: whole fractions of the source's, so that no frame is made up or shown unevenly."""
    rate = exact_rate(video.nominal_frame_rate or video.frame_rate or 25.0)
    if video.frame_rate < SLIDES:
        return Pace(Fraction(SLIDES_PACE), Fraction(SLIDES_PACE))
    high = rate / math.ceil(rate / Fraction(FAST * TOLERANCE))
    low = high / math.ceil(high / Fraction(SLOW * TOLERANCE))
    # A picture that begins late is filled up from the start, which needs a regular pace; so does thinning out.
    if low == rate and video.start <= 1 / float(rate):
        return Pace(None, None)
    return Pace(high, low)


def _rung(step: Step, size: tuple[int, int], pace: Pace, variable: bool) -> Rung:
    """A step at a size: bit rate by the number of pixels and frames."""
    width, height = size
    usual = step.short_side**2 * 16 / 9
    rate = pace.of(step.fastest)
    faster = 1.4 if rate is not None and rate > SLOW * TOLERANCE else 1.0
    max_rate = round(step.kilobits * min(1.6, max(0.35, width * height / usual)) * faster) * 1000
    return Rung(
        quality=step.quality,
        width=width,
        height=height,
        rate=rate.as_integer_ratio() if rate is not None else None,
        keyframe_every=pace.keyframe_every(step.fastest),
        crf=step.crf,
        max_rate=max_rate,
        buffer=max_rate * 3 // 2,
        pauses=variable and rate is None,
    )
