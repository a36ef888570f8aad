"""What is published: films and a sound with moving detail, synthesised once and kept outside the repository.

A minute of content is encoded; what is longer repeats it without encoding (`-stream_loop`, `-c copy`). The picture pans
over two fractals with cuts, a moving test card and mild grain: about as costly to encode as a film at the same rate.
Nothing here is fetched.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

VERSION: Final = "1"
"""Part of the names of files; change it with the recipes."""
UNIT_SECONDS: Final = 64
"""Content that isn't repeated: a whole number of frames, of AAC frames at 48 kHz and of groups of pictures."""
RATE: Final = 30

_STILLS: Final = {
    "far": "start_scale=0.02:start_x=-0.7436:start_y=0.1318",
    "near": "start_scale=0.6:start_x=-0.9:start_y=0.2",
}
_PICTURE: Final = """
[0:v]loop=-1:1,setpts=N/(30*TB),crop=1920:1080:
    x='(iw-ow)*(0.5+0.5*sin(2*PI*t/17))':y='(ih-oh)*(0.5+0.5*cos(2*PI*t/11))'[far];
[1:v]loop=-1:1,setpts=N/(30*TB),crop=1920:1080:
    x='(iw-ow)*(0.5+0.5*cos(2*PI*t/13))':y='(ih-oh)*(0.5+0.5*sin(2*PI*t/19))'[near];
[far][near]overlay=enable='gte(mod(t,16),9)':format=yuv420[scene];
testsrc2=size=480x270:rate=30[card];
[scene][card]overlay=x='(W-w)*(0.5+0.5*sin(2*PI*t/7))':y='(H-h)*(0.5+0.5*cos(2*PI*t/5))':format=yuv420,
    noise=c0s=3:c0f=t+u,format=yuv420p[picture]
"""
_SOUND: Final = (
    "aevalsrc=exprs='0.2*sin(2*PI*(220+55*floor(mod(t,4)))*t)*(1-mod(t,1))+0.1*sin(2*PI*440*t)*lt(mod(t,2),0.3)"
    "|0.2*sin(2*PI*(330+55*floor(mod(t,8)))*t)*(1-mod(t,1))+0.05*(random(0)-0.5)':sample_rate={rate}"
)
# Encoders as upload tools use them, at presets that make a minute in about a minute; key frames as they put them.
_H264: Final = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "6M", "-maxrate", "9M", "-bufsize", "12M"]
_HEVC: Final = ["-c:v", "libx265", "-preset", "superfast", "-b:v", "3M", "-x265-params", "log-level=error"]
_VP9: Final = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-row-mt", "1", "-b:v", "4M"]
_ASP: Final = ["-c:v", "mpeg4", "-vtag", "XVID", "-bf", "2", "-b:v", "6M", "-g", "250"]
_AAC: Final = ["-c:a", "aac", "-b:a", "160k"]
_OPUS: Final = ["-c:a", "libopus", "-b:a", "128k"]
_MP3: Final = ["-c:a", "libmp3lame", "-b:a", "160k"]


@dataclass(frozen=True)
class Source:
    """One kind of file that is published."""

    letter: str
    what: str
    suffix: str
    picture: Sequence[str] = ()
    """Encoder of the picture; empty: sound alone."""
    sound: Sequence[str] = ()
    container: Sequence[str] = ()
    times: int = 1
    """Duration in multiples of the others'."""
    limit: float = 1.0
    """Seconds from the reply to finish until it can be played."""


