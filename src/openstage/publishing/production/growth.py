"""The rows of a first rendition, which grow as its segments are made: picture and sound, each a track."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from openstage.database.engine import Connection
from openstage.media.describe import peak_bandwidth
from openstage.media.first import FirstPlan
from openstage.media.growing import Done, GrownInit, GrownSegment, Track
from openstage.media.models import MediaInfo
from openstage.media.models import Segment as MediaSegment
from openstage.publishing import crashpoints
from openstage.publishing.production.feed import GrowingUpload
from openstage.publishing.production.pace import seconds_to_wait
from openstage.publishing.production.step import Step
from openstage.publishing.progress import together
from openstage.works import products
from openstage.works.models import Completed, NewRendition, RenditionKind, Segment

SOUND: Final = "a"
_AHEAD: Final = 32
"""Segments that may be made and not stored yet."""
_ROOM: Final = 1.5
"""A growing rendition's bandwidth is told to be so many times the average, until it is known."""


@dataclass(slots=True)
class _Grown:
    """One track as far as it has come."""

    kind: RenditionKind
    quality: str
    guess: int
    """Bits per second that it will take at most, as far as can be told."""
    init: GrownInit | None = None
    key: str = ""
    entered: bool = False
    complete: bool = False
    segments: list[Segment] = field(default_factory=list)
    start_us: int = 0
    until_us: int = 0
    speed: float = 0.0


