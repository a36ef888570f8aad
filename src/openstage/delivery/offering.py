"""Which renditions are offered while a run makes more of them, and under which qualities; pure functions.

A rendition is offered once it is whole. Until the first one is, the growing one stands in, so that a work plays from
the moment its upload ends.
"""

from collections.abc import Sequence

from openstage.delivery.models import SOUND_ONLY, SOURCE, Ladder, Rendition, RenditionKind
from openstage.media.ladder import ABOVE, STEPS


def offered(ladder: Ladder) -> list[Rendition]:
    """Pick what a player may choose from: the rungs, the lowest bandwidth first, and the sound after them.

    Rungs that grow, and the source as it came, are offered only while there is no whole rung.
    """
    rungs = [rung for rung in _of_kind(ladder.renditions, "hls_video") if not rung.retired]
    whole = [rung for rung in rungs if rung.complete]
    best = [rung for rung in whole if rung.quality != SOURCE] or whole or rungs
    return [*sorted(best, key=lambda rung: (rung.bandwidth, rung.quality)), *_sound(ladder)]


def of_quality(ladder: Ladder, quality: str) -> list[Rendition]:
    """Pick what the playlist of one quality lists: a rung and the sound; nothing if the work has no such quality.

    The rung is the one of that quality or, until it is whole, the source if it has that size; else the one that
    stands for it. A quality whose address was given out while it grew keeps it.
    """
    rungs = {rung.quality: rung for rung in _of_kind(ladder.renditions, "hls_video")}
    if not rungs:
        return _sound(ladder) if quality == SOUND_ONLY else []
    own, source = rungs.get(quality), rungs.get(SOURCE)
    standing = rungs.get(ladder.stands_for.get(quality, ""))
    found = own if own and own.complete else None
    found = found or (standing if standing and standing.complete else None)
    if found is None and source and quality_of_size(source) == quality:
        found = source
    found = found or own or standing
    return [found, *_sound(ladder)] if found else []


def qualities(ladder: Ladder) -> list[str]:
    """Name the qualities under which playlists are given out, the lowest bandwidth first."""
    rungs = [rendition for rendition in offered(ladder) if rendition.kind == "hls_video"]
    if not rungs:
        return [SOUND_ONLY] if _sound(ladder) else []
    names = [quality_of_size(rung) if rung.quality == SOURCE else rung.quality for rung in rungs]
    standing = [quality for quality, other in ladder.stands_for.items() if other in names]
    return list(dict.fromkeys((*names, *standing)))


def quality_of_size(rung: Rendition) -> str:
    """Tell which quality of the ladder has a picture of this size: the lowest one that doesn't make it smaller."""
    short = min(rung.width or 0, rung.height or 0)
    below = 0
    quality = STEPS[0].quality
    for step in STEPS:
        if below and short < ABOVE * below:
            break
        quality, below = step.quality, step.short_side
        if short <= below:
            break
    return quality


def _sound(ladder: Ladder) -> list[Rendition]:
    """Pick the one sound that all rungs share, if there is any."""
    sounds = _of_kind(ladder.renditions, "hls_audio")
    return ([sound for sound in sounds if sound.complete] or sounds)[:1]


def _of_kind(renditions: Sequence[Rendition], kind: RenditionKind) -> list[Rendition]:
    return [rendition for rendition in renditions if rendition.kind == kind]
