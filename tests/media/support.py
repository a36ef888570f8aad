"""Looking at renditions as a player would, with a decoder of its own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import av

from openstage.media.models import MediaInfo, Rendition
from openstage.media.probe import probe
from openstage.media.renditions import make_renditions
from openstage.settings import Settings
from tests.support.fixtures import ffmpeg

SETTINGS = Settings(min_free=0)


@dataclass(frozen=True)
class Made:
    """A source, what was found in it and what was made of it."""

    source: Path
    info: MediaInfo
    renditions: tuple[Rendition, ...]
    percents: tuple[float, ...]

    def of(self, kind: str, quality: str | None = None) -> list[Rendition]:
        return [it for it in self.renditions if it.kind == kind and quality in {None, it.quality}]

    def qualities(self, kind: str) -> list[str]:
        return [it.quality for it in self.of(kind)]


async def convert(source: Path, folder: Path, settings: Settings = SETTINGS) -> Made:
    """Probe and convert as the pipeline does."""
    info = await probe(source, settings)
    percents: list[float] = []
    renditions = await make_renditions(source, info, folder, settings, on_progress=percents.append)
    return Made(source, info, renditions, tuple(percents))


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
