"""A clip to demonstrate with: colours that drift, a melody, and the melody's wave drawn over the colours."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg

SECONDS = 20
FRAME_RATE = 30
CHORDS = ((220.00, 15), (174.61, 16), (261.63, 16), (196.00, 16))
"""Roots in hertz, with their thirds an octave up in semitones: A minor, F, C, G; a quarter of the clip each."""
ARPEGGIO = (0, 12, 19, None, 24, None, 19, 12)
"""Semitones above the root, eight notes of a quarter second; None is the third."""


def make_clip(path: Path, on_progress: Callable[[float], None]) -> None:
    """Write a 720p MP4 of 20 s with sound.

    Args:
        path: the file to write.
        on_progress: hears the part that is done, from 0 to 1.

    Raises:
        RuntimeError: ffmpeg failed; the message says why.

    """
    command = [
        *(str(imageio_ffmpeg.get_ffmpeg_exe()), "-hide_banner", "-nostdin", "-v", "error", "-progress", "pipe:1"),
        *("-f", "lavfi", "-i", _colours()),
        *("-f", "lavfi", "-i", _melody()),
        *("-filter_complex", _drawing(), "-map", "[picture]", "-map", "[sound]"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "21", "-pix_fmt", "yuv420p", "-g", str(2 * FRAME_RATE)),
        *("-c:a", "aac", "-b:a", "160k", "-t", str(SECONDS), "-movflags", "+faststart", "-y", str(path)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if done := re.match(r"out_time_us=(\d+)", line):
                on_progress(min(1.0, int(done[1]) / 1_000_000 / SECONDS))
        said = process.stderr.read()
    if process.returncode:
        raise RuntimeError(f"ffmpeg could not make the clip: {said.strip()}")


def _colours() -> str:
    colours = "c0=0x0b132b:c1=0x1c7293:c2=0xe76f51:c3=0xf4a261:c4=0x5e2b97"
    return f"gradients=size=160x90:type=spiral:rate={FRAME_RATE}:duration={SECONDS}:n=5:{colours}:seed=11:speed=0.012"


def _melody() -> str:
    """Plucked notes over a soft bass; every note dies away within its quarter second and rings on as an echo."""
    chord = _choose(f"floor(t*4/{SECONDS})", [str(root) for root, _ in CHORDS])
    third = _choose(f"floor(t*4/{SECONDS})", [str(third) for _, third in CHORDS])
    semitones = _choose("mod(floor(t*4),8)", [third if step is None else str(step) for step in ARPEGGIO])
    since = "mod(t,0.25)"
    note = f"({chord})*pow(2,({semitones})/12)"
    pluck = f"exp(-9*{since})*min(1,{since}*200)*(sin(2*PI*{note}*{since})+0.35*sin(4*PI*{note}*{since}))"
    bass = f"0.35*sin(2*PI*({chord})/2*t)*min(1,mod(t,{SECONDS / 4})*8)"
    return f"aevalsrc=exprs='0.32*({pluck})+0.3*({bass})':duration={SECONDS}:sample_rate=44100"


def _choose(index: str, values: list[str]) -> str:
    """Give an expression that is one of `values`, by number."""
    expression = values[-1]
    for number in range(len(values) - 2, -1, -1):
        expression = f"if(eq({index},{number}),{values[number]},{expression})"
    return expression


def _drawing() -> str:
    """The sound made round, its wave and its mirror drawn over the colours, and a line that shows the time."""
    return (
        "[1:a]aecho=0.9:0.7:250|500:0.35|0.2,pan=stereo|c0=c0|c1=c0,volume=1.4,"
        f"afade=t=in:d=0.5,afade=t=out:st={SECONDS - 2}:d=2,asplit=2[sound][heard];"
        f"[heard]showwaves=size=640x180:rate={FRAME_RATE}:mode=cline:draw=full:scale=sqrt:colors=white@0.75[wave];"
        "[0:v]scale=640:360:flags=bicubic[colours];"
        f"[colours][wave]overlay=x=0:y=(H-h)/2:shortest=1,scale=1280:720:flags=bicubic,"
        f"drawbox=x=0:y=ih-8:w='iw*t/{SECONDS}':h=8:color=white@0.8:t=fill,"
        f"fade=t=in:d=0.6,fade=t=out:st={SECONDS - 1}:d=1[picture]"
    )
