"""The first rendition, segment by segment, while it is being made."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from openstage.media.commands import Source
from openstage.media.errors import ScratchFull
from openstage.media.feeding import Feed
from openstage.media.first import FirstPlan
from openstage.media.grown import Done, GrownInit, GrownSegment, Track
from openstage.media.making import Making, Outlet
from openstage.media.models import MediaInfo
from openstage.settings import Settings

__all__ = ["Done", "GrownInit", "GrownSegment", "Track", "grow"]


async def grow(
    source: Path | Feed,
    info: MediaInfo,
    plan: FirstPlan,
    folder: Path,
    settings: Settings,
    *,
    done: Mapping[Track, Done] | None = None,
) -> AsyncGenerator[GrownInit | GrownSegment]:
    """Make the first rendition and give out each piece as soon as its file is whole.

    The pieces of a track come in order, its initialisation section first. Everything is on the medium's own time line,
    as the rungs of the ladder are. Close the iterator (`contextlib.aclosing`) to give up; nothing is left running then.

    Args:
        source: the file, or a feed of it while it arrives (see `heads.py` whether that can be done).
        info: what `probe()` or `probe_head()` found in it.
        plan: from `plan_first`.
        folder: an existing, empty folder; the caller's. Nothing is written elsewhere.
        settings: which ffmpeg, its threads, disk space that must stay free.
        done: tracks of which some segments are stored already: those and the initialisation section aren't given out
            again.

    Raises:
        Unplayable: the file can't be decoded.
        TookTooLong: over the time that its duration justifies.
        ScratchFull: the disk is full, or is so nearly.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.
        Exception: what `Feed.received` raised.

    """
    if await asyncio.to_thread(_free, folder) < settings.min_free:
        raise ScratchFull("There is no room on the disk for working on the file; it goes on when there is.")
    feed = None if isinstance(source, Path) else source
    chosen = Source.of(source if isinstance(source, Path) else Path("-"), info)
    outlet = Outlet()
    makings = [
        Making(chosen, feed, part, folder / str(number), settings, outlet, done or {})
        for number, part in enumerate(_parts(plan, done or {}))
    ]
    running = [asyncio.create_task(making.run()) for making in makings]
    for task in running:
        task.add_done_callback(lambda _: outlet.wake())
    try:
        while True:
            while (piece := outlet.take()) is not None:
                yield piece
            if any(task.done() and task.exception() for task in running) or all(task.done() for task in running):
                break
            await outlet.filled()
        for task in running:
            if task.done():
                task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _parts(plan: FirstPlan, done: Mapping[Track, Done]) -> list[FirstPlan]:
    """What each process makes: both tracks in one, unless the picture goes on somewhere in the middle."""
    if plan.video and plan.sound and not plan.video.copy and "video" in done:
        return [FirstPlan(video=plan.video), FirstPlan(sound=plan.sound)]
    return [plan]


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
