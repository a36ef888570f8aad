"""Looking at renditions as a player would, with a decoder of its own."""

import contextlib
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import av
import msgspec

from openstage.media.chunks import Chunk, LadderPlan, make_chunk, plan_ladder
from openstage.media.describe import peak_bandwidth
from openstage.media.first import FirstPlan, plan_first
from openstage.media.growing import GrownInit, grow
from openstage.media.join import join_mp4, join_renditions
from openstage.media.models import MediaInfo, Rendition, Segment
from openstage.media.probe import probe
from openstage.media.sound import make_sound
from openstage.settings import Settings
from tests.support.fixtures import ffmpeg

SETTINGS = Settings(min_free=0, encoder="software")
CHUNKS = SETTINGS.model_copy(update={"chunk_seconds": 4.0})

T = TypeVar("T")


@dataclass(frozen=True)
class Made:
    """A source, what was found in it and what was made of it."""

    source: Path
    info: MediaInfo
    renditions: tuple[Rendition, ...]
    percents: tuple[float, ...]
    plan: LadderPlan
    chunks: tuple[Chunk, ...]

    def of(self, kind: str, quality: str | None = None) -> list[Rendition]:
        return [it for it in self.renditions if it.kind == kind and quality in {None, it.quality}]

    def qualities(self, kind: str) -> list[str]:
        return [it.quality for it in self.of(kind)]


async def convert(source: Path, folder: Path, settings: Settings = SETTINGS) -> Made:
    """Probe and convert as the pipeline does: the ladder in chunks, the sound by itself, then all of it joined."""
    info = await probe(source, settings)
    pictures = await make_ladder(source, info, folder, settings)
    made = [*pictures.renditions]
    sound = await make_sound(source, info, subfolder(folder, "sound"), settings) if info.audio else None
    if sound:
        made += [await hls_sound(source, info, subfolder(folder, "hls-sound"), settings), *sound.renditions]
    for mp4 in pictures.plan.mp4s:
        parts = [Path(part.path) for chunk in pictures.chunks for part in chunk.parts if part.quality == mp4.quality]
        track = Path(sound.tracks[mp4.quality]) if sound else None
        path = subfolder(folder, f"joined-{mp4.quality}") / "film.mp4"
        made.append(await join_mp4(mp4.quality, parts, track, path, settings))
    return replace(pictures, renditions=tuple(made))


def subfolder(folder: Path, name: str) -> Path:
    """A new folder."""
    made = folder / name
    made.mkdir()
    return made


async def make_ladder(
    source: Path, info: MediaInfo, folder: Path, settings: Settings = SETTINGS, plan: LadderPlan | None = None
) -> Made:
    """All chunks of a picture, in any order but the one in which they are shown, and the rungs that they make up."""
    # Plans and chunks go through the database on their way.
    plan = plain(plan or plan_ladder(info, FirstPlan(), settings, None), LadderPlan)
    chunks, percents = [], [0.0]
    for count, number in enumerate(reversed(range(len(plan.chunks)))):
        told: list[float] = []
        where = subfolder(folder, f"chunk-{number}")
        chunk = await make_chunk(source, info, plan, number, where, settings, on_progress=told.append)
        chunks.append(plain(chunk, Chunk))
        percents += [(100 * count + percent) / len(plan.chunks) for percent in told]
    renditions = join_renditions(plan, chunks) if plan.chunks else ()
    chunks.sort(key=lambda chunk: chunk.number)
    return Made(source, info, renditions, tuple(percents) if plan.chunks else (0.0, 100.0), plan, tuple(chunks))


def plain(value: T, kind: type[T]) -> T:
    """A plan or a chunk as it comes back from JSON."""
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


