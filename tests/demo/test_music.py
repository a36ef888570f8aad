"""The music that is synthesised for demonstrations: in tune, in time, and each piece another one."""

import itertools
import json
import math
import wave
from pathlib import Path

import mutagen
import pytest

from openstage.demo.instruments import INSTRUMENTS, RATE, Samples, note
from openstage.demo.music import aliased, pieces
from openstage.demo.music_folder import write_catalogue
from openstage.demo.music_sound import KEYS, MODES, PATTERNS, play


def loudest_lag(samples: Samples, around: float) -> float:
    """The lag near `around` by which a sound must be moved to be most like itself, in samples."""
    window = samples[RATE // 20 : RATE // 20 + 4000]

    def likeness(lag: float) -> float:
        whole, part = int(lag), lag - int(lag)
        pairs = zip(window, window[whole:], window[whole + 1 :], strict=False)
        return sum(a * (b * (1 - part) + c * part) for a, b, c in pairs)

    return max((around * (1 + step / 800) for step in range(-24, 25)), key=likeness)


@pytest.mark.parametrize("instrument", ["guzheng", "guitar", "erhu", "strings", "piano", "synth"])
@pytest.mark.parametrize("pitch", [50, 62, 71])
def test_an_instrument_is_in_tune(instrument: str, pitch: int) -> None:
    period = RATE / (440 * 2 ** ((pitch - 69) / 12))
    several = 8 * period  # of which a small error is a larger part of a sample
    found = loudest_lag(note(instrument, pitch, 0.5), several)
    assert abs(1200 * math.log2(found / several)) < 6  # cents


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_note_neither_clips_nor_clicks(instrument: str) -> None:
    samples = note(instrument, 60, 0.3)
    assert 0.1 < max(map(abs, samples)) <= 1.05
    assert abs(samples[-1]) < 0.02


def test_each_piece_is_another_one_that_can_be_played() -> None:
    found = pieces()
    assert len(found) >= 36
    assert len({piece.title for piece in found}) == len(found)
    assert len({(piece.bpm, piece.key, piece.mode, piece.lead) for piece in found}) == len(found)
    for piece in found:
        assert piece.key in KEYS, piece
        assert piece.mode in MODES, piece
        assert piece.lead in INSTRUMENTS, piece
        assert piece.drums in PATTERNS, piece
        assert all("|" in name for name in aliased(piece.genres + piece.moods + piece.instruments))
    assert {char for piece in found for char in piece.title} & set("云雨月")
    assert any("Rain" in piece.title for piece in found)


def test_a_piece_has_its_tempo() -> None:
    """Its drums are loudest on the beat: strokes are as far from each other as the tempo says."""
    piece = next(each for each in pieces() if each.title.startswith("Midnight Express"))
    sound = play(piece)
    beat = 60 / piece.bpm * RATE
    hop = 240
    energy = [sum(value * value for value in sound[at : at + hop]) for at in range(0, int(10 * RATE), hop)]
    rise = [max(0.0, after - before) for before, after in itertools.pairwise(energy)]
    lags = range(int(beat / hop * 0.8), int(beat / hop * 1.25))
    best = max(lags, key=lambda lag: sum(a * b for a, b in zip(rise, rise[lag:], strict=False)))
    assert abs(best * hop / beat - 1) < 0.03


def test_the_folder_is_one_that_is_imported(tmp_path: Path) -> None:
    wanted = pieces()[12:15]
    heard: list[float] = []
    metadata = write_catalogue(tmp_path, heard.append, wanted)
    rows = [json.loads(line) for line in metadata.read_text("utf-8").splitlines()]
    assert [row["title"] for row in rows] == [piece.title for piece in wanted]
    assert heard[-1] == 1.0
    endings = set()
    for piece, row in zip(wanted, rows, strict=True):
        path = tmp_path / row["file"]
        endings.add(path.suffix)
        opened = mutagen.File(path, easy=True)
        assert opened is not None
        assert 12 < opened.info.length < 30
        if path.suffix == ".wav":
            with wave.open(str(path)) as sound:
                assert (sound.getframerate(), sound.getnchannels()) == (44100, 2)
        else:
            assert opened["title"] == [piece.title]
            assert opened["artist"] == [piece.artist]
    assert endings == {".mp3", ".flac", ".wav"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([metadata.name, *(row["file"] for row in rows)])
