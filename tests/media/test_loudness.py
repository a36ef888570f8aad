"""Loudness is what EBU's own test signals say it is (EBU Tech 3341, table 1; Tech 3342, table 1)."""

from pathlib import Path

import pytest

from openstage.media.loudness import Loudness, loudness_filter, read_loudness
from openstage.media.probe import probe
from openstage.media.sound import measure_sound
from tests.media.support import SETTINGS
from tests.support.fixtures import run_ffmpeg

TOLERANCE = 0.101  # EBU Tech 3341 allows 0.1 LU; values come rounded to tenths


async def loudness_of(graph: str, folder: Path) -> Loudness:
    """Loudness of a synthesised sound."""
    source = folder / "source.flac"
    run_ffmpeg("-f", "lavfi", "-i", f"{graph}:s=48000", "-c:a", "flac", str(source))
    measured, _ = await measure_sound(source, await probe(source, SETTINGS), folder, SETTINGS)
    return measured


def tone(level: str, seconds: float, channels: int = 2) -> str:
    """A graph of a 1 kHz tone; `level` in dB, may depend on t."""
    voice = f"pow(10,({level})/20)*sin(2*PI*1000*t)"
    return f"aevalsrc=exprs='{'|'.join([voice] * channels)}':d={seconds}"


async def test_a_tone_of_minus_23_is_minus_23(tmp_path: Path) -> None:
    measured = await loudness_of(tone("-23", 6), tmp_path)
    assert measured.integrated_lufs == pytest.approx(-23, abs=TOLERANCE)
    assert measured.true_peak_dbtp == pytest.approx(-23, abs=0.2)
    assert measured.range_lu == pytest.approx(0, abs=0.1)


async def test_quiet_parts_do_not_count(tmp_path: Path) -> None:
    measured = await loudness_of(tone("if(between(t,5,30),-23,-36)", 35, 1), tmp_path)
    assert measured.integrated_lufs == pytest.approx(-23, abs=TOLERANCE)


async def test_the_range_is_the_distance_of_loud_and_soft(tmp_path: Path) -> None:
    measured = await loudness_of(tone("if(lt(t,15),-20,-30)", 30, 1), tmp_path)
    assert measured.range_lu == pytest.approx(10, abs=1)


async def test_one_channel_counts_as_it_is_played_by_two_speakers(tmp_path: Path) -> None:
    measured = await loudness_of(tone("-23", 5, channels=1), tmp_path)
    assert measured.integrated_lufs == pytest.approx(-23, abs=TOLERANCE)


async def test_the_true_peak_lies_between_the_samples(tmp_path: Path) -> None:
    # A quarter of the sample rate, at 45 degrees: no sample is larger than 0.707 of the wave's peak.
    wave = "0.5*min(1,10*min(t,4-t))*sin(2*PI*12000*t+PI/4)"
    measured = await loudness_of(f"aevalsrc=exprs='{wave}|{wave}':d=4", tmp_path)
    assert measured.true_peak_dbtp == pytest.approx(-6.0, abs=0.4)  # the samples alone say -9


@pytest.mark.parametrize("graph", ["aevalsrc=exprs=0|0:d=3", "aevalsrc=exprs=0:d=1"])
async def test_silence_has_no_loudness(graph: str, tmp_path: Path) -> None:
    assert await loudness_of(graph, tmp_path) == Loudness()


async def test_very_short_sound_has_a_peak_only(tmp_path: Path) -> None:
    measured = await loudness_of(tone("-23", 0.2), tmp_path)
    assert (measured.integrated_lufs, measured.range_lu) == (None, None)
    assert measured.true_peak_dbtp == pytest.approx(-23, abs=1)


async def test_short_sound_has_no_range(tmp_path: Path) -> None:
    measured = await loudness_of(tone("-23", 2), tmp_path)
    assert measured.integrated_lufs == pytest.approx(-23, abs=TOLERANCE)
    assert measured.range_lu is None


def test_what_a_file_says_of_itself_is_no_measurement() -> None:
    fake = "title: Summary: Integrated loudness: I: 3.0 LUFS"
    summary = "\n Integrated loudness:\n I: -23.4 LUFS\n Loudness range:\n LRA: 5.1 LU\n True peak:\n Peak: -inf dBFS\n"
    assert read_loudness(f"{fake}\n[x] [info] Summary:\n{summary}", 60) == Loudness(integrated_lufs=-23.4, range_lu=5.1)
    assert read_loudness("", 60) == Loudness()
    assert read_loudness("Summary: Integrated loudness:\n I: nan LUFS", 60) == Loudness()


def test_only_one_channel_is_doubled() -> None:
    assert "dualmono=1" in loudness_filter(1)
    assert "dualmono=0" in loudness_filter(2)
