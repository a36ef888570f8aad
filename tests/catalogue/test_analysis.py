"""Tempo and key of synthesised pieces. What is made here shares no code with what measures it."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from openstage.catalogue.analysis.key import estimate_key
from openstage.catalogue.analysis.tempo import SAMPLE_RATE, estimate_tempo

Sound = NDArray[np.float64]
SECONDS = 12
_noise = np.random.default_rng(1)


def _decaying(seconds: float, fall: float, wave: Callable[[Sound], Sound]) -> Sound:
    moments = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(wave(moments) * np.exp(-moments / fall))


KICK = _decaying(0.2, 0.07, lambda t: np.sin(2 * np.pi * (55 * t + 2 * (1 - np.exp(-t / 0.04)))))
SNARE = _decaying(0.15, 0.05, lambda t: 0.5 * _noise.standard_normal(len(t)) + 0.3 * np.sin(2 * np.pi * 200 * t))
HAT = _decaying(0.05, 0.015, lambda t: 0.15 * np.diff(_noise.standard_normal(len(t) + 1)))
CLICK = _decaying(0.02, 0.005, lambda t: np.sin(2 * np.pi * 1500 * t))

# Sounds of each of four beats, and where in the beat (0 to 1) each stands.
PATTERNS: dict[str, list[list[tuple[float, Sound]]]] = {
    "clicks": [[(0, CLICK)]] * 4,
    "accents": [[(0, CLICK)], [(0, 0.5 * CLICK)], [(0, 0.5 * CLICK)], [(0, 0.5 * CLICK)]],
    "four on the floor": [[(0, KICK), (0.5, HAT)], [(0, KICK), (0, SNARE), (0.5, HAT)]] * 2,
    "rock": [[(0, KICK), (0, HAT), (0.5, HAT)], [(0, SNARE), (0, HAT), (0.5, HAT)]] * 2,
    "sixteenths": [[(0, drum), *((step / 4, HAT) for step in range(4))] for drum in (KICK, SNARE, KICK, SNARE)],
    "shuffle": [[(0, drum), (0, HAT), (2 / 3, HAT)] for drum in (KICK, SNARE, KICK, SNARE)],
}


def play(pattern: list[list[tuple[float, Sound]]], tempo: float) -> NDArray[np.float32]:
    sound = 0.001 * _noise.standard_normal((SECONDS + 1) * SAMPLE_RATE)
    for beat in range(int(SECONDS * tempo / 60)):
        for place, drum in pattern[beat % len(pattern)]:
            start = round((0.1 + (beat + place) * 60 / tempo) * SAMPLE_RATE)
            part = sound[start : start + len(drum)]
            part += drum[: len(part)]
    return np.asarray(0.5 * sound[: SECONDS * SAMPLE_RATE] / np.abs(sound).max(), dtype=np.float32)


@pytest.mark.parametrize("count", [6, pytest.param(61, marks=pytest.mark.slow)])
def test_tempo_is_told_within_two_percent_and_seldom_by_an_octave_off(count: int) -> None:
    exact, octaves, others = 0, [], []
    tempi = np.linspace(50, 200, count)
    for name, pattern in PATTERNS.items():
        for tempo in tempi:
            told = estimate_tempo(play(pattern, tempo)) or 0.0
            if abs(told / tempo - 1) <= 0.02:
                exact += 1
            elif any(abs(told / tempo - ratio) <= 0.02 * ratio for ratio in (1 / 4, 1 / 3, 1 / 2, 2, 3, 4)):
                octaves.append((name, tempo, told))
            else:
                others.append((name, tempo, told))
    played = len(PATTERNS) * len(tempi)
    assert exact >= 0.95 * played, (octaves, others)
    assert len(octaves) <= 0.05 * played, octaves


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(SECONDS * SAMPLE_RATE),
        0.3 * np.sin(2 * np.pi * 440 * np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE),
        0.1 * _noise.standard_normal(SECONDS * SAMPLE_RATE),
        play(PATTERNS["rock"], 120)[: 3 * SAMPLE_RATE],
    ],
    ids=["silence", "a tone", "noise", "too short"],
)
def test_what_has_no_pulse_has_no_tempo(sound: Sound) -> None:
    assert estimate_tempo(sound.astype(np.float32)) is None


@pytest.mark.parametrize("tonic", range(0, 12, 3))
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_keys_of_cadences(tonic: int, mode: str) -> None:
    degrees = {
        "major": [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)],
        "minor": [(0, 3, 7), (5, 8, 12), (7, 11, 14), (0, 3, 7)],
    }
    moments = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    chords = [
        sum(
            np.sin(2 * np.pi * harmonic * 220 * 2 ** ((tonic + 3 + note) / 12) * moments) / harmonic
            for note in chord
            for harmonic in (1, 2, 3)
        )
        for chord in degrees[mode]
    ]
    names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    sound = np.asarray(np.tile(np.concatenate(chords), 2) / 10, dtype=np.float32)
    assert estimate_key(sound) == f"{names[tonic]} {mode}"


def test_noise_has_no_key() -> None:
    assert estimate_key((0.1 * _noise.standard_normal(SECONDS * SAMPLE_RATE)).astype(np.float32)) == ""