class Growth:
    """The first rendition of one run, as one try of its task makes it."""

    def __init__(self, step: Step, info: MediaInfo, plan: FirstPlan) -> None:
        self._step = step
        self._info = info
        self._plan = plan
        self._tracks: dict[Track, _Grown] = {}
        if plan.video is not None:
            rung = plan.video.rung
            guess = rung.max_rate if rung else round(info.bit_rate * _ROOM)
            self._tracks["video"] = _Grown("hls_video", plan.video.quality, guess)
        if plan.sound is not None:
            self._tracks["sound"] = _Grown("hls_audio", SOUND, round((plan.sound.bit_rate or 192_000) * 1.1))

    @classmethod
    async def of(cls, step: Step, info: MediaInfo, plan: FirstPlan) -> "Growth":
        """Take up where earlier tries have come to."""
        growth = cls(step, info, plan)
        async with step.house.database.connection() as connection:
            rows = await products.grown(connection, step.task.work_id, step.task.run)
        starts: dict[str, int] = (step.task.plan or {}).get("starts", {})
        for row in rows:
            for track in growth._tracks.values():
                if (row.kind, row.quality) == (track.kind, track.quality):
                    track.key, track.entered, track.complete = row.key, True, row.complete
                    track.segments, track.until_us = list(row.segments), starts.get(row.quality, 0) + row.until_us
        return growth

    @property
    def measured(self) -> bool:
        """Whether the speed is known apart from the start-up, which the first segment's contains."""
        return all(track.complete or len(track.segments) > 1 for track in self._tracks.values())

    def seconds_to_wait(self, duration: float) -> float:
        """Tell how long a player must wait so that it never waits again; see `pace`."""
        return max(
            0.0 if track.complete else seconds_to_wait(track.until_us / 1e6, duration, track.speed)
            for track in self._tracks.values()
        )

    async def make(self, source: Path | GrowingUpload, *, on_segments: Callable[[], Awaitable[None]]) -> None:
        """Make what is missing, and turn all tracks whole, together.

        Args:
            source: the file, or the upload while it arrives.
            on_segments: called whenever there are new segments.

        Raises:
            Superseded: the run isn't wanted any more.
            Unavailable: something that is needed is away; what has been stored stays.
            Unplayable, TookTooLong: the file can't be made into a first rendition.

        """
        if all(track.complete for track in self._tracks.values()):
            return
        queue: asyncio.Queue[GrownInit | GrownSegment | None] = asyncio.Queue(_AHEAD)
        await together(self._pull(source, queue), self._store(queue, on_segments))
        await self._step.commit(self._complete)
        crashpoints.reached("grown")
        await on_segments()

    async def _pull(
        self, source: Path | GrowingUpload, queue: "asyncio.Queue[GrownInit | GrownSegment | None]"
    ) -> None:
        done: dict[Track, Done] = {
            name: Done(count=len(track.segments), until_us=track.until_us)
            for name, track in self._tracks.items()
            if track.entered
        }
        items = self._step.tools.grow(source, self._info, self._plan, self._step.made(), self._step.settings, done=done)
        async with contextlib.aclosing(items):
            async for item in items:
                await queue.put(item)
        await queue.put(None)

    async def _store(
        self, queue: "asyncio.Queue[GrownInit | GrownSegment | None]", on_segments: Callable[[], Awaitable[None]]
    ) -> None:
        """Store what has been made, all of it that is there at a time: the more, the larger the batches."""
        more = True
        while more:
            batch = [await queue.get()]
            while not queue.empty():
                batch.append(queue.get_nowait())
            more = batch[-1] is not None
            segments = []
            for item in batch:
                if isinstance(item, GrownInit):
                    self._tracks[item.track].init = item
                elif item is not None:
                    segments.append(item)
            if segments:
                await self._keep(segments)
                await on_segments()

    async def _keep(self, made: Sequence[GrownSegment]) -> None:
        """Store segments, then enter their rows."""
        moves: list[tuple[str, Path]] = []
        new: dict[Track, list[Segment]] = {}
        objects = self._step.objects
        for segment in made:
            track = self._tracks[segment.track]
            if not track.key:
                assert track.init is not None, "a track begins with its initialisation section"
                track.key = objects.init(track.quality)
                track.start_us = segment.start_us
                moves.append((track.key, Path(track.init.path)))
            key = objects.segment(track.quality, segment.number)
            moves.append((key, Path(segment.path)))
            new.setdefault(segment.track, []).append(
                Segment(number=segment.number, duration_us=segment.duration_us, byte_size=segment.byte_size, key=key)
            )
        await objects.keep(moves)
        await self._step.commit(lambda connection: self._enter(connection, new))
        for name, segments in new.items():
            track = self._tracks[name]
            track.entered = True
            track.segments += segments
        for segment in made:  # only now: from here on it may be offered
            track = self._tracks[segment.track]
            track.until_us, track.speed = segment.start_us + segment.duration_us, segment.speed
        ready = min(track.until_us for track in self._tracks.values())
        if self._info.duration_ms:
            self._step.progress.within(0, 99)(ready / 10 / self._info.duration_ms)

    async def _enter(self, connection: Connection, new: dict[Track, list[Segment]]) -> None:
        work_id, run = self._step.task.work_id, self._step.task.run
        for name, segments in new.items():
            track = self._tracks[name]
            if track.entered:
                await products.append_segments(connection, work_id, run, track.quality, segments)
            else:
                await self._enter_first(connection, track, segments)
        crashpoints.reached("growing")

    async def _enter_first(self, connection: Connection, track: _Grown, segments: list[Segment]) -> None:
        known = await products.grown(connection, self._step.task.work_id, self._step.task.run)
        if any((row.kind, row.quality) == (track.kind, track.quality) for row in known):
            return  # the reply of a commit was lost
        assert track.init is not None
        if track.start_us:  # rows hold durations only
            start, quality = track.start_us, track.quality
            await self._step.update_plan(
                connection, lambda plan: plan.setdefault("starts", {}).update({quality: start})
            )
        size = sum(segment.byte_size for segment in segments)
        micros = sum(segment.duration_us for segment in segments)
        average = round(size * 8e6 / max(micros, 1))
        bandwidth = max(track.guess, round(average * _ROOM))
        await products.add_rendition(
            connection,
            self._step.task.work_id,
            self._step.task.run,
            NewRendition(
                kind=track.kind,
                quality=track.quality,
                codecs=track.init.codecs,
                bandwidth=bandwidth,
                average_bandwidth=min(average, bandwidth),
                duration_ms=micros // 1000,
                byte_size=track.init.init_size + size,
                key=track.key,
                width=track.init.width,
                height=track.init.height,
                frame_rate=track.init.frame_rate,
                segments=tuple(segments),
                complete=False,
            ),
        )

    async def _complete(self, connection: Connection) -> None:
        """Turn the tracks whole, in one transaction: a player must not find one at its end and the other growing."""
        finished = [_figures(track) for track in self._tracks.values()]
        await products.complete_renditions(connection, self._step.task.work_id, self._step.task.run, finished)
        for track in self._tracks.values():
            track.complete = True


def _figures(track: _Grown) -> Completed:
    """Tell the final bandwidths of a track."""
    seconds = sum(segment.duration_us for segment in track.segments) / 1e6
    average = round(sum(segment.byte_size for segment in track.segments) * 8 / max(seconds, 0.001))
    timed = [
        MediaSegment(number=each.number, path="", start_us=0, duration_us=each.duration_us, byte_size=each.byte_size)
        for each in track.segments
    ]
    return Completed(track.kind, track.quality, max(average, peak_bandwidth(timed)), average)
