"""From a piece's tempo, key, mode and instruments to its sound: melody, accompaniment, bass and drums.

The same piece is always the same notes: chance is seeded by its title.
"""

import array
import math
import random
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import imageio_ffmpeg

from openstage.demo.instruments import RATE, Drum, Samples, drum, note
from openstage.demo.music import Piece

LEAST_SECONDS: Final = 12.0
KEYS: Final = {"C": 0, "Eb": 3, "E": 4, "F": 5, "F#": 6, "G": 7, "Ab": 8, "A": 9, "Bb": 10, "B": 11, "D": 2}
MODES: Final[dict[str, tuple[int, ...]]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "hijaz": (0, 1, 4, 5, 7, 8, 10),
    "gong": (0, 2, 4, 7, 9),
    "yu": (0, 3, 5, 7, 10),
}
"""Semitones above the tonic. gong and yu (宫, 羽) are Chinese pentatonic modes."""
PROGRESSIONS: Final = ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 0), (0, 2, 3, 4))
"""Steps of the mode on which the chords of four bars stand."""
RHYTHMS: Final[dict[int, tuple[tuple[float, ...], ...]]] = {
    4: ((1, 1, 1, 1), (1.5, 0.5, 1, 1), (0.5, 0.5, 1, 2), (1, 0.5, 0.5, 1, 1), (2, 1, 1), (0.5,) * 4 + (1, 1)),
    3: ((1, 1, 1), (2, 1), (1.5, 0.5, 1), (1, 0.5, 0.5, 1)),
}
"""Lengths of the notes of a bar, in beats."""
PATTERNS: Final[dict[str, Sequence[tuple[Drum, Sequence[float], float]]]] = {
    "": (),
    "soft": (("hat", (0, 1, 2, 3), 0.16), ("kick", (0, 2), 0.3)),
    "four": (("kick", (0, 1, 2, 3), 0.85), ("hat", (0.5, 1.5, 2.5, 3.5), 0.3), ("clap", (1, 3), 0.35)),
    "rock": (("kick", (0, 2, 2.5), 0.7), ("snare", (1, 3), 0.45), ("hat", (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5), 0.2)),
    "war": (("tom", (0, 0.75, 1.5, 2, 3, 3.5), 0.7), ("kick", (0, 2), 0.8), ("snare", (3.75,), 0.25)),
    "march": (("snare", (0, 1, 1.5, 2, 3, 3.25, 3.5, 3.75), 0.25), ("kick", (0, 2), 0.6)),
    "hooves": (("tick", (0, 0.66, 1, 1.66, 2, 2.66, 3, 3.66), 0.5), ("tom", (0, 2), 0.3)),
    "ticks": (("tick", (0, 1, 2, 3), 0.5),),
}
"""By stroke: on which beats of a bar, and how loud."""


