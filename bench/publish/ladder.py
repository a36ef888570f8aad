"""The whole ladder in chunks against one process that makes the same: processor time, and what is seen at the seams."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.figures import Row, Section, Series, Target
from bench.publish import reference
from bench.publish.pieces import Joined
from bench.publish.plan import Plan
from bench.publish.reference import Cost
from bench.publish.seams import Seams
from bench.publish.sources import SOURCES, excerpt
from bench.publish.works import cpu_seconds
from openstage.media.chunks import Chunk, LadderPlan, make_chunk, plan_ladder
from openstage.media.complexity import sample
from openstage.media.first import FirstPlan, plan_first
from openstage.media.growing import GrownInit, GrownSegment, grow
from openstage.media.join import join_mp4, join_renditions
from openstage.media.models import MediaInfo
from openstage.media.probe import probe
from openstage.settings import Settings

LETTERS: Final = "ac"
TARGET: Final = Target(1.10, "one process", sign="≤")
AT_ONCE: Final = 2
"""Chunks that are made side by side, with one thread each: as the worker does on two cores."""


@dataclass
class Made:
    """What the chunked way has made."""

    cost: Cost
    trial: Cost
    """Of it: the trial that the ladder is planned by."""
    first: FirstPlan
    plan: LadderPlan
    renditions: dict[str, Joined] = field(default_factory=dict)


@dataclass
class Laddering:
    """The measurement."""

    plan: Plan
    scratch: Path
    say: Callable[[str], None]

    def run(self) -> list[Section]:
        """Measure (a), whose own picture is the highest rung, and (c), of which every rung is encoded."""
        seconds = self.plan.ladder_seconds
        cost = Section(f"The whole ladder in chunks, {seconds} s of each source: processor time")
        sections = [cost]
        settings = Settings(data=self.scratch / "data", encoder_threads=1, chunk_seconds=self.plan.chunk_seconds)
        for letter in LETTERS:
            if letter not in self.plan.letters:
                continue
            file = excerpt(letter, seconds, self.plan.seconds, self.say)
            info = asyncio.run(probe(file, settings))
            self.say(f"({letter}) the ladder in chunks")
            made = asyncio.run(self._chunked(file, info, self.scratch / letter / "chunks", settings))
            self.say(f"({letter}) the same in one process")
            folder = self.scratch / letter / "whole"
            own = made.first.video.rung if made.first.video else None
            rungs = sorted([*([own] if own else []), *made.plan.rungs], key=lambda rung: rung.short_side)
            whole = reference.encode(file, info, rungs, made.plan.mp4s, folder)
            self._add(cost, letter, made, whole)
            theirs = {path.name: _joined(path) for path in sorted((folder / "hls").iterdir())}
            self.say(f"({letter}) what is seen at the seams")
            sections.append(Seams(letter, file, info, made.plan.chunks, made.renditions, theirs, self.scratch).run())
        return sections

    def _add(self, section: Section, letter: str, made: Made, whole: Cost) -> None:
        what = f"({letter}) {SOURCES[letter].what}"
        ours, one = Series("s", (made.cost.cpu_seconds,)), Series("s", (whole.cpu_seconds,))
        section.rows.append(
            Row(f"{what}: first rendition, chunks, joining", ours, {TARGET.against: ours.ratio_to(one)}, TARGET)
        )
        section.rows.append(
            Row(f"({letter}) of it the trial encodes", Series("s", (made.trial.cpu_seconds,)), ours=False)
        )
        section.rows.append(Row(f"({letter}) one process", one, ours=False))
        section.notes.append(
            f"({letter}): {len(made.plan.rungs)} rungs in {len(made.plan.chunks)} chunks, {AT_ONCE} at a time with one"
            f" thread each, {made.cost.seconds:.0f} s by the clock; one process on all cores {whole.seconds:.0f} s."
        )

    async def _chunked(self, source: Path, info: MediaInfo, folder: Path, settings: Settings) -> Made:
        began, used = time.monotonic(), cpu_seconds(os.getpid())

        def cost() -> Cost:
            return Cost(time.monotonic() - began, cpu_seconds(os.getpid()) - used)

        first = plan_first(info, settings)
        renditions = await self._first(source, info, first, folder / "first", settings)
        before = cost()
        complexity = await sample(source, info, settings)
        trial = Cost(cost().seconds - before.seconds, cost().cpu_seconds - before.cpu_seconds)
        plan = plan_ladder(info, first, settings, complexity)
        slots = asyncio.Semaphore(AT_ONCE)

        async def make(number: int) -> Chunk:
            own = folder / f"chunk-{number}"
            own.mkdir(parents=True)
            async with slots:
                return await make_chunk(source, info, plan, number, own, settings)

        chunks = await asyncio.gather(*(make(number) for number in range(len(plan.chunks))))
        for rendition in join_renditions(plan, chunks):
            segments = [Path(segment.path) for segment in rendition.segments]
            renditions[rendition.quality] = Joined(Path(rendition.path), segments)
        (folder / "mp4").mkdir()
        for mp4 in plan.mp4s:
            parts = [Path(part.path) for chunk in chunks for part in chunk.parts if part.quality == mp4.quality]
            await join_mp4(mp4.quality, parts, None, folder / "mp4" / f"{mp4.quality}.mp4", settings)
        return Made(cost(), trial, first, plan, renditions)

    @staticmethod
    async def _first(
        source: Path, info: MediaInfo, first: FirstPlan, folder: Path, settings: Settings
    ) -> dict[str, Joined]:
        """Make the first rendition; returns its sound and, if it was encoded, its rung, by quality."""
        folder.mkdir(parents=True)
        inits: dict[str, Path] = {}
        segments: dict[str, list[Path]] = {"video": [], "sound": []}
        async with contextlib.aclosing(grow(source, info, first, folder, settings)) as pieces:
            async for piece in pieces:
                if isinstance(piece, GrownInit):
                    inits[piece.track] = Path(piece.path)
                elif isinstance(piece, GrownSegment):
                    segments[piece.track].append(Path(piece.path))
        found = {track: Joined(init, segments[track]) for track, init in inits.items()}
        qualities = {"sound": "a", "video": first.video.quality if first.video else ""}
        return {qualities[track]: joined for track, joined in found.items()}


def _joined(folder: Path) -> Joined:
    return Joined(folder / "init.mp4", sorted(folder.glob("*.m4s")))
