"""What is offered first of a work: its own picture and sound repacked, else one low rung encoded."""

from fractions import Fraction
from typing import Any

import msgspec
from msgspec import Struct

from openstage.media.ladder import Rung
from openstage.media.models import MediaInfo
from openstage.settings import Settings


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


def plan_first(info: MediaInfo, settings: Settings) -> FirstPlan:
    """Decide what is offered first of a medium: that which takes the least time.

    Args:
        info: from `probe()` or `probe_head()`.
        settings: unused so far; limits may come from them.

    """
    raise NotImplementedError


def dump_plan(plan: FirstPlan) -> Any:
    """A plan as plain values for JSON; `load_plan` reads it back."""
    return msgspec.to_builtins(plan, enc_hook=str)


def load_plan(plain: Any) -> FirstPlan:
    """A plan from what `dump_plan` made of it.

    Raises:
        msgspec.ValidationError: it isn't one.

    """
    return msgspec.convert(plain, FirstPlan, dec_hook=_load)


def _load(kind: type, value: Any) -> Any:
    return Fraction(value) if kind is Fraction else kind(value)
