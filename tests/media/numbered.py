"""Films each frame of which shows its number, so that a frame that lacks, comes twice or stands elsewhere is seen."""

from collections.abc import Sequence
from pathlib import Path

import av

from tests.support.fixtures import MUXERS, VERSION, cache_folder, run_ffmpeg

BARS, BAR = 12, 16  # bits of the number, and pixels of each
SIZE = f"{BARS * BAR}x96"
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=50:open-gop=1")
OPEN = ("-x264-params", "open-gop=1:bframes=3")
PAUSES = "lt(t,5)+between(t,13,15)+gt(mod(n,3),1)*gt(t,17)"  # none between 5 and 13 s; then a pace that varies


def numbered(
    name: str, encoder: Sequence[str], *, rate: str = "25", seconds: float = 18, select: str = "1", sound: bool = True
) -> Path:
    """Path of a film with numbered frames.

    Args:
        name: of the file, unique for its content; the ending names the container.
        encoder: output options of ffmpeg.
        rate: frames per second.
        seconds: duration.
        select: expression of the frames that stay; the others leave a pause.
        sound: whether there is sound, in a format that any container takes.

    """
    target = cache_folder() / f"numbered-{VERSION}-{name}"
    if not target.exists():
        bars = f"geq=lum='if(mod(floor(N/pow(2,floor(X/{BAR}))),2),235,16)'"
        picture = f"color=black:s={SIZE}:r={rate}:d={seconds},format=gray,{bars},select='{select}',format=yuv420p"
        codec = {"webm": "libopus", "wmv": "wmav2", "ogv": "libvorbis", "mxf": "pcm_s16le", "avi": "libmp3lame"}
        ending = name.rpartition(".")[2]
        heard = ["-f", "lavfi", "-i", f"sine=duration={seconds}:sample_rate=48000"] if sound else []
        heard_as = ["-c:a", codec.get(ending, "mp2" if ending in {"mpg", "nut"} else "aac")] if sound else []
        made = target.with_name(f"new-{target.name}")
        muxer = ["-f", MUXERS[ending]] if ending in MUXERS else []
        run_ffmpeg("-f", "lavfi", "-i", picture, *heard, "-fps_mode", "vfr", *encoder, *heard_as, *muxer, str(made))
        made.replace(target)
    return target


def shown(path: Path) -> list[tuple[float, int]]:
    """Times and numbers of the frames of a film, in the order in which they are shown."""
    found = []
    with av.open(str(path)) as container:
        start = (container.start_time or 0) / av.time_base
        for frame in container.decode(container.streams.video[0]):
            grey = frame.reformat(format="gray").planes[0]
            row = bytes(grey)[frame.height // 2 * grey.line_size :]
            bits = (row[int((bar + 0.5) * frame.width / BARS)] > 128 for bar in range(BARS))
            found.append(((frame.time or 0.0) - start, sum(bit << bar for bar, bit in enumerate(bits))))
    return found
