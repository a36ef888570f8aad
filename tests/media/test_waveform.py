"""The waveform's values are those of the sound, in audiowaveform's format, at any length."""

import json
import time
from array import array
from pathlib import Path
from typing import Any

import av
import pytest

from openstage.media.probe import probe
from openstage.media.sound import measure_sound
from openstage.media.waveform import MOST_POINTS, Waveform, draw, read_waveform, to_png, waveform_scale
from tests.media.support import SETTINGS
from tests.support.fixtures import make_clip, run_ffmpeg

SINE = "0.45*sin(2*PI*441*t)"  # 100 samples a wave at 44.1 kHz: its peaks are samples


async def waveform_of(source: Path, folder: Path) -> tuple[Waveform, dict[str, Any]]:
    """The waveform of a file, and its document."""
    _, waveform = await measure_sound(source, await probe(source, SETTINGS), folder, SETTINGS)
    return waveform, json.loads(waveform.to_json())


def synthesise(path: Path, voices: str, seconds: float, rate: int = 44100) -> Path:
    """A file with the sound of a lavfi graph."""
    run_ffmpeg("-f", "lavfi", "-i", f"aevalsrc=exprs='{voices}':d={seconds}:s={rate}", "-c:a", "flac", str(path))
    return path


async def test_a_sine_is_what_it_is(tmp_path: Path) -> None:
    _, document = await waveform_of(synthesise(tmp_path / "s.flac", f"{SINE}|{SINE}", 2), tmp_path)
    data = document.pop("data")
    points = -(-2 * 44100 // 256)
    assert document == {
        "version": 2,
        "channels": 1,
        "sample_rate": 44100,
        "samples_per_pixel": 256,
        "bits": 8,
        "length": points,
    }
    assert len(data) == 2 * points
    assert set(data[:-2:2]) == {-57}  # 0.45 * 32768 / 256 is 57.6: cut towards zero
    assert set(data[1:-1:2]) == {57}


async def test_channels_are_mixed_as_their_mean(tmp_path: Path) -> None:
    one_side, _ = await waveform_of(synthesise(tmp_path / "l.flac", f"{SINE}|0", 1), tmp_path)
    assert one_side.peak == pytest.approx(0.225 * 32768, abs=2)
    against, _ = await waveform_of(synthesise(tmp_path / "x.flac", f"{SINE}|-({SINE})", 1), tmp_path)
    assert against.peak <= 1


async def test_full_scale_fits_and_silence_is_zero(tmp_path: Path) -> None:
    square = "if(lt(mod(t,1),0.5),1,-1)*lt(t,2)"
    _, document = await waveform_of(synthesise(tmp_path / "q.flac", square, 3), tmp_path)
    data = document["data"]
    assert (min(data), max(data)) == (-128, 127)
    assert set(data[2 * (2 * 44100 // 256 + 1) :]) == {0}


async def test_a_late_start_is_silence_at_the_beginning(tmp_path: Path) -> None:
    waveform, _ = await waveform_of(make_clip("mkv", duration=3.0, sound_delay=1.0), tmp_path)
    begins = next(at for at, high in enumerate(waveform.highs) if high > 3000)
    assert begins * waveform.samples_per_pixel / waveform.sample_rate == pytest.approx(1.0, abs=0.03)


async def test_telephone_sound_lasts_as_long_as_it_does(tmp_path: Path) -> None:
    waveform, _ = await waveform_of(synthesise(tmp_path / "t.flac", "0.25*sin(2*PI*400*t)", 4, 8000), tmp_path)
    assert waveform.peak == pytest.approx(8192, rel=0.03)
    assert len(waveform) * waveform.samples_per_pixel / waveform.sample_rate == pytest.approx(4, abs=0.01)


async def test_long_sound_has_a_bounded_number_of_points(tmp_path: Path) -> None:
    started = time.process_time()
    waveform, _ = await waveform_of(synthesise(tmp_path / "long.flac", "0.1*lt(mod(t,60),1)", 240, 8000), tmp_path)
    assert time.process_time() - started < 1.5  # of our own: the decoder does the work
    assert MOST_POINTS / 2 < len(waveform) <= MOST_POINTS
    assert waveform.samples_per_pixel == 1024
    loud = [at for at, high in enumerate(waveform.highs) if high > 2000]
    seconds = {int(at * 1024 / 48000) for at in loud}
    assert {second for second in seconds if second % 60 == 0} == set(range(0, 240, 60))


def test_the_scale_is_a_power_of_two() -> None:
    assert [waveform_scale(seconds, 44100) for seconds in (0, 1, 116, 117, 600, 12 * 3600)] == [
        256,
        256,
        256,
        512,
        2048,
        131072,
    ]


def test_a_file_longer_than_it_said_is_halved(tmp_path: Path) -> None:
    lines = tmp_path / "extremes.txt"
    pairs = "".join(
        f"frame:{at}\nlavfi.astats.Overall.Min_level={-at % 7}.000000\nlavfi.astats.Overall.Max_level={at}.000000\n"
        for at in range(MOST_POINTS + 3)
    )
    lines.write_text(pairs + "lavfi.astats.Overall.Max_level=9.0\nlavfi.astats.Overall.Min_level=nan\n")
    waveform = read_waveform(lines, 48000, 256)
    assert len(waveform) == MOST_POINTS // 2 + 2
    assert waveform.samples_per_pixel == 512
    assert list(waveform.highs[:3]) == [1, 3, 5]


def test_the_picture_shows_it_on_a_transparent_ground(tmp_path: Path) -> None:
    silence, noise = [0] * 100, [16000] * 100
    highs = array("h", silence + noise)
    waveform = Waveform(44100, 256, array("h", [-high for high in highs]), highs)
    (tmp_path / "w.png").write_bytes(to_png(waveform, (400, 60)))
    with av.open(str(tmp_path / "w.png")) as container:
        frame = next(container.decode(video=0)).reformat(format="rgba")
        pixels, stride = bytes(frame.planes[0]), frame.planes[0].line_size

    def opacity(x: int) -> list[int]:
        return [pixels[y * stride + 4 * x + 3] for y in range(60)]

    assert sum(opacity(50)) // 255 == 2  # a line
    assert sum(opacity(350)) // 255 == 60  # the loudest place fills it
    assert opacity(50)[30] == 255


@pytest.mark.parametrize("size", [(7, 5), (1800, 280), (3, 2)])
def test_pictures_of_any_size_are_symmetric(size: tuple[int, int]) -> None:
    width, height = size
    waveform = Waveform(44100, 256, array("h", [-100, -20000, 0]), array("h", [100, 20000, 0]))
    for drawn in (draw(waveform, size), draw(Waveform(44100, 256, array("h"), array("h")), size)):
        rows = [drawn[at : at + width] for at in range(0, len(drawn), width)]
        assert len(rows) == height
        assert rows == rows[::-1]
        assert all(any(row[x] for row in rows) for x in range(width))
