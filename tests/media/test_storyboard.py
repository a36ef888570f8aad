"""Each tile of a storyboard shows its own time, upright and in the film's shape, at little cost."""

from pathlib import Path

import av
import pytest

from openstage.media import storyboard
from openstage.media.probe import probe
from openstage.media.storyboard import Storyboard, frame_for, intervals_for, make_storyboard, tile_count, tile_size
from tests.media.support import SETTINGS
from tests.support.fixtures import make_clip, run_ffmpeg

DARK, BRIGHT = 30, 210  # luma at the beginning and at the end of the clips
ROUNDING = 1.5  # levels that are lost on the way: conversions round down


def brightening(path: Path, seconds: float, *encoder: str, size: str = "160x90", fps: int = 10) -> Path:
    """A clip that becomes brighter from moment to moment; `encoder`: output options."""
    light = f"geq=lum='{DARK}+{BRIGHT - DARK}*T/{seconds}':cb=128:cr=128"
    graph = f"color=black:size={size}:rate={fps}:duration={seconds},format=yuv420p,{light}"
    run_ffmpeg("-f", "lavfi", "-i", graph, *encoder, str(path))
    return path


async def storyboard_of(source: Path, folder: Path) -> Storyboard:
    """The storyboard of a file; nothing else is left in its folder."""
    made = await make_storyboard(source, await probe(source, SETTINGS), folder, SETTINGS)
    assert made is not None
    assert {path.name for path in (folder / "storyboard").iterdir()} == {Path(sheet.path).name for sheet in made.sheets}
    return made


def lights(made: Storyboard) -> list[float]:
    """Luma of the middle of each tile, 16 to 235."""
    found: list[float] = []
    for sheet in made.sheets:
        assert sheet.byte_size == Path(sheet.path).stat().st_size
        with av.open(sheet.path) as container:
            frame = next(container.decode(video=0)).reformat(format="gray")
            assert (frame.width, frame.height) == (sheet.width, sheet.height)
            data, stride = bytes(frame.planes[0]), frame.planes[0].line_size
        for row in range(made.rows):
            y = int((row + 0.5) * made.tile_height)
            for column in range(made.columns):
                x = int((column + 0.5) * made.tile_width)
                found.append(16 + data[y * stride + x] * 219 / 255)
    return found


def times(made: Storyboard, seconds: float) -> list[float]:
    """The moment of a brightening clip that each tile shows."""
    return [(light + ROUNDING - DARK) / (BRIGHT - DARK) * seconds for light in lights(made)][: made.tiles]


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
# Endings of files and their encoders, with a keyframe each second.
FILMS = {
    "h264.mp4": (*H264, "-g", "10"),
    "open-gop.mkv": ("-c:v", "libx264", "-preset", "fast", "-x264-params", "open-gop=1:keyint=10:scenecut=0:bframes=3"),
    "hevc.mkv": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=10"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "10"),
    "mpeg2.ts": ("-c:v", "mpeg2video", "-q:v", "3", "-g", "10", "-r", "25"),
    "asp.avi": ("-c:v", "mpeg4", "-q:v", "3", "-g", "10", "-bf", "2"),
    "intra.mov": ("-c:v", "mjpeg", "-q:v", "3"),
}


@pytest.mark.parametrize("name", FILMS)
async def test_each_tile_shows_its_own_time(name: str, tmp_path: Path) -> None:
    made = await storyboard_of(brightening(tmp_path / name, 12, *FILMS[name]), tmp_path)
    assert (made.interval_ms, made.tiles) == (1000, 12)
    assert (made.columns, made.rows, len(made.sheets)) == (5, 3, 1)
    for number, time in enumerate(times(made, 12)):
        assert number - 0.2 <= time < number + 1, f"tile {number} shows {time:.2f}"


async def test_where_keyframes_are_rare_the_tiles_are_further_apart(tmp_path: Path) -> None:
    source = brightening(tmp_path / "rare.mp4", 90, *H264, "-g", "20", "-sc_threshold", "0")
    made = await storyboard_of(source, tmp_path)
    assert (made.interval_ms, made.tiles, len(made.sheets)) == (2000, 45, 2)
    assert times(made, 90) == pytest.approx(range(0, 90, 2), abs=0.7)


