"""The files for plain download: which there are, and that they keep within what the dialect promises of them."""

from collections.abc import Sequence

from msgspec.structs import replace

from openstage.media.commands import MP4_LIMIT, MP4_SOUND, Mp4, Source
from openstage.media.fragments import TIMESCALE, Piece
from openstage.media.ladder import MP4_STEPS, Rung

TRIES = 3  # with a lower bit rate each time, until a part is within its limit
SMALLEST = 4096  # bytes: of a few frames the headers alone are more than the limit allows
MUXING_RATE = 6_000  # bits per second that an MP4's index takes, at most,
MUXING_FIXED = 24_000  # and bits that it takes however short the file is


def plan_mp4s(source: Source, rungs: Sequence[Rung]) -> tuple[Mp4, ...]:
    """The files for plain download of a film: the picture of the largest rung that fits, bits that keep the limit.

    Args:
        source: the film.
        rungs: its whole ladder, from the lowest to the highest.

    """
    mp4s = []
    for quality, largest in MP4_STEPS:
        sound, channels = MP4_SOUND[quality] if source.audio else (0, 0)
        channels = min(channels, source.audio.channels) if source.audio else 0
        overhead = MUXING_RATE + MUXING_FIXED / max(source.end, 0.1)
        rate = round((MP4_LIMIT[quality] - overhead - 1.03 * sound) * 0.97)
        fitting = [rung for rung in rungs if rung.short_side <= largest]
        rung = max(fitting, key=lambda it: it.short_side) if fitting else rungs[0]
        mp4s.append(Mp4(quality=quality, rung=rung, video_rate=max(rate, 10_000), sound_rate=sound, channels=channels))
    return tuple(mp4s)


def smaller(mp4: Mp4, piece: Piece, until: int) -> Mp4 | None:
    """How to make a part anew that came out over its share of the limit (short or busy pictures); None: it didn't.

    Args:
        mp4: as the part was made.
        piece: what came out.
        until: where it ends, in units of `TIMESCALE`.

    """
    seconds = (until - piece.groups[0].first) / TIMESCALE
    size = sum(group.size for group in piece.groups)
    too_much = size * 8 / max(seconds, 0.001) / mp4.video_rate
    if too_much <= 1 or size <= SMALLEST or mp4.rung is None:
        return None
    rung = replace(mp4.rung, crf=min(51, mp4.rung.crf + 6))
    return replace(mp4, rung=rung, video_rate=max(8_000, round(mp4.video_rate / too_much * 0.85)))
