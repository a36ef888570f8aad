"""Media tools for tests of the pipeline itself: quick, and faulty on demand. Real ones are in test_worker.py."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from openstage.media.models import AudioStream, MediaInfo, Picture, Rendition, Segment, VideoStream
from openstage.publishing.pipeline import MediaTools
from openstage.settings import Settings


class FakeTools:
    """Makes small files instead of media; raises `fault` in the step `at`, or waits there for `hold`."""

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        self.at = ""
        self.hold: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.seen: list[bytes] = []
        self.content = b"init"

    @property
    def tools(self) -> MediaTools:
        return MediaTools(probe=self.probe, make_renditions=self.make_renditions, make_pictures=self.make_pictures)

    async def probe(self, path: Path, settings: Settings) -> MediaInfo:
        self.seen.append(path.read_bytes())
        await self._step("probe")
        video = VideoStream(index=0, codec="h264", width=160, height=90, frame_rate=25, nominal_frame_rate=25)
        audio = AudioStream(index=1, codec="aac", channels=2, sample_rate=44100)
        return MediaInfo(container="mov", duration_ms=2000, bit_rate=1000, byte_size=5, video=(video,), audio=(audio,))

    async def make_renditions(
        self,
        source: Path,
        info: MediaInfo,
        folder: Path,
        settings: Settings,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> tuple[Rendition, ...]:
        assert source.exists()
        if on_progress:
            on_progress(50)
        await self._step("renditions")
        made = [self._hls(folder, "hls_video", "96"), self._hls(folder, "hls_audio", "a")]
        mp4 = folder / "1.mp4"
        mp4.write_bytes(b"mp4")
        made.append(
            Rendition(
                kind="mp4",
                quality="1",
                path=str(mp4),
                codecs="avc1.64001f,mp4a.40.2",
                bandwidth=9,
                average_bandwidth=8,
                duration_ms=info.duration_ms,
                byte_size=3,
                width=160,
                height=90,
                frame_rate=25,
            )
        )
        return tuple(made)

    async def make_pictures(
        self,
        source: Path,
        info: MediaInfo,
        folder: Path,
        settings: Settings,
    ) -> tuple[Picture, ...]:
        await self._step("pictures")
        picture = folder / "img.jpg"
        picture.write_bytes(b"jpg")
        return (Picture(kind="img", path=str(picture), width=160, height=90, byte_size=3),)

    def _hls(self, folder: Path, kind: str, quality: str) -> Rendition:
        place = folder / quality
        place.mkdir()
        (place / "init.mp4").write_bytes(self.content)
        segments = []
        for number in range(2):
            path = place / f"{number}.m4s"
            path.write_bytes(f"segment {number}".encode())
            segments.append(
                Segment(number=number, path=str(path), start_us=number * 10**6, duration_us=10**6, byte_size=9)
            )
        return Rendition(
            kind=kind,  # type: ignore[arg-type]
            quality=quality,
            path=str(place / "init.mp4"),
            init_size=4,
            segments=tuple(segments),
            codecs="avc1.64001f" if kind == "hls_video" else "mp4a.40.2",
            bandwidth=9,
            average_bandwidth=8,
            duration_ms=2000,
            byte_size=22,
        )

    async def _step(self, name: str) -> None:
        if self.at != name:
            return
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.fault is not None:
            raise self.fault