async def hls_sound(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> Rendition:
    """The sound rendition, which comes with the first one."""
    plan = FirstPlan(sound=plan_first(info, settings).sound)
    init: GrownInit | None = None
    segments = []
    async with contextlib.aclosing(grow(source, info, plan, folder, settings)) as pieces:
        async for piece in pieces:
            if isinstance(piece, GrownInit):
                init = piece
                continue
            segments.append(
                Segment(
                    number=piece.number,
                    path=piece.path,
                    start_us=piece.start_us,
                    duration_us=piece.duration_us,
                    byte_size=piece.byte_size,
                )
            )
    assert init is not None
    seconds = sum(segment.duration_us for segment in segments) / 1e6
    size = sum(segment.byte_size for segment in segments)
    return Rendition(
        kind="hls_audio",
        quality="a",
        path=init.path,
        init_size=init.init_size,
        segments=tuple(segments),
        codecs=init.codecs,
        bandwidth=max(peak_bandwidth(segments), round(size * 8 / seconds)),
        average_bandwidth=round(size * 8 / seconds),
        duration_ms=round((segments[0].start_us / 1e6 + seconds) * 1000),
        byte_size=size + init.init_size,
    )


def whole(rendition: Rendition) -> Path:
    """A rendition as one file: an MP4 as it is, the pieces of an HLS one joined."""
    if rendition.kind == "mp4":
        return Path(rendition.path)
    joined = Path(rendition.path).with_name("joined.mp4")
    pieces = [Path(rendition.path), *(Path(segment.path) for segment in rendition.segments)]
    joined.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return joined


def assert_decodes(path: Path) -> None:
    """Decode to the end; any error or warning of the decoder fails."""
    command = [ffmpeg(), "-hide_banner", "-nostdin", "-xerror", "-v", "error", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{path}: {done.stderr[-800:]}"


def write_playlist(rendition: Rendition) -> Path:
    """A media playlist beside the rendition's files, as our delivery renders one."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:9", '#EXT-X-MAP:URI="init.mp4"']
    for segment in rendition.segments:
        lines += [f"#EXTINF:{segment.duration_us / 1e6:.6f},", Path(segment.path).name]
    playlist = Path(rendition.path).with_name("test.m3u8")
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    return playlist


@dataclass(frozen=True)
class Decoded:
    """What a decoder makes of a file; `colours` are matrix, primaries and transfer."""

    times: list[float]
    keyframes: list[float]
    end: float
    size: tuple[int, int]
    pixel_format: str
    colours: tuple[int, int, int]


def decode_picture(path: Path) -> Decoded:
    """Decode the picture of a file with PyAV."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit = float(stream.time_base or 0)
        frames = [(float(it.time or 0), it.key_frame, it.duration * unit) for it in container.decode(stream)]
        context = stream.codec_context
        return Decoded(
            times=[time for time, _, _ in frames],
            keyframes=[time for time, key, _ in frames if key],
            end=max(time + lasts for time, _, lasts in frames),
            size=(context.width, context.height),
            pixel_format=context.pix_fmt or "",
            colours=(int(context.colorspace), int(context.color_primaries), int(context.color_trc)),
        )


def sound_levels(path: Path, step: float = 0.005) -> list[float]:
    """Loudest sample of each `step` seconds of a file's sound, from time 0."""
    levels: dict[int, float] = {}
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
        for frame in container.decode(stream):
            for piece in resampler.resample(frame):
                samples = memoryview(bytes(piece.planes[0])).cast("f")[: piece.samples]
                begin = float((piece.pts or 0) / 48000)
                for number in range(0, piece.samples, 24):
                    at = int((begin + number / 48000) / step)
                    levels[at] = max(levels.get(at, 0.0), *(abs(it) for it in samples[number : number + 24]))
    return [levels.get(number, 0.0) for number in range(max(levels) + 1)] if levels else []


def flashes(path: Path) -> list[float]:
    """Times at which a picture that was dark becomes bright."""
    found, dark = [], True
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            small = frame.reformat(width=8, height=8, format="gray")
            bright = bytes(small.planes[0])[0] > 128
            if bright and dark:
                found.append(float(frame.time or 0))
            dark = not bright
    return found


def beeps(path: Path, step: float = 0.005) -> list[float]:
    """Times at which silence turns into sound."""
    found, quiet = [], 1.0
    for number, level in enumerate(sound_levels(path, step)):
        if level > 0.1 and quiet > 0.3:
            found.append(number * step)
        quiet = 0.0 if level > 0.1 else quiet + step
    return found
