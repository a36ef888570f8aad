"""What production needs of `openstage.media`, in one place, so that tests can put other tools in."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstage.media.chunks import Chunk, LadderPlan, make_chunk, plan_ladder
from openstage.media.complexity import Complexity, sample
from openstage.media.first import FirstPlan, plan_first
from openstage.media.growing import GrownInit, GrownSegment, grow
from openstage.media.heads import Head, NotYet, probe_head
from openstage.media.join import join_mp4, join_renditions
from openstage.media.models import MediaInfo, Picture, Rendition
from openstage.media.pictures import make_pictures
from openstage.media.probe import probe, probe_quickly
from openstage.media.sound import Sound, make_sound
from openstage.media.storyboard import Storyboard, make_storyboard
from openstage.settings import Settings


@dataclass(frozen=True, slots=True)
class MediaTools:
    """The functions of `openstage.media` that make things; see there for what they take and raise."""

    probe: Callable[[Path, Settings], Awaitable[MediaInfo]] = probe
    probe_quickly: Callable[[Path, Settings], Awaitable[tuple[MediaInfo, bool]]] = probe_quickly
    probe_head: Callable[..., Awaitable[Head | NotYet]] = probe_head
    plan_first: Callable[..., FirstPlan] = plan_first
    grow: Callable[..., AsyncGenerator[GrownInit | GrownSegment]] = grow
    sample: Callable[[Path, MediaInfo, Settings], Awaitable[Complexity]] = sample
    plan_ladder: Callable[[MediaInfo, FirstPlan, Settings, Complexity | None], LadderPlan] = plan_ladder
    make_chunk: Callable[..., Awaitable[Chunk]] = make_chunk
    join_renditions: Callable[[LadderPlan, Any], tuple[Rendition, ...]] = join_renditions
    join_mp4: Callable[..., Awaitable[Rendition]] = join_mp4
    make_sound: Callable[..., Awaitable[Sound]] = make_sound
    make_pictures: Callable[..., Awaitable[tuple[Picture, ...]]] = make_pictures
    make_storyboard: Callable[..., Awaitable[Storyboard | None]] = make_storyboard
