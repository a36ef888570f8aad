"""What is offered first of a work: its own picture and sound repacked, else one low rung encoded.

Repacking (a "remux") costs next to nothing, so that all of a film is there within seconds. It is done where browsers'
Media Source Extensions play the packets as they are, all of them: hardware decoders of telephones included. Whatever
is out of the ordinary is encoded instead; that takes longer, but always plays.
"""

from typing import Any

import msgspec
from msgspec import Struct

from openstage.media.commands import PAD_SECONDS, SOUND_RATE, sound_sample_rate
from openstage.media.ladder import KEYFRAME_SECONDS, STEPS, TOLERANCE, Rung, ladder
from openstage.media.models import AudioStream, MediaInfo, VideoStream
from openstage.settings import Settings

SOURCE_QUALITY = "s"
LOW_SIDE = 360  # pixels: short side of the rung that is encoded first
# Containers whose packets carry trustworthy time stamps, each of them.
STAMPED = frozenset({"mov", "matroska", "flv", "mpegts"})
PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p"})
PROFILES = frozenset({"Constrained Baseline", "Baseline", "Main", "High", "Constrained High", "Progressive High"})
MATRICES = frozenset({"", "bt709", "bt470bg", "smpte170m"})
HIGHEST_LEVEL = 51
FASTEST = 60 * TOLERANCE  # frames per second
LONGEST_GOP = 10.5  # seconds between keyframes, which is how long a segment gets
MOST_BITS = 20_000_000  # per second: what lines and decoders take
FAT = 1.5  # a source of so many times a step's bit rate isn't taken for that step of the ladder
LATEST_SOUND = 0.05  # seconds: a later start, or a longer hole, is filled up with silence, which takes an encoder
SOUND_RATES = frozenset({22050, 24000, 32000, 44100, 48000})


class FirstVideo(Struct, frozen=True, kw_only=True):
    """The picture of the first rendition.

    Attributes:
        quality: the ladder's step that it is, or `s`: the source itself, too fat to be a rung of the ladder.
        copy: the packets are repacked as they are; else they are encoded.
        rung: what is encoded; None for a copy.
        why: for the log, why it can't be copied; empty for a copy.

    """

    quality: str
    copy: bool
    rung: Rung | None = None
    why: str = ""


class FirstSound(Struct, frozen=True, kw_only=True):
    """The sound of the first rendition, quality `a`.

    Attributes:
        copy: the packets are repacked as they are; else they are encoded.
        bit_rate: bits per second of what is encoded; 0 for a copy.
        channels: of what comes out.
        sample_rate: of what comes out, in hertz.
        why: for the log, why it can't be copied; empty for a copy.

    """

    copy: bool
    bit_rate: int = 0
    channels: int
    sample_rate: int
    why: str = ""


class FirstPlan(Struct, frozen=True, kw_only=True):
    """What `grow()` makes: picture, sound or both."""

    video: FirstVideo | None = None
    sound: FirstSound | None = None


def plan_first(info: MediaInfo, settings: Settings, *, copy: bool = True) -> FirstPlan:
    """Decide what is offered first of a medium: that which takes the least time.

    Args:
        info: from `probe()` or `probe_head()`.
        settings: none of them matters so far.
        copy: packets may be repacked as they are; not where that has turned out to fail.

    """
    video, audio = info.main_video, info.main_audio
    no_copy = "" if copy else "repacking it failed"
    return FirstPlan(
        video=_plan_video(video, audio, info, no_copy) if video else None,
        sound=_plan_sound(audio, video, info, no_copy) if audio else None,
    )


def dump_plan(plan: FirstPlan) -> Any:
    """A plan as plain values for JSON; `load_plan` reads it back."""
    return msgspec.to_builtins(plan)


def load_plan(plain: Any) -> FirstPlan:
    """A plan from what `dump_plan` made of it.

    Raises:
        msgspec.ValidationError: it isn't one.

    """
    return msgspec.convert(plain, FirstPlan)


