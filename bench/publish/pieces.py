"""Renditions as pieces on the disk, and what decoding and measuring them shows."""

import array
import json
import math
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

SOUND_RATE: Final = 8000
"""Samples per second at which sounds are laid over each other: an eighth of a millisecond."""
REACH_SECONDS: Final = 0.06
"""So far apart they are looked for."""


@dataclass(frozen=True)
class Joined:
    """One rendition: its initialisation section and its segments in order."""

    init: Path
    segments: Sequence[Path]

    def write(self, path: Path, first: int = 0, last: int | None = None) -> Path:
        """Put a stretch of it into one file, as a player's buffer has it."""
        path.write_bytes(b"".join(part.read_bytes() for part in (self.init, *self.segments[first:last])))
        return path


@dataclass(frozen=True)
class Decoded:
    """Times of what comes out of a decoder: one entry per frame, or per packet of sound; in seconds."""

    starts: Sequence[float]
    durations: Sequence[float]

    @property
    def end(self) -> float:
        """When the last one ends."""
        return self.starts[-1] + self.durations[-1]

    def worst_gap(self, usual: float) -> float:
        """Return the largest gap or overlap between neighbours, in parts of `usual` seconds."""
        steps = (later - earlier for earlier, later in zip(self.starts, self.starts[1:], strict=False))
        return max((abs(step - usual) / usual for step in steps), default=0.0)


def decode(rendition: Joined) -> Decoded:
    """Decode a whole rendition from one file."""
    starts, durations = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = rendition.write(Path(folder) / "whole.mp4")
        with av.open(str(path)) as container:
            stream = container.streams[0]
            for frame in container.decode(stream):
                assert isinstance(frame, av.VideoFrame | av.AudioFrame)
                assert frame.pts is not None
                assert frame.time_base is not None
                starts.append(float(frame.pts * frame.time_base))
                if isinstance(frame, av.AudioFrame):
                    durations.append(frame.samples / frame.sample_rate)
                else:
                    durations.append(float((frame.duration or 0) * frame.time_base))
    return Decoded(starts, durations)


def frame_times(file: Path) -> list[float]:
    """Return the times of a file's pictures in the order in which they are shown, the first at its own."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        times = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.pts is not None]
    return sorted(times)


def cut_frames(source: Path, at: float, frames: int, path: Path) -> Path:
    """Write some frames of the source, from a moment on, as they are decoded."""
    # Half a frame earlier, so that rounded time stamps don't leave the first frame out.
    start = ["-ss", f"{at - 1 / 60:.6f}"]
    ffmpeg(*start, "-i", str(source), "-map", "0:v:0", "-frames:v", str(frames), "-c:v", "ffv1", str(path))
    return path


def vmaf(distorted: Path, skip: int, reference: Path, frames: int) -> float:
    """Return the mean VMAF of some frames against the source, both at the rendition's size: what encoding has cost.

    Args:
        distorted: a rendition's stretch.
        skip: its frames before the first that counts.
        reference: the source's frames that it is held against.
        frames: their number.

    """
    with av.open(str(distorted)) as container:
        picture = container.streams.video[0]
        size = f"{picture.width}:{picture.height}"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "vmaf.json"
        graph = (
            f"[0:v]trim=start_frame={skip}:end_frame={skip + frames},setpts=N/(30*TB),format=yuv420p[distorted];"
            f"[1:v]setpts=N/(30*TB),scale={size}:flags=bicubic,format=yuv420p[reference];"
            f"[distorted][reference]libvmaf=n_threads=2:log_fmt=json:log_path={log}"
        )
        ffmpeg("-i", str(distorted), "-i", str(reference), "-filter_complex", graph, "-f", "null", "-")
        report = json.loads(log.read_text())
        if len(report["frames"]) != frames:
            raise RuntimeError(f"VMAF saw {len(report['frames'])} frames of {frames}.")
        return float(report["pooled_metrics"]["vmaf"]["mean"])


def sound_offset(ours: Path, theirs: Path, at: float, seconds: float) -> float:
    """Return by how many seconds a stretch of sound comes later in one file than in another (negative: earlier)."""
    margin = round(REACH_SECONDS * SOUND_RATE)
    one = _samples(ours, at, seconds)
    other = _samples(theirs, at, seconds)
    length = min(len(one), len(other)) - 2 * margin
    inner = one[margin : margin + length]
    best, found = -math.inf, 0
    for shift in range(-margin, margin + 1):
        piece = other[margin + shift : margin + shift + length]
        likeness = sum(map(float.__mul__, inner, piece))
        if likeness > best:
            best, found = likeness, shift
    return -found / SOUND_RATE


def _samples(path: Path, at: float, seconds: float) -> list[float]:
    command = [str(find_ffmpeg(Settings())), "-v", "error", "-nostdin", "-i", str(path)]
    # Cut by time stamps, so that a gap in the stream shows.
    cut = f"aresample={SOUND_RATE}:async=1:first_pts=0,atrim=start={at}:duration={seconds}"
    command += ["-map", "0:a:0", "-af", cut, "-ac", "1", "-f", "f32le", "-"]
    found = array.array("f")
    found.frombytes(subprocess.run(command, capture_output=True, check=True).stdout)
    return list(found)


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg without confinement; RuntimeError with what it said if it fails."""
    command = [str(find_ffmpeg(Settings())), "-v", "error", "-nostdin", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ffmpeg {' '.join(arguments[:6])} …: {done.stderr[-500:]}")