def write_sound(piece: Piece, path: Path) -> None:
    """Write a piece as MP3, FLAC or WAV, as the file's name ends, with its title, artist and genre as tags.

    Raises:
        RuntimeError: ffmpeg failed; the message says why.

    """
    raw = path.with_suffix(".raw.wav")
    with wave.open(str(raw), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(_pcm(play(piece)))
    tags = {"title": piece.title, "artist": piece.artist, "genre": piece.genres[0], "comment": piece.description}
    command = [
        *(str(imageio_ffmpeg.get_ffmpeg_exe()), "-hide_banner", "-nostdin", "-v", "error", "-i", str(raw)),
        *(
            "-af",
            "aresample=44100,aecho=0.85:0.55:37|61:0.2|0.14,pan=stereo|c0=c0|c1=c0,extrastereo=1.2,volume=6dB,alimiter=limit=0.9",
        ),
        *(each for name, text in tags.items() for each in ("-metadata", f"{name}={text}")),
        *(("-b:a", "192k") if path.suffix == ".mp3" else ()),
        *("-y", str(path)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    raw.unlink()
    if done.returncode:
        raise RuntimeError(f"ffmpeg could not write {path.name}: {done.stderr.strip()}")


def play(piece: Piece) -> Samples:
    """Return a piece as samples between -1 and 1, at `RATE`."""
    chance = random.Random(piece.title)  # noqa: S311 - a melody, no secret
    beat = 60 / piece.bpm
    bar = piece.beats * beat
    bars = max(4, 2 * math.ceil(LEAST_SECONDS / bar / 2))
    sound = [0.0] * int((bars * bar + 2.0) * RATE)
    scale, tonic = MODES[piece.mode], 60 + KEYS[piece.key]
    chords = chance.choice(PROGRESSIONS)
    verse = [chance.choice(RHYTHMS[piece.beats]) for _ in range(2)]
    step = chance.randrange(len(scale))
    for number in range(bars):
        start = number * bar
        root = chords[number % 4] % len(scale)
        _accompany(sound, piece, start, bar, [_pitch(scale, tonic - 12, root + third) for third in (0, 2, 4)])
        _mix(sound, note("bass", _pitch(scale, tonic - 24, root), beat * 1.5), start, 0.5)
        for kind, beats, strength in PATTERNS[piece.drums]:
            for at in beats:
                if at < piece.beats:
                    _mix(sound, drum(kind), start + at * beat, strength)
        at = 0.0
        for length in verse[number // 2 % 2] if number < bars - 1 else (piece.beats,):
            step = max(-2, min(len(scale) + 4, step + chance.choice((-2, -1, -1, 1, 1, 2))))
            if at == 0:  # the first note of a bar belongs to its chord
                step = root + 2 * round((step - root) / 2)
            last = number == bars - 1
            _mix(
                sound,
                note(piece.lead, _pitch(scale, tonic, 0 if last else step), length * beat),
                start + at * beat,
                0.6,
            )
            at += length
    return sound


def _accompany(sound: Samples, piece: Piece, start: float, bar: float, chord: list[int]) -> None:
    beat = bar / piece.beats
    style = piece.accompaniment
    if style == "arpeggio":
        voice = piece.lead if piece.lead in {"guzheng", "guitar", "piano", "bells"} else "guzheng"
        for index in range(piece.beats * 2):
            _mix(sound, note(voice, chord[index % 3], beat / 2), start + index * beat / 2, 0.28)
    elif style == "synth":
        for index in range(piece.beats * 4):
            _mix(
                sound, note("synth", chord[index % 3] + 12 * (index // 3 % 2), beat / 4), start + index * beat / 4, 0.16
            )
    elif style == "pulse":
        voice = piece.lead if piece.lead in {"marimba", "strings", "synth", "pipa"} else "strings"
        for index in range(piece.beats * 2):
            _mix(sound, note(voice, chord[0], beat / 2.5), start + index * beat / 2, 0.2)
    elif style == "chords":
        for index in range(piece.beats):
            for pitch in chord if index else chord[:1]:
                _mix(sound, note("guitar", pitch, beat * 0.8), start + index * beat, 0.22)
    elif style == "drone":
        _mix(sound, note("cello", chord[0] - 12, bar), start, 0.25)
    else:
        voice = style if style in {"pad", "strings", "piano", "guitar"} else "pad"
        for pitch in chord:
            _mix(sound, note(voice, pitch, bar), start, 0.18)


def _pitch(scale: tuple[int, ...], tonic: int, step: int) -> int:
    octave, place = divmod(step, len(scale))
    return tonic + 12 * octave + scale[place]


def _mix(sound: Samples, added: Samples, at: float, gain: float) -> None:
    start = int(at * RATE)
    end = min(len(sound), start + len(added))
    if start < end:
        sound[start:end] = [a + gain * b for a, b in zip(sound[start:end], added, strict=False)]


def _pcm(sound: Samples) -> bytes:
    loudest = max(map(abs, sound)) or 1.0
    gain = 0.8 * 32767 / loudest
    samples = array.array("h", [int(value * gain) for value in sound])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
