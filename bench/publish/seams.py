"""What is seen and heard where chunks were joined."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import Row, Section, Series, Target
from bench.publish.pieces import Decoded, Joined, cut_frames, decode, frame_times, sound_offset, vmaf
from bench.publish.sources import RATE, SOURCES
from openstage.media.ladder import KEYFRAME_SECONDS
from openstage.media.models import MediaInfo

AROUND: Final = 5
"""Frames on each side of a seam."""
MICROSECONDS: Final = 1_000_000


@dataclass
class Seams:
    """The comparison for one source."""

    letter: str
    source: Path
    info: MediaInfo
    chunks: Sequence[tuple[int, int]]
    ours: Mapping[str, Joined]
    theirs: Mapping[str, Joined]
    """Made by one process, by quality; the same."""
    scratch: Path

    def run(self) -> Section:
        """Compare all rungs that were made in chunks, and the sound."""
        section = Section(f"Seams of ({self.letter}) {SOURCES[self.letter].what}")
        frame = 1 / RATE
        times = frame_times(self.source)
        rungs = sorted(set(self.ours) & set(self.theirs) - {"a"})
        decoded = {quality: decode(self.ours[quality]) for quality in rungs}
        missing = [abs(len(decoded[quality].starts) - len(times)) for quality in rungs]
        gaps = [self._gap(decoded[quality], times, frame) for quality in rungs]
        section.rows += [
            Row("frames too many or too few, worst rung", _worst("frames", missing), target=Target(0, sign="≤")),
            Row("largest gap or overlap, worst rung", _worst("frames", gaps), target=Target(1, sign="≤")),
        ]
        losses, levels = self._losses(rungs, -(-len(times) // (RATE * KEYFRAME_SECONDS)))
        if losses:
            row = Row(
                f"VMAF lost against one process, {AROUND} frames around the worst seam of all rungs",
                _worst("points", losses),
                target=Target(3, sign="≤"),
            )
            section.rows += [
                row,
                Row("VMAF lost, all seams of all rungs", Series("points", tuple(losses))),
                Row("VMAF of one process there", Series("points", tuple(levels)), ours=False),
            ]
        else:
            section.left_out.append("VMAF: there is no seam.")
        self._add_sound(section, decoded[rungs[-1]], times)
        section.notes.append(
            f"({self.letter}): rungs {', '.join(rungs)}; {max(0, len(self.chunks) - 1)} seams in each."
        )
        return section

    @staticmethod
    def _gap(decoded: Decoded, times: Sequence[float], frame: float) -> float:
        """Return the worst step between frames and the worst distance from the source's own times, in frames."""
        start = times[0]
        late = (abs(ours - (theirs - start)) for ours, theirs in zip(decoded.starts, times, strict=False))
        return max(decoded.worst_gap(frame), max(late, default=0.0) / frame)

    def _losses(self, rungs: Sequence[str], cells: int) -> tuple[list[float], list[float]]:
        losses, levels = [], []
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            scratch = Path(folder)
            for _, seam_us in self.chunks[:-1]:
                seam = seam_us / MICROSECONDS
                path = scratch / f"{seam_us}.mkv"
                frames = cut_frames(self.source, seam - AROUND / RATE, 2 * AROUND + 1, path)
                for quality in rungs:
                    pair = [
                        self._vmaf(which[quality], seam, cells, frames, scratch) for which in (self.ours, self.theirs)
                    ]
                    losses.append(pair[1] - pair[0])
                    levels.append(pair[1])
        return losses, levels

    @staticmethod
    def _vmaf(rendition: Joined, seam: float, cells: int, frames: Path, scratch: Path) -> float:
        """Judge the frames around a seam: the end of the segment before it and the beginning of the one after it.

        The encoded first rendition begins with shorter segments, so the segment is found from the end backwards.
        """
        after = round(seam / KEYFRAME_SECONDS) + len(rendition.segments) - cells
        path = rendition.write(scratch / "seam.mp4", after - 1, after + 1)
        return vmaf(path, RATE * KEYFRAME_SECONDS - AROUND, frames, 2 * AROUND + 1)

    def _add_sound(self, section: Section, picture: Decoded, times: Sequence[float]) -> None:
        sound = decode(self.ours["a"])
        steps = zip(sound.starts, sound.durations, sound.starts[1:], strict=False)
        gap = max(abs(start + lasts - following) for start, lasts, following in steps)
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            path = self.ours["a"].write(Path(folder) / "sound.mp4")
            at = max(0.0, min(sound.end, self.info.duration_ms / 1000) - 3)
            heard = sound_offset(path, self.source, at, 2.5)
        shown = picture.starts[-1] - (times[-1] - times[0])
        section.rows += [
            Row("largest gap or overlap in the sound", Series("samples", (gap * 48000,)), target=Target(0.5, sign="≤")),
            Row(
                "sound against picture at the end",
                Series("ms", (abs(heard - shown) * 1000,)),
                target=Target(20, sign="≤"),
            ),
        ]


def _worst(unit: str, values: Sequence[float]) -> Series:
    """Take the largest: what must hold for every rung and seam is not judged by a median."""
    return Series(unit, (float(max(values)),))
