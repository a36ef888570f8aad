"""What is passed on as it is, and what isn't because players would stumble over it."""

from typing import Any

import msgspec
import pytest

from openstage.media.first import FirstPlan, dump_plan, load_plan, plan_first
from openstage.media.models import AudioStream, MediaInfo, VideoStream
from openstage.settings import Settings

SETTINGS = Settings()
PICTURE: dict[str, Any] = {
    "index": 0,
    "codec": "h264",
    "profile": "High",
    "width": 1920,
    "height": 1080,
    "frame_rate": 30.0,
    "nominal_frame_rate": 30.0,
    "pixel_format": "yuv420p",
    "level": 40,
    "bit_rate": 5_000_000,
    "keyframe_seconds": 2.0,
    "duration": 60.0,
}
SOUND: dict[str, Any] = {
    "index": 1,
    "codec": "aac",
    "profile": "LC",
    "channels": 2,
    "sample_rate": 48000,
    "bit_rate": 128_000,
    "duration": 60.0,
}


def plan(picture: dict[str, Any] | None = None, sound: dict[str, Any] | None = None, **more: Any) -> FirstPlan:
    """The plan for a film that differs in this from one that can be passed on as it is."""
    info: dict[str, Any] = {"container": "mov", "duration_ms": 60_000, "bit_rate": 5_200_000, "byte_size": 39_000_000}
    video = () if picture is None and sound is not None and more.pop("alone", False) else (PICTURE | (picture or {}),)
    made = MediaInfo(
        **(info | more),
        video=tuple(VideoStream(**it) for it in video),
        audio=(AudioStream(**SOUND | (sound or {})),),
    )
    return plan_first(made, SETTINGS)


def test_an_ordinary_film_is_the_top_of_its_ladder() -> None:
    made = plan()
    assert made.video is not None
    assert made.sound is not None
    assert (made.video.quality, made.video.copy, made.sound.copy) == ("5", True, True)
    small = plan({"width": 640, "height": 360, "bit_rate": 800_000}, bit_rate=930_000).video
    assert small is not None
    assert (small.quality, small.copy) == ("2", True)


@pytest.mark.parametrize(
    ("picture", "more"),
    [
        ({"bit_rate": 12_000_000}, {"bit_rate": 12_200_000}),
        ({"width": 2560, "height": 1440}, {}),
        ({"frame_rate": 50.0, "nominal_frame_rate": 50.0, "width": 640, "height": 360}, {"bit_rate": 900_000}),
    ],
)
def test_what_no_rung_would_be_is_the_source_itself(picture: dict[str, Any], more: dict[str, Any]) -> None:
    made = plan(picture, **more).video
    assert made is not None
    assert (made.quality, made.copy) == ("s", True)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        ({"codec": "hevc", "profile": "Main"}, "codec"),
        ({"profile": "High 10", "pixel_format": "yuv420p10le"}, "pixel format"),
        ({"profile": "High 4:2:2"}, "codec"),
        ({"interlaced": True}, "interlaced"),
        ({"rotation": 90}, "turned"),
        ({"sample_aspect": (4, 3)}, "square"),
        ({"level": 52}, "level"),
        ({"keyframe_seconds": 20.0}, "keyframes"),
        ({"bit_rate": 40_000_000}, "bits per second"),
        ({"frame_rate": 120.0, "nominal_frame_rate": 120.0}, "frames per second"),
        ({"color_transfer": "arib-std-b67"}, "colours"),
        ({"duration": 50.0}, "before the sound"),
        ({"quirks": ("open-gop",)}, "open-gop"),
        ({"quirks": ("fields",)}, "fields"),
    ],
)
def test_what_players_would_stumble_over_is_encoded(picture: dict[str, Any], why: str) -> None:
    made = plan(picture).video
    assert made is not None
    assert made.rung is not None
    assert (made.copy, made.quality, made.rung.short_side) == (False, "2", 360)
    assert why in made.why


def test_a_container_without_times_for_each_packet_is_not_repacked() -> None:
    made = plan(container="avi")
    assert made.video is not None
    assert made.sound is not None
    assert (made.video.copy, made.sound.copy) == (False, False)


@pytest.mark.parametrize(
    "sound",
    [
        {"profile": "HE-AAC"},
        {"channels": 6},
        {"codec": "opus", "profile": ""},
        {"sample_rate": 96000},
        {"start": 0.5, "duration": 59.5},
        {"duration": 55.0},
        {"hole": 0.3},
    ],
)
def test_sound_that_players_would_stumble_over_is_encoded(sound: dict[str, Any]) -> None:
    made = plan(None, sound)
    assert made.video is not None
    assert made.sound is not None
    assert (made.video.copy, made.sound.copy) == (True, False)
    assert made.sound.channels <= 2
    assert made.sound.sample_rate in {44100, 48000}
    assert made.sound.why


def test_plans_survive_storage() -> None:
    for made in (plan(), plan({"codec": "vp9"}), plan(None, {"codec": "flac"}, alone=True)):
        assert load_plan(msgspec.json.decode(msgspec.json.encode(dump_plan(made)))) == made
