"""A recording to demonstrate with: somebody hums a melody of four bars over chords. Synthesised; nobody sang it."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import imageio_ffmpeg

SECONDS = 20
"""Of the recording; the melody is as long, and is cut where this is less."""
WHOLE: Final = 20
BAR: Final = WHOLE / 4
MELODY: Final = (57, 60, 64, 62, 60, 57, 55, 57, 60, 62, 64, 67, 65, 64, 60, 57)
"""MIDI numbers of the notes, all of the same length."""
NOTE: Final = WHOLE / len(MELODY)
CHORDS: Final = ((45, 57, 60, 64), (41, 57, 60, 65), (48, 55, 60, 64), (43, 55, 59, 62))
"""MIDI numbers of a bass and three voices above it: A minor, F, C, G; a bar each."""
HARMONICS: Final = 7
VIBRATO: Final = 5.2
"""Hertz."""
VOWEL: Final = ((620, 14, 2.0), (1150, 10, 3.0), (2700, 6, 3.0))
"""Formants, about those of an open `a`: hertz, decibels, sharpness."""


def make_song(path: Path, on_progress: Callable[[float], None] = lambda _: None) -> None:
    """Write an MP3 of 20 s.

    Args:
        path: the file to write.
        on_progress: hears the part that is done, from 0 to 1.

    Raises:
        RuntimeError: ffmpeg failed; the message says why.

    """
    command = [
        *(str(imageio_ffmpeg.get_ffmpeg_exe()), "-hide_banner", "-nostdin", "-v", "error", "-progress", "pipe:1"),
        *("-f", "lavfi", "-i", _voice(), "-f", "lavfi", "-i", _chords()),
        *("-filter_complex", _mix(), "-map", "[song]", "-t", str(SECONDS)),
        *("-c:a", "libmp3lame", "-b:a", "192k", "-metadata", "title=Openstage demonstration", "-y", str(path)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if done := re.match(r"out_time_us=(\d+)", line):
                on_progress(min(1.0, int(done[1]) / 1_000_000 / SECONDS))
        said = process.stderr.read()
    if process.returncode:
        raise RuntimeError(f"ffmpeg could not make the recording: {said.strip()}")


def _voice() -> str:
    """Harmonics that fall off as a voice's do, with a vibrato that comes when a note is held."""
    pitch = _choose(f"floor(t/{NOTE})", [f"{_hertz(note):.3f}" for note in MELODY])
    since = f"mod(t,{NOTE})"
    wobble = f"min(1,{since}*3)*0.006*ld(0)/{VIBRATO}*sin(2*PI*{VIBRATO}*t)"
    phase = f"(2*PI*ld(0)*{since}+{wobble})"
    harmonics = "+".join(f"sin({number}*ld(1))/{number}" for number in range(1, HARMONICS + 1))
    shape = f"min(1,{since}*18)*min(1,({NOTE}-{since})*12)"
    return f"aevalsrc=exprs='st(0,{pitch});st(1,{phase});0.22*{shape}*({harmonics})':duration={WHOLE}:sample_rate=44100"


def _chords() -> str:
    since = f"mod(t,{BAR})"
    tones = []
    for voice in range(4):
        pitch = _choose(f"floor(t/{BAR})", [f"{_hertz(chord[voice]):.3f}" for chord in CHORDS])
        tones.append(f"sin(2*PI*({pitch})*{since})")
    strum = f"min(1,{since}*40)*exp(-0.7*{since})*min(1,({BAR}-{since})*20)"
    return f"aevalsrc=exprs='0.09*{strum}*({'+'.join(tones)})':duration={WHOLE}:sample_rate=44100"


def _mix() -> str:
    vowel = ",".join(f"equalizer=f={hertz}:t=q:w={sharp}:g={gain}" for hertz, gain, sharp in VOWEL)
    return (
        f"[0:a]{vowel},highpass=f=90,lowpass=f=6000,volume=0.55[voice];"
        "[voice][1:a]amix=inputs=2:normalize=0,aecho=0.8:0.6:60|110:0.25|0.15,pan=stereo|c0=c0|c1=c0,"
        f"alimiter=limit=0.9,afade=t=in:d=0.2,afade=t=out:st={max(0, SECONDS - 1)}:d=1[song]"
    )


def _hertz(note: int) -> float:
    """Frequency of a MIDI number, equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2 ** ((note - 69) / 12))


def _choose(index: str, values: list[str]) -> str:
    """Give an expression that is one of `values`, by number."""
    expression = values[-1]
    for number in range(len(values) - 2, -1, -1):
        expression = f"if(eq({index},{number}),{values[number]},{expression})"
    return expression
