"""The ladder: never enlarged, even sizes, right way up, paces that are whole fractions of the source's."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstage.media.ladder import LONGEST_SIDE, Rung, fit, ladder, pace_of
from openstage.media.models import VideoStream


def video(width: int = 1920, height: int = 1080, rate: float = 25.0, **facts: object) -> VideoStream:
    """A picture with these facts."""
    common: dict[str, object] = {"index": 0, "codec": "h264", "frame_rate": rate, "nominal_frame_rate": rate}
    return VideoStream(**(common | {"width": width, "height": height} | facts))  # type: ignore[arg-type]


def sizes(picture: VideoStream) -> dict[str, tuple[int, int]]:
    """Size of each rung."""
    return {rung.quality: (rung.width, rung.height) for rung in ladder(picture)}


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (
            *(3840, 2160),
            {
                "96": (320, 180),
                "1": (426, 240),
                "2": (640, 360),
                "3": (854, 480),
                "4": (1280, 720),
                "5": (1920, 1080),
            },
        ),
        (1280, 720, {"96": (320, 180), "1": (426, 240), "2": (640, 360), "3": (854, 480), "4": (1280, 720)}),
        (
            1080,
            1920,
            {"96": (180, 320), "1": (240, 426), "2": (360, 640), "3": (480, 854), "4": (720, 1280), "5": (1080, 1920)},
        ),
        (640, 360, {"96": (320, 180), "1": (426, 240), "2": (640, 360)}),
        (320, 180, {"96": (320, 180)}),
        (176, 144, {"96": (176, 144)}),  # below the lowest rung: its own size
        (161, 91, {"96": (160, 90)}),  # odd
        (640, 352, {"96": (328, 180), "1": (436, 240), "2": (640, 352)}),  # nearly 360: the rung at its own size
        (480, 250, {"96": (346, 180), "1": (460, 240)}),  # hardly more than 240: no rung of its own
        (4000, 100, {"96": (4000, 100)}),
        (2, 2, {"96": (16, 16)}),
    ],
)
def test_sizes(width: int, height: int, expected: dict[str, tuple[int, int]]) -> None:
    assert sizes(video(width, height)) == expected


def test_rotation_and_pixel_shape_count() -> None:
    assert sizes(video(1280, 720, rotation=90))["4"] == (720, 1280)
    # PAL DVD, 16:9
    assert video(720, 576, sample_aspect=(64, 45)).display_size == (1024, 576)
    assert sizes(video(720, 576, sample_aspect=(64, 45)))["3"] == (854, 480)
    assert video(720, 576, sample_aspect=(64, 45), rotation=270).display_size == (576, 1024)
    assert video(720, 480, sample_aspect=(8, 9)).display_size == (720, 540)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(0, 3), st.integers(1, 99), st.integers(1, 99))
def test_any_picture_gets_rungs_that_can_be_encoded(
    width: int, height: int, turns: int, across: int, down: int
) -> None:
    picture = video(width, height, rotation=90 * turns, sample_aspect=(across, down))
    rungs = ladder(picture)
    assert rungs
    assert rungs[0].quality == "96"
    short, long = sorted(picture.display_size)
    for rung in rungs:
        assert rung.width % 2 == rung.height % 2 == 0
        assert rung.short_side >= 16
        assert max(rung.width, rung.height) <= max(LONGEST_SIDE, 16)
        assert rung.short_side <= max(16, short + 1)
        assert max(rung.width, rung.height) <= max(16, long + 1)
        assert 0 < rung.max_rate <= 12_000_000
    assert [rung.short_side for rung in rungs] == sorted(rung.short_side for rung in rungs)


@pytest.mark.parametrize(
    ("rate", "high", "low"),
    [
        (25.0, None, None),
        (29.97, None, None),
        (30.0, None, None),
        (30.3, None, None),
        (12.0, None, None),
        (1.0, Fraction(5), Fraction(5)),
        (50.0, Fraction(50), Fraction(25)),
        (59.94, Fraction(60000, 1001), Fraction(30000, 1001)),
        (60.0, Fraction(60), Fraction(30)),
        (48.0, Fraction(48), Fraction(24)),
        (90.0, Fraction(45), Fraction(45, 2)),
        (120.0, Fraction(60), Fraction(30)),
        (1000.0, Fraction(1000, 17), Fraction(500, 17)),
    ],
)
def test_paces(rate: float, high: Fraction | None, low: Fraction | None) -> None:
    pace = pace_of(video(rate=rate))
    assert (pace.high, pace.low) == (high, low)
    if high and low:
        assert (high / low).denominator == 1
        assert pace.keyframe_every(60) == pace.keyframe_every(30) * int(high / low)  # type: ignore[operator]


def test_a_picture_that_begins_late_gets_a_regular_pace() -> None:
    assert pace_of(video(rate=25.0, start=1.5)).high == 25
    assert pace_of(video(rate=25.0, start=0.02)).high is None


def test_bit_rates_grow_with_the_rungs_and_with_frames() -> None:
    rates = [rung.max_rate for rung in ladder(video())]
    assert rates == sorted(rates)
    assert ladder(video(rate=60.0))[-1].max_rate > ladder(video(rate=30.0))[-1].max_rate


def test_long_pictures_are_made_to_fit() -> None:
    assert fit((9000, 900), 900) == (4096, 410)


@pytest.mark.parametrize(
    ("width", "height", "rate", "levels"),
    [
        (1920, 1080, 30.0, ["1.3", "2.1", "3", "3.1", "3.1", "4"]),
        (1920, 1080, 60.0, ["1.3", "2.1", "3", "3.1", "3.2", "4.2"]),
        (160, 90, 15.0, ["1.1"]),
        (4096, 2160, 30.0, ["1.3", "2.1", "3", "3.1", "3.2", "4.2"]),
    ],
)
def test_levels_take_size_pace_and_bit_rate(width: int, height: int, rate: float, levels: list[str]) -> None:
    assert [rung.level for rung in ladder(video(width, height, rate=rate))] == levels


def test_rungs_come_back_from_json() -> None:
    for rung in ladder(video(1920, 1080, rate=59.94)):
        assert msgspec.json.decode(msgspec.json.encode(rung), type=Rung) == rung
    assert ladder(video(1920, 1080, rate=59.94))[0].frame_rate == Fraction(30000, 1001)