SOURCES: Final = {
    source.letter: source
    for source in (
        Source("a", "1080p30 H.264/AAC MP4, moov first", "mp4", _H264, _AAC, ("-movflags", "+faststart")),
        Source("b", "1080p30 H.264/AAC MP4, moov last", "mp4", _H264, _AAC),
        Source("c", "1080p30 HEVC/AAC MKV", "mkv", _HEVC, _AAC, limit=1.5),
        Source("d", "1080p30 VP9/Opus WebM", "webm", _VP9, _OPUS, limit=1.5),
        Source("e", "1080p30 MPEG-4 ASP/MP3 AVI", "avi", _ASP, _MP3, limit=1.5),
        Source("f", "FLAC 44.1 kHz stereo", "flac", (), ("-c:a", "flac")),
        Source("g", "(a), twelve times as long", "mp4", _H264, _AAC, ("-movflags", "+faststart"), times=12),
    )
}


def cache_folder() -> Path:
    """Where they are kept: `BENCH_CACHE`, or a folder in the temporary one."""
    folder = Path(os.environ.get("BENCH_CACHE") or Path(tempfile.gettempdir()) / f"openstage-bench-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def source_file(letter: str, seconds: int, say: Callable[[str], None] = print) -> Path:
    """Return a source of so many seconds (times its own factor), made now unless it has been before."""
    source = SOURCES[letter]
    seconds *= source.times
    name = f"{letter}-{seconds}s"
    if source.picture:
        return _made(f"{name}.{source.suffix}", lambda path: _mux(source, seconds, path, say), say)
    return _made(f"{name}.{source.suffix}", lambda path: _run([*_sound(seconds, 44100), *source.sound, str(path)]), say)


def excerpt(letter: str, seconds: int, whole: int, say: Callable[[str], None] = print) -> Path:
    """Return the first seconds of a source whose whole lasts `whole` seconds; the same file if it isn't longer."""
    return source_file(letter, min(seconds, whole), say)


def _made(name: str, make: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    target = cache_folder() / f"v{VERSION}-{name}"
    if not target.exists():
        say(f"making {name}")
        half = target.with_name(f"half-{os.getpid()}-{target.name}")
        try:
            make(half)
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
    return target


def _mux(source: Source, seconds: int, path: Path, say: Callable[[str], None]) -> None:
    unit = min(UNIT_SECONDS, seconds)
    codec = source.picture[1]
    # Matroska keeps the time stamps of reordered frames, which AVI lacks and MP4's edit lists shift.
    picture = _made(f"picture-{codec}-{unit}s.mkv", lambda path: _encode_picture(source, unit, path, say), say)
    encoder = source.sound[1]
    sound = _made(
        f"sound-{encoder}-{seconds}s.mka", lambda path: _run([*_sound(seconds), *source.sound, str(path)]), say
    )
    repeats = -(-seconds // unit) - 1
    inputs = ["-stream_loop", str(repeats), "-i", str(picture), "-i", str(sound)]
    tag = ["-tag:v", "XVID"] if codec == "mpeg4" else []
    _run([*inputs, "-map", "0:v", "-map", "1:a", "-c", "copy", *tag, "-t", str(seconds), *source.container, str(path)])


def _encode_picture(source: Source, seconds: int, path: Path, say: Callable[[str], None]) -> None:
    inputs: list[str] = []
    for name, where in _STILLS.items():
        graph = f"mandelbrot=size=3200x1800:rate=1:maxiter=800:{where}"
        still = _made(f"{name}.png", lambda path, graph=graph: _run(_still(graph, path)), say)  # type: ignore[misc]
        inputs += ["-framerate", str(RATE), "-i", str(still)]
    graph = "".join(line.strip() for line in _PICTURE.splitlines())
    _run([*inputs, "-filter_complex", graph, "-map", "[picture]", "-t", str(seconds), *source.picture, str(path)])


def _still(graph: str, path: Path) -> list[str]:
    return ["-f", "lavfi", "-i", graph, "-frames:v", "1", str(path)]


def _sound(seconds: int, rate: int = 48000) -> list[str]:
    return ["-f", "lavfi", "-i", _SOUND.format(rate=rate), "-t", str(seconds)]


def _run(arguments: Sequence[str]) -> None:
    command = [str(find_ffmpeg(Settings())), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, preexec_fn=lambda: os.nice(10))
