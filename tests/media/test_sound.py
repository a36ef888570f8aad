"""Everything made of a work's sound begins with it, lasts as long to the sample, and sounds alike."""

import subprocess
from pathlib import Path

import av
import pytest

from openstage.media.errors import ScratchFull, Unplayable
from openstage.media.mp3 import read_mp3
from openstage.media.probe import probe
from openstage.media.sound import Sound, make_sound
from openstage.settings import Settings
from tests.media.support import SETTINGS, assert_decodes, beeps, sound_levels
from tests.support.fixtures import ffmpeg, make_clip, run_ffmpeg


async def sound_of(source: Path, folder: Path, percents: list[float] | None = None) -> Sound:
    """Everything that is made of a file's sound."""
    told = [] if percents is None else percents
    return await make_sound(source, await probe(source, SETTINGS), folder, SETTINGS, on_progress=told.append)


def files_of(made: Sound) -> list[Path]:
    """All files with sound."""
    return [Path(path) for path in (*made.tracks.values(), *(it.path for it in made.renditions))]


def run_in(path: Path) -> float:
    """Seconds by which ffmpeg tells a file's sound too late: it counts an MP3's run-in, which isn't played."""
    with av.open(str(path)) as container:
        return (container.start_time or 0) / 1e6 if path.suffix == ".mp3" else 0.0


def heard(path: Path) -> list[float]:
    """Times at which silence turns into sound."""
    return [time - run_in(path) for time in beeps(path, 0.001)]


def decoded(path: Path) -> tuple[int, int, int]:
    """Samples that a gapless player plays of a file, its sample rate and channels."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.rate, stream.channels
    command = [ffmpeg(), "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    return len(subprocess.run(command, capture_output=True, check=True).stdout) // (2 * channels), rate, channels


async def test_sound_alone_gives_mp4_and_mp3_files(tmp_path: Path) -> None:
    percents: list[float] = []
    made = await sound_of(make_clip("flac", None, "flac", duration=3.0, pattern="sync"), tmp_path, percents)
    assert made.tracks == {}
    assert [(it.kind, it.quality, it.codecs) for it in made.renditions] == [
        ("mp4", "1", "mp4a.40.2"),
        ("mp4", "2", "mp4a.40.2"),
        ("mp3", "1", "mp4a.40.34"),
        ("mp3", "2", "mp4a.40.34"),
    ]
    for rendition in made.renditions:
        path = Path(rendition.path)
        assert_decodes(path)
        assert decoded(path) == (3 * 44100, 44100, 2)
        assert (rendition.duration_ms, rendition.byte_size) == (3000, path.stat().st_size)
        assert rendition.average_bandwidth == pytest.approx(path.stat().st_size * 8 / 3, abs=1)
        assert rendition.bandwidth >= rendition.average_bandwidth
        assert heard(path) == pytest.approx([0, 1, 2], abs=0.006)
    assert percents == sorted(percents)
    assert percents[-1] == 100


async def test_an_mp3_tells_its_length_and_its_run_in(tmp_path: Path) -> None:
    made = await sound_of(make_clip("flac", None, "flac", duration=3.0, pattern="sync", channels=1), tmp_path)
    path = next(Path(it.path) for it in made.renditions if it.kind == "mp3")
    assert path.read_bytes()[:3] == b"ID3"
    facts = read_mp3(path)
    assert (facts.sample_rate, facts.channels, facts.samples) == (44100, 1, 3 * 44100)


@pytest.mark.parametrize(
    "content", [b"", b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb\x90\x64" + bytes(400), bytes(5000)]
)
def test_what_is_no_mp3_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(content)
    with pytest.raises(Unplayable):
        read_mp3(path)


async def test_a_film_gets_tracks_that_last_as_long_as_it(tmp_path: Path) -> None:
    source = make_clip("mkv", duration=4.0, sound_duration=2.0, pattern="sync", sound_delay=0.5, sample_rate=48000)
    made = await sound_of(source, tmp_path)
    assert made.renditions == ()
    assert set(made.tracks) == {"1", "2"}
    for quality, path in made.tracks.items():
        samples, rate, channels = decoded(Path(path))
        assert channels == int(quality)
        assert samples / rate == pytest.approx(4.0, abs=0.03)
        assert heard(Path(path)) == pytest.approx([0.5, 1.5], abs=0.015)


async def test_channels_are_mixed_so_that_all_are_heard_and_none_is_distorted(tmp_path: Path) -> None:
    # One channel after the other speaks for half a second; then all of them shout together.
    turns = [f"if(lt(t,3),0.3*between(t,{n / 2},{n / 2 + 0.4}),0.9)*sin(2*PI*500*t)" for n in range(6)]
    source = tmp_path / "surround.flac"
    graph = f"aevalsrc=exprs='{'|'.join(turns)}':d=4:s=48000:c=5.1"
    run_ffmpeg("-f", "lavfi", "-i", graph, "-c:a", "flac", str(source))
    made = await sound_of(source, tmp_path)
    levels = sound_levels(Path(made.renditions[1].path), 0.1)
    front_left, front_right, centre, _bass, back_left, back_right = levels[2:30:5]
    assert front_left == pytest.approx(front_right, rel=0.05)
    assert back_left == pytest.approx(back_right, rel=0.05)
    assert centre > front_left > back_left > 0.02  # the mean of left and right: the centre is in both
    assert made.loudness.true_peak_dbtp is not None
    assert made.loudness.true_peak_dbtp <= 0.0


@pytest.mark.parametrize(
    "recipe",
    [
        {"container": "3gp", "acodec": "amr", "channels": 1, "sample_rate": 8000},
        {"container": "ogg", "acodec": "opus", "sample_rate": 48000},
        {"container": "mp3", "acodec": "mp3", "cover": True},
        {"container": "m4a", "acodec": "alac", "sample_rate": 96000},
        {"container": "aac", "acodec": "aac"},
    ],
)
async def test_any_kind_of_sound(recipe: dict[str, object], tmp_path: Path) -> None:
    made = await sound_of(make_clip(vcodec=None, duration=1.5, pattern="sync", **recipe), tmp_path)  # type: ignore[arg-type]
    for path in files_of(made):
        assert_decodes(path)
        assert heard(path) == pytest.approx([0, 1], abs=0.06)
        samples, rate, _ = decoded(path)
        assert samples / rate == pytest.approx(1.5, abs=0.08)  # what the source's own coder added is kept
    assert made.loudness.integrated_lufs is not None


async def test_nothing_is_left_but_what_is_told(tmp_path: Path) -> None:
    made = await sound_of(make_clip(duration=1.0, metadata=["title=Secret"]), tmp_path)
    told = {*files_of(made), Path(made.waveform_json), Path(made.waveform_png)}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == told
    assert all(b"Secret" not in path.read_bytes() for path in told)


async def test_a_silent_film_has_no_sound(tmp_path: Path) -> None:
    with pytest.raises(Unplayable, match="no sound"):
        await sound_of(make_clip(acodec=None), tmp_path)


async def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    source = make_clip("flac", None, "flac")
    with pytest.raises(ScratchFull):
        await make_sound(source, await probe(source, SETTINGS), tmp_path, Settings(min_free=1 << 60))
    assert list(tmp_path.iterdir()) == []
