"""Media tools for tests of production itself: quick, and faulty on demand. Real ones are in test_worker.py."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from openstage.media.chunks import Chunk, ChunkPart, ChunkRung, LadderPlan
from openstage.media.commands import Mp4
from openstage.media.complexity import Complexity
from openstage.media.feeding import Feed
from openstage.media.first import FirstPlan, FirstSound, FirstVideo
from openstage.media.growing import Done, GrownInit, GrownSegment
from openstage.media.heads import Head, NotYet
from openstage.media.ladder import Rung
from openstage.media.loudness import Loudness
from openstage.media.models import AudioStream, MediaInfo, Picture, Rendition, Segment, VideoStream
from openstage.media.sound import Sound
from openstage.media.storyboard import Sheet, Storyboard
from openstage.publishing.production import MediaTools
from openstage.settings import Settings

SEGMENT_US = 4_000_000
SEGMENTS = 2
"""Of each track of the first rendition, and chunks of the ladder with one segment each."""
LOW = Rung(
    quality="96", width=320, height=180, rate=None, keyframe_every=None, crf=26, max_rate=180_000, buffer=270_000
)
HIGH = Rung(quality="2", width=640, height=360, rate=None, keyframe_every=None, crf=24, max_rate=700_000, buffer=10**6)


class FakeTools:
    """Makes small files instead of media: of a film of 8 seconds, or of sound.

    Raises `fault` in the step `at`, or waits there for `hold`. Steps are `probe`, `head`, `grow`, `segment <n>`,
    `sample`, `chunk`, `mp4`, `sound`, `pictures`.
    """

    def __init__(self, *, film: bool = True, copy: bool = True, quality: str = "3", can_feed: bool = True) -> None:
        self.film = film
        self.copy = copy
        self.quality = quality
        self.can_feed = can_feed
        self.long = False  # a quick look doesn't tell all
        self.sure = False  # the header tells all that a verdict needs
        self.speed = 10.0
        self.segments = SEGMENTS
        self.fault: BaseException | None = None
        self.once = False
        self.at = ""
        self.hold: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.seen: list[bytes] = []
        self.grown: list[tuple[str, int]] = []
        self.content = b"init"
        self.calls: list[str] = []

    @property
    def tools(self) -> MediaTools:
        return MediaTools(
            probe=self.probe,
            probe_quickly=self.probe_quickly,
            probe_head=self.probe_head,
            plan_first=self.plan_first,
            grow=self.grow,
            sample=self.sample,
            plan_ladder=self.plan_ladder,
            make_chunk=self.make_chunk,
            join_mp4=self.join_mp4,
            make_sound=self.make_sound,
            make_pictures=self.make_pictures,
            make_storyboard=self.make_storyboard,
        )

    @property
    def info(self) -> MediaInfo:
        video = VideoStream(index=0, codec="h264", width=640, height=360, frame_rate=25, nominal_frame_rate=25)
        audio = AudioStream(index=1, codec="aac", channels=2, sample_rate=44100)
        return MediaInfo(
            container="mov",
            duration_ms=self.segments * SEGMENT_US // 1000,
            bit_rate=1000,
            byte_size=5,
            video=(video,) if self.film else (),
            audio=(audio,),
        )

    # --- looking ----------------------------------------------------------------------------------------------------
    async def probe(self, path: Path, settings: Settings) -> MediaInfo:
        self.seen.append(path.read_bytes())
        await self._step("probe")
        return self.info

    async def probe_quickly(self, path: Path, settings: Settings) -> tuple[MediaInfo, bool]:
        return await self.probe(path, settings), not self.long

    async def probe_head(
        self, path: Path, size: int, received: list[tuple[int, int]], settings: Settings
    ) -> Head | NotYet:
        await self._step("head")
        if received[0][1] < min(size, 4):
            return NotYet(wants=(0, 4))
        return Head(info=self.info, can_feed=self.can_feed, sure=self.sure)

    async def sample(self, source: Path, info: MediaInfo, settings: Settings) -> Complexity:
        await self._step("sample")
        return Complexity()

    # --- first ------------------------------------------------------------------------------------------------------
    def plan_first(self, info: MediaInfo, settings: Settings, *, copy: bool = True) -> FirstPlan:
        if not copy:
            self.copy, self.quality = False, "2"
        video = (
            FirstVideo(quality=self.quality, copy=self.copy, rung=None if self.copy else HIGH) if self.film else None
        )
        return FirstPlan(video=video, sound=FirstSound(copy=copy, channels=2, sample_rate=44100))

    async def grow(
        self,
        source: Path | Feed,
        info: MediaInfo,
        plan: FirstPlan,
        folder: Path,
        settings: Settings,
        *,
        done: Mapping[str, Done] | None = None,
    ) -> AsyncGenerator[GrownInit | GrownSegment]:
        await self._step("grow")
        tracks = [name for name, planned in (("video", plan.video), ("sound", plan.sound)) if planned]
        for track in tracks:
            if track not in (done or {}):
                init = folder / f"{track}.mp4"
                init.write_bytes(self.content)
                yield _init(track, init)
        for number in range(self.segments):
            if not isinstance(source, Path):
                wanted = source.size * (number + 1) // self.segments
                while await source.received(wanted - 1) < wanted:
                    pass
            await self._step(f"segment {number}")
            for track in tracks:
                if number >= (done or {}).get(track, Done(count=0, until_us=0)).count:
                    self.grown.append((track, number))
                    yield _segment(folder, track, number, self.speed)

    # --- the rest ---------------------------------------------------------------------------------------------------
    def plan_ladder(
        self, info: MediaInfo, first: FirstPlan, settings: Settings, complexity: Complexity | None
    ) -> LadderPlan:
        if not info.video:
            return LadderPlan()
        made = first.video.quality if first.video else ""
        mp4 = Mp4(quality="1", rung=LOW, video_rate=1, sound_rate=1, channels=2)
        chunks = tuple((number * SEGMENT_US, (number + 1) * SEGMENT_US) for number in range(self.segments))
        rungs = tuple(rung for rung in (LOW, HIGH) if rung.quality != made)
        return LadderPlan(rungs=rungs, mp4s=(mp4,), chunks=chunks, stands_for={"1": "96"})

    async def make_chunk(
        self,
        source: Path,
        info: MediaInfo,
        plan: LadderPlan,
        number: int,
        folder: Path,
        settings: Settings,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> Chunk:
        assert source.exists()
        if on_progress:
            on_progress(50)
        await self._step("chunk")
        self.calls.append(f"chunk {number}")
        part = folder / "1.mp4"
        part.write_bytes(f"part {number}".encode())
        return Chunk(
            number=number,
            rungs=tuple(self._rung(folder, rung, number) for rung in plan.rungs),
            parts=(ChunkPart(quality="1", path=str(part), byte_size=6),),
        )

    async def join_mp4(
        self, quality: str, parts: list[Path], sound: Path | None, path: Path, settings: Settings
    ) -> Rendition:
        await self._step("mp4")
        path.write_bytes(b"".join(part.read_bytes() for part in [*parts, *([sound] if sound else [])]))
        return _file("mp4", quality, path)

    async def make_sound(self, source: Path, info: MediaInfo, folder: Path, settings: Settings, **_: Any) -> Sound:
        assert source.exists()
        await self._step("sound")
        self.calls.append("sound")
        names = ("track.m4a", "1.mp4", "1.mp3", "waveform.json", "waveform.png")
        paths = {name: folder / name for name in names}
        for name, path in paths.items():
            path.write_bytes(name.encode())
        files = [_file("mp4", "1", paths["1.mp4"]), _file("mp3", "1", paths["1.mp3"])]
        return Sound(
            tracks={"1": str(paths["track.m4a"])} if info.video else {},
            renditions=() if info.video else tuple(files),
            loudness=Loudness(integrated_lufs=-23.0, range_lu=None, true_peak_dbtp=-1.0),
            waveform_json=str(paths["waveform.json"]),
            waveform_png=str(paths["waveform.png"]),
        )

    async def make_pictures(
        self, source: Path, info: MediaInfo, folder: Path, settings: Settings
    ) -> tuple[Picture, ...]:
        await self._step("pictures")
        picture = folder / "img.jpg"
        picture.write_bytes(b"jpg")
        return (Picture(kind="img", path=str(picture), width=160, height=90, byte_size=3),)

    async def make_storyboard(
        self, source: Path, info: MediaInfo, folder: Path, settings: Settings
    ) -> Storyboard | None:
        if not info.video:
            return None
        path = folder / "0.jpg"
        path.write_bytes(b"sheet")
        sheet = Sheet(number=0, path=str(path), width=160, height=90, byte_size=5)
        return Storyboard(interval_ms=1000, tile_width=16, tile_height=9, columns=10, rows=10, tiles=8, sheets=(sheet,))

    def _rung(self, folder: Path, rung: Rung, number: int) -> ChunkRung:
        init, path = folder / f"{rung.quality}-init.mp4", folder / f"{rung.quality}.m4s"
        init.write_bytes(self.content)
        path.write_bytes(f"segment {number}".encode())
        segment = Segment(number=0, path=str(path), start_us=number * SEGMENT_US, duration_us=SEGMENT_US, byte_size=9)
        return ChunkRung(
            quality=rung.quality,
            init_path=str(init),
            init_size=len(self.content),
            init_digest=hashlib.sha256(self.content).hexdigest(),
            codecs="avc1.64001f",
            width=rung.width,
            height=rung.height,
            frames=100,
            until_us=(number + 1) * SEGMENT_US,
            segments=(segment,),
        )

    async def _step(self, name: str) -> None:
        if self.at != name:
            return
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.fault is not None:
            fault = self.fault
            if self.once:
                self.fault = None
            raise fault


def _init(track: str, path: Path) -> GrownInit:
    size = path.stat().st_size
    if track == "sound":
        return GrownInit(track="sound", path=str(path), init_size=size, codecs="mp4a.40.2")
    return GrownInit(
        track="video", path=str(path), init_size=size, codecs="avc1.64001f", width=640, height=360, frame_rate=25.0
    )


def _segment(folder: Path, track: Any, number: int, speed: float) -> GrownSegment:
    path = folder / f"{track}-{number}.m4s"
    path.write_bytes(f"{track} segment {number}".encode())
    return GrownSegment(
        track=track,
        number=number,
        path=str(path),
        start_us=number * SEGMENT_US,
        duration_us=SEGMENT_US,
        byte_size=path.stat().st_size,
        speed=speed,
    )


def _file(kind: Any, quality: str, path: Path) -> Rendition:
    size = path.stat().st_size
    return Rendition(
        kind=kind,
        quality=quality,
        path=str(path),
        codecs="avc1.64001f,mp4a.40.2",
        bandwidth=9,
        average_bandwidth=8,
        duration_ms=8000,
        byte_size=size,
    )
