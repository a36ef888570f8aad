"""Media for tests, synthesised by ffmpeg at the first use and kept in a cache that all test runs of a user share.

`make_clip()` gives the path of a file; ask for the same thing again and the same file comes back. Nobody writes to it.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import imageio_ffmpeg

VERSION = "2"  # change when the recipes change: the cache then starts afresh

Pattern = Literal["moving", "sync", "black-start", "noise"]

VIDEO_ENCODERS: dict[str, list[str]] = {
    "h264": ["libx264", "-preset", "ultrafast"],
    "hevc": ["libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"],
    "vp8": ["libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"],
    "vp9": ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"],
    "av1": ["libsvtav1", "-preset", "12", "-svtav1-params", "lp=2"],
    "mpeg4": ["mpeg4", "-q:v", "5"],
    "mpeg2": ["mpeg2video", "-q:v", "5"],
    "mpeg1": ["mpeg1video", "-q:v", "5"],
    "h263": ["h263", "-q:v", "5"],
    "flv1": ["flv", "-q:v", "5"],
    "prores": ["prores_ks", "-profile:v", "proxy"],
    "mjpeg": ["mjpeg", "-q:v", "5"],
}
AUDIO_ENCODERS: dict[str, list[str]] = {
    "aac": ["aac", "-b:a", "96k"],
    "mp3": ["libmp3lame", "-b:a", "96k"],
    "mp2": ["mp2", "-b:a", "128k"],
    "ac3": ["ac3", "-b:a", "128k"],
    "opus": ["libopus", "-b:a", "64k"],
    "vorbis": ["libvorbis"],
    "amr": ["libopencore_amrnb", "-ar", "8000", "-ac", "1", "-b:a", "12.2k"],
    "flac": ["flac"],
    "alac": ["alac"],
    "pcm": ["pcm_s16le"],
}
# File name endings whose muxer has another name.
MUXERS = {"mkv": "matroska", "ts": "mpegts", "3gp": "3gp", "m4a": "ipod", "aac": "adts", "mpg": "mpeg", "wmv": "asf"}


def ffmpeg() -> str:
    """The ffmpeg that comes with Openstage."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def run_ffmpeg(*arguments: str, folder: Path | None = None) -> None:
    """Run ffmpeg; AssertionError with what it said if it fails."""
    done = subprocess.run(
        [ffmpeg(), "-hide_banner", "-nostdin", "-v", "error", "-y", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"ffmpeg {' '.join(arguments)}\n{done.stderr[-2000:]}"


def cache_folder() -> Path:
    """Where the synthesised files are kept."""
    folder = Path(tempfile.gettempdir()) / f"openstage-test-media-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def cover_picture() -> Path:
    """A still picture, as albums have one."""
    target = cache_folder() / f"cover-{VERSION}.jpg"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
            made = Path(scratch) / "cover.jpg"
            run_ffmpeg("-f", "lavfi", "-i", "testsrc=size=400x400:rate=1", "-frames:v", "1", "-q:v", "3", str(made))
            made.replace(target)
    return target


def picture_source(pattern: Pattern, size: str, duration: float, fps: float) -> str:
    """The lavfi graph of a moving picture.

    `sync`: black with a white flash in the first tenth of every second; `black-start`: black in the first half.
    """
    moving = f"testsrc2=size={size}:rate={fps}:duration={duration}"
    return {
        "moving": moving,
        "sync": f"color=black:size={size}:rate={fps}:duration={duration},"
        "drawbox=c=white:t=fill:enable='lt(mod(t,1),0.1)'",
        "black-start": f"{moving},drawbox=c=black:t=fill:enable='lt(t,{duration / 2})'",
        "noise": f"{moving},noise=alls=100:allf=t",
    }[pattern]


def sound_source(pattern: Pattern, duration: float, frequency: int, rate: int, channels: int) -> str:
    """The lavfi graph of a sound; `sync`: a beep in the first tenth of every second."""
    gate = "*lt(mod(t,1),0.1)" if pattern == "sync" else ""
    voices = "|".join(f"0.5*sin(2*PI*{frequency + 110 * n}*t){gate}" for n in range(channels))
    return f"aevalsrc=exprs='{voices}':duration={duration}:sample_rate={rate}"


def make_clip(
    container: str = "mp4",
    vcodec: str | None = "h264",
    acodec: str | None = "aac",
    size: str = "320x180",
    duration: float = 2.0,
    fps: float = 25,
    *,
    moov: Literal["front", "end"] = "front",
    pattern: Pattern = "moving",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    vfr: bool = False,
    sound_tracks: int = 1,
    channels: int = 2,
    sample_rate: int = 44100,
    sound_delay: float = 0.0,
    sound_duration: float | None = None,
    cover: bool = False,
    metadata: Sequence[str] = (),
    extra: Sequence[str] = (),
) -> Path:
    """Path of a synthesised clip, made now unless it has been made before.

    Args:
        container: the file name's ending: mp4, mov, mkv, webm, avi, flv, ts, 3gp, mpg, m4a, mp3, flac, ogg, wav …
        vcodec: key of `VIDEO_ENCODERS`; None: no moving picture.
        acodec: key of `AUDIO_ENCODERS`; None: no sound.
        size: width x height in pixels.
        duration: seconds.
        fps: frames per second.
        moov: where an MP4 or MOV has its index.
        pattern: what is seen and heard; `sync` flashes and beeps each second.
        pix_fmt: pixel format of the encoder, such as yuv420p10le.
        rotation: degrees anticlockwise that a player must turn the picture (display matrix).
        vfr: variable frame rate: every frame in the first half, every third in the second.
        sound_tracks: number of sound tracks, each with its own pitch and language; the last one is the default.
        channels: sound channels of each track.
        sample_rate: of the sound, in hertz.
        sound_delay: seconds by which the sound starts after the picture.
        sound_duration: seconds of sound, if not the clip's duration.
        cover: attach a cover picture.
        metadata: `key=value` tags of the file.
        extra: further output options of ffmpeg.

    """
    recipe = repr((VERSION, sorted(locals().items())))
    name = f"{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.{container}"
    target = cache_folder() / name
    if target.exists():
        return target
    heard = duration if sound_duration is None else sound_duration
    inputs: list[str] = []
    maps: list[str] = []
    count = 0
    if vcodec:
        inputs += ["-f", "lavfi", "-i", picture_source(pattern, size, duration, fps)]
        maps += ["-map", f"{count}:v", "-c:v", *VIDEO_ENCODERS[vcodec], "-pix_fmt", pix_fmt]
        count += 1
        if vfr:
            maps += ["-vf", f"select='lt(t,{duration / 2})+not(mod(n,3))'", "-fps_mode", "vfr"]
    for track in range(sound_tracks if acodec else 0):
        graph = sound_source(pattern, heard, 440 * (track + 1), sample_rate, channels)
        inputs += [*(["-itsoffset", str(sound_delay)] if sound_delay else []), "-f", "lavfi", "-i", graph]
        maps += ["-map", f"{count}:a", f"-metadata:s:a:{track}", f"language={('eng', 'zho', 'fra')[track % 3]}"]
        if sound_tracks > 1:
            maps += [f"-disposition:a:{track}", "default" if track == sound_tracks - 1 else "0"]
        count += 1
    if acodec:
        maps += ["-c:a", *AUDIO_ENCODERS[acodec]]
    if cover:
        stream = 1 if vcodec else 0
        inputs += ["-i", str(cover_picture())]
        maps += ["-map", f"{count}:v", f"-c:v:{stream}", "copy", f"-disposition:v:{stream}", "attached_pic"]
    tags = [part for tag in metadata for part in ("-metadata", tag)]
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        made = Path(scratch) / name
        muxer = ["-f", MUXERS.get(container, container)]
        front = ["-movflags", "+faststart"] if moov == "front" and container in {"mp4", "mov", "m4a"} else []
        run_ffmpeg(*inputs, *maps, *tags, *extra, *front, *muxer, str(made))
        if rotation:
            turned = Path(scratch) / f"turned-{name}"
            turn = ["-display_rotation", str(rotation), "-i", str(made), "-map", "0", "-c", "copy"]
            run_ffmpeg(*turn, *tags, *front, *muxer, str(turned))
            made = turned
        made.replace(target)
    return target