async def test_where_there_is_one_keyframe_other_frames_are_shown(tmp_path: Path) -> None:
    source = brightening(tmp_path / "one.mp4", 12, *H264, "-g", "1000", "-sc_threshold", "0")
    made = await storyboard_of(source, tmp_path)
    assert times(made, 12) == pytest.approx(range(12), abs=0.5)


async def test_a_frame_that_stands_long_is_shown_as_long(tmp_path: Path) -> None:
    source = brightening(tmp_path / "slides.mkv", 12, "-vf", "select='not(mod(n,40))'", "-fps_mode", "vfr", *H264)
    made = await storyboard_of(source, tmp_path)
    assert times(made, 12) == pytest.approx([0] * 4 + [4] * 4 + [8] * (made.tiles - 8), abs=0.3)


async def test_with_an_older_ffmpeg_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = brightening(tmp_path / "h264.mp4", 6, *FILMS["h264.mp4"])
    ours = await storyboard_of(source, tmp_path)
    shown = lights(ours)
    monkeypatch.setattr(storyboard, "FILTER_PACKETS", "-no_such_option")
    theirs = await storyboard_of(source, tmp_path)
    assert (lights(theirs), theirs) == (shown, ours)


async def test_tiles_are_upright_and_of_the_films_shape(tmp_path: Path) -> None:
    turned = await storyboard_of(make_clip("mov", rotation=90), tmp_path)
    assert (turned.tile_width, turned.tile_height) == (90, 160)
    # Pixels that are half as wide again as they are high: 4:3 in storage, 16:9 on the screen.
    source = brightening(tmp_path / "wide.mp4", 2, "-vf", "setsar=4/3", *H264, size="240x180")
    assert (await storyboard_of(source, tmp_path)).tile_width == 160


async def test_sound_that_goes_on_shows_the_last_picture(tmp_path: Path) -> None:
    made = await storyboard_of(make_clip(duration=1.0, sound_duration=4.0), tmp_path)
    shown = lights(made)
    assert made.tiles == 4
    assert shown[1:4] == pytest.approx([shown[1]] * 3, abs=3)


async def test_sound_alone_has_none(tmp_path: Path) -> None:
    source = make_clip("mp3", None, "mp3", cover=True)
    assert await make_storyboard(source, await probe(source, SETTINGS), tmp_path, SETTINGS) is None


async def test_sheets_of_noise_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storyboard, "SHEET_BYTES", 20_000)
    made = await storyboard_of(make_clip(pattern="noise", duration=6.0), tmp_path)
    assert all(sheet.byte_size <= 20_000 for sheet in made.sheets)


def test_the_number_of_tiles_is_bounded_at_any_length() -> None:
    for seconds in (0.04, 1, 59, 61, 600, 600.2, 3599, 7200, 12 * 3600, 100 * 3600):
        best, *coarser = intervals_for(seconds)
        assert 1 <= tile_count(seconds, best) <= 120
        assert tile_count(seconds, best) >= min(int(seconds), 80)
        assert all(tile_count(seconds, interval) >= 30 for interval in coarser)
    assert intervals_for(600)[0] == 5


def test_the_end_is_covered() -> None:
    assert [tile_count(seconds, 5) for seconds in (0.1, 5, 6.6, 6.7, 10, 11.7)] == [1, 1, 1, 2, 2, 3]


def test_frames_for_tiles() -> None:
    found = [0.0, 4.2, 5.1, 12.0]
    assert [frame_for(found, number, 2) for number in range(8)] == [0, 0, 1, 2, 2, 2, 3, 3]


def test_tiles_of_any_shape_have_about_as_many_pixels() -> None:
    assert tile_size((1920, 1080)) == (160, 90)
    assert tile_size((640, 480)) == (138, 104)
    assert tile_size((1080, 1920)) == (90, 160)
    assert tile_size((4000, 20)) == (320, 2)