def _plan_video(video: VideoStream, audio: AudioStream | None, info: MediaInfo, no_copy: str) -> FirstVideo:
    """Copy the picture, or encode the low rung."""
    rungs = ladder(video)
    why = no_copy or no_picture_copy(video, audio, info)
    if why:
        low = [rung for rung in rungs if rung.short_side <= LOW_SIDE]
        rung = low[-1] if low else rungs[0]
        return FirstVideo(quality=rung.quality, copy=False, rung=rung, why=why)
    return FirstVideo(quality=_quality(video, rungs[-1], info), copy=True)


def _quality(video: VideoStream, top: Rung, info: MediaInfo) -> str:
    """The step of the ladder that a copied picture takes the place of, or `s`."""
    largest = STEPS[-1].short_side * TOLERANCE
    slim = _bit_rate(video, info) <= FAT * top.max_rate
    same = (top.width, top.height) == video.display_size and (top.frame_rate is None or _rate(video) <= top.frame_rate)
    return top.quality if slim and same and min(video.display_size) <= largest else SOURCE_QUALITY


def _rate(video: VideoStream) -> float:
    return video.nominal_frame_rate or video.frame_rate


def _bit_rate(video: VideoStream, info: MediaInfo) -> int:
    """Bits per second of the picture: of what was read of it, or on the average of the file, whichever is more."""
    average = info.bit_rate - sum(track.bit_rate for track in info.audio)
    return max(video.bit_rate, average if len(info.video) == 1 else 0)


def no_picture_copy(video: VideoStream, audio: AudioStream | None, info: MediaInfo) -> str:
    """Why the picture can't be given to players as it is; empty if it can."""
    filled = audio.start + audio.duration - video.start - video.duration if audio else 0.0
    reasons = {
        f"codec {video.codec} {video.profile}": video.codec != "h264" or video.profile not in PROFILES,
        f"pixel format {video.pixel_format}": video.pixel_format not in PIXEL_FORMATS,
        f"colours {video.color_matrix} {video.color_transfer}": video.hdr or video.color_matrix not in MATRICES,
        f"level {video.level}": not 10 <= video.level <= HIGHEST_LEVEL,
        f"size {video.width}x{video.height}": video.width % 2 or video.height % 2 or min(video.display_size) < 32,
        "interlaced": video.interlaced,
        "pixels that aren't square": video.sample_aspect[0] != video.sample_aspect[1],
        "turned": video.rotation != 0,
        f"{_rate(video):.1f} frames per second": _rate(video) > FASTEST,
        f"keyframes {video.keyframe_seconds:.1f} s apart": video.keyframe_seconds > LONGEST_GOP,
        f"{_bit_rate(video, info)} bits per second": _bit_rate(video, info) > MOST_BITS,
        f"container {info.container}": info.container not in STAMPED,
        f"ends {filled:.1f} s before the sound": filled > max(PAD_SECONDS, 2 / max(_rate(video), 1)),
        f"begins {video.start:.1f} s late": video.start > KEYFRAME_SECONDS,
        **dict.fromkeys(video.quirks, True),
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def _plan_sound(audio: AudioStream, video: VideoStream | None, info: MediaInfo, no_copy: str) -> FirstSound:
    """Copy the sound, or encode it as the ladder does."""
    why = no_copy or no_sound_copy(audio, video, info)
    channels = min(2, audio.channels)
    if why:
        rate = SOUND_RATE if channels > 1 else SOUND_RATE * 3 // 4
        return FirstSound(copy=False, bit_rate=rate, channels=channels, sample_rate=sound_sample_rate(audio), why=why)
    return FirstSound(copy=True, channels=channels, sample_rate=audio.sample_rate)


def no_sound_copy(audio: AudioStream, video: VideoStream | None, info: MediaInfo) -> str:
    """Why the sound can't be given to players as it is; empty if it can."""
    missing = video.start + video.duration - audio.start - audio.duration if video else 0.0
    reasons = {
        f"codec {audio.codec} {audio.profile}": audio.codec != "aac" or audio.profile != "LC",
        f"{audio.channels} channels": audio.channels > 2,
        f"{audio.sample_rate} Hz": audio.sample_rate not in SOUND_RATES,
        f"container {info.container}": info.container not in STAMPED,
        f"begins {audio.start:.2f} s late": audio.start > LATEST_SOUND,
        f"has a hole of {audio.hole:.2f} s": audio.hole > LATEST_SOUND,
        f"ends {missing:.1f} s before the picture": missing > PAD_SECONDS,
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)
