"""Collecting what `grow()` gives, and looking at it as a player would."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import pytest

from openstage.media.feeding import Feed
from openstage.media.first import FirstPlan, plan_first
from openstage.media.growing import Done, GrownInit, GrownSegment, Track, grow
from openstage.media.models import MediaInfo
from openstage.media.probe import probe
from tests.media.support import SETTINGS, assert_decodes, decode_picture


@dataclass
class Grown:
    """What came out, by track, with each file's content as it was when it was given out."""

    info: MediaInfo
    plan: FirstPlan
    folder: Path
    inits: dict[Track, GrownInit] = field(default_factory=dict)
    segments: dict[Track, list[GrownSegment]] = field(default_factory=dict)
    content: dict[tuple[Track, int], bytes] = field(default_factory=dict)

    def take(self, piece: GrownInit | GrownSegment) -> None:
        content = Path(piece.path).read_bytes()
        if isinstance(piece, GrownInit):
            assert len(content) == piece.init_size
            assert piece.track not in self.inits
            self.inits[piece.track] = piece
            self.content[piece.track, -1] = content
            return
        assert len(content) == piece.byte_size
        self.segments.setdefault(piece.track, []).append(piece)
        self.content[piece.track, piece.number] = content

    def end(self, track: Track) -> float:
        last = self.segments[track][-1]
        return (last.start_us + last.duration_us) / 1e6

    def told(self) -> dict[Track, list[tuple[int, int, int]]]:
        """Number, start and duration of each segment."""
        return {
            track: [(it.number, it.start_us, it.duration_us) for it in segments]
            for track, segments in self.segments.items()
        }

    def whole(self, track: Track) -> Path:
        """The track as one file."""
        joined = self.folder / f"{track}.mp4"
        numbers = sorted(number for name, number in self.content if name == track)
        joined.write_bytes(b"".join(self.content[track, number] for number in numbers))
        return joined

    def playlist(self, track: Track) -> Path:
        """The track as a playlist beside its files, for a player."""
        folder = self.folder / f"play-{track}"
        folder.mkdir()
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:11", '#EXT-X-MAP:URI="init.mp4"']
        (folder / "init.mp4").write_bytes(self.content[track, -1])
        for segment in self.segments[track]:
            (folder / f"{segment.number}.m4s").write_bytes(self.content[track, segment.number])
            lines += [f"#EXTINF:{segment.duration_us / 1e6:.6f},", f"{segment.number}.m4s"]
        (folder / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
        return folder / "list.m3u8"


async def make(
    source: Path | Feed,
    folder: Path,
    *,
    info: MediaInfo | None = None,
    plan: FirstPlan | None = None,
    done: Mapping[Track, Done] | None = None,
) -> Grown:
    """Probe, plan and grow; files are removed as they are taken, as the pipeline does."""
    if info is None:
        assert isinstance(source, Path)
        info = await probe(source, SETTINGS)
    plan = plan or plan_first(info, SETTINGS)
    work = folder / "work"
    work.mkdir(parents=True)
    grown = Grown(info, plan, folder)
    async with contextlib.aclosing(grow(source, info, plan, work, SETTINGS, done=done)) as pieces:
        async for piece in pieces:
            grown.take(piece)
            Path(piece.path).unlink()
    assert not list(work.rglob("*.m4s*"))
    return grown


def check(grown: Grown) -> None:
    """What holds for anything that has been grown."""
    assert set(grown.inits) == {name for name in ("video", "sound") if getattr(grown.plan, name)}
    for track, segments in grown.segments.items():
        assert [segment.number for segment in segments] == list(range(len(segments)))
        for before, after in pairwise(segments):
            assert before.start_us + before.duration_us == pytest.approx(after.start_us, abs=1)
        assert all(segment.duration_us <= 11_000_000 and segment.speed > 0 for segment in segments)
        assert segments[0].start_us <= 50_000
        assert_decodes(grown.whole(track))
    if "video" in grown.inits:
        check_picture(grown)
    if "sound" in grown.inits:
        check_sound(grown)


def check_picture(grown: Grown) -> None:
    """Each segment begins with a keyframe at the very time that is told, and ends where the next one begins."""
    init = grown.inits["video"]
    decoded = decode_picture(grown.whole("video"))
    assert decoded.size == (init.width, init.height)
    assert init.codecs.startswith("avc1.")
    assert decoded.times == sorted(set(decoded.times))
    starts = [segment.start_us / 1e6 for segment in grown.segments["video"]]
    assert starts == pytest.approx(nearest(decoded.keyframes, starts), abs=0.0005)
    assert grown.end("video") == pytest.approx(decoded.end, abs=0.002) or grown.info.video[0].variable_frame_rate


def check_sound(grown: Grown) -> None:
    """Packets follow each other to the sample; segments begin with one at the time that is told."""
    assert grown.inits["sound"].codecs == "mp4a.40.2"
    with av.open(str(grown.whole("sound"))) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        unit = float(stream.time_base or 0)
        stamps = [packet.pts or 0 for packet in packets]
        assert {after - before for before, after in pairwise(stamps)} <= {1024}
        starts = [segment.start_us / 1e6 for segment in grown.segments["sound"]]
        times = [stamp * unit for stamp in stamps]
        assert starts == pytest.approx(nearest(times, starts), abs=2e-6)
        assert times[-1] < grown.end("sound") <= times[-1] + 1024 * unit + 1e-5


def nearest(times: list[float], wanted: list[float]) -> list[float]:
    """For each wanted time the one that comes closest."""
    return [min(times, key=lambda time: abs(time - it)) for it in wanted]
