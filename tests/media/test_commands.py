"""ffmpeg's arguments, without running it."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from openstage.media import commands
from openstage.media.chunks import Work, chunk_arguments, plan_ladder
from openstage.media.commands import MP4_LIMIT, Source, Window
from openstage.media.encoders import Software
from openstage.media.first import FirstPlan
from openstage.media.ladder import ladder
from openstage.media.models import AudioStream, MediaInfo
from openstage.settings import Settings
from tests.media.test_ladder import video

Facts = Mapping[str, object]
WHOLE = Window(0.0, None, None)
FILM = Path("/data/staging/it's, a [film]:%05d.mp4")


def info(picture: Facts | None, sound: Facts | None, seconds: float = 10.0) -> MediaInfo:
    """A medium of these streams."""
    common = {"index": 1, "codec": "aac", "channels": 2, "sample_rate": 44100, "duration": seconds}
    return MediaInfo(
        container="mov",
        duration_ms=round(seconds * 1000),
        bit_rate=1,
        byte_size=1,
        video=(video(**{"duration": seconds, **picture}),) if picture is not None else (),  # type: ignore[arg-type]
        audio=(AudioStream(**{**common, **sound}),) if sound is not None else (),  # type: ignore[arg-type]
    )


def arguments(medium: MediaInfo, window: Window = WHOLE, threads: int = 0) -> list[str]:
    """The whole command for a chunk of a medium."""
    settings = Settings(encoder_threads=threads)
    plan = plan_ladder(medium, FirstPlan(), settings, None)
    return chunk_arguments(Work(Source.of(FILM, medium), plan, 0, window, Software()), settings)


def graph(medium: MediaInfo, window: Window = WHOLE) -> str:
    """Its filter graph."""
    made = arguments(medium, window)
    return made[made.index("-filter_complex") + 1]


def test_the_input_is_this_file_and_nothing_else() -> None:
    made = arguments(info({}, {}))
    at = made.index("-i")
    assert made[at + 1] == f"file:{FILM}"
    before = made[:at]
    for option, value in (("-protocol_whitelist", "file"), ("-format_whitelist", "mov"), ("-f", "mov")):
        assert before[before.index(option) + 1] == value
    assert made.count("-i") == 1


def test_the_file_name_is_nowhere_in_the_graph() -> None:
    assert "film" not in graph(info({}, {}))


def test_one_decode_feeds_all_rungs_and_files() -> None:
    made = arguments(info({}, {}))
    assert made.count("-filter_complex") == 1
    mapped = [made[place + 1] for place, it in enumerate(made) if it == "-map"]
    rungs = ["[hls96]", "[hls1]", "[hls2]", "[hls3]", "[hls4]", "[hls5]"]
    assert mapped == [*rungs, "[mp41]", "[mp42]"]
    assert graph(info({}, {})).count("[0:0]") == 1


def test_rungs_are_scaled_by_halves() -> None:
    assert commands.parents(ladder(video(1920, 1080))) == {
        "5": None,
        "4": "5",
        "3": "5",
        "2": "4",
        "1": "3",
        "96": "2",
    }


def test_every_output_drops_metadata_and_chapters() -> None:
    made = arguments(info({}, {}))
    assert made.count("-map_metadata") == made.count("-map_chapters") == made.count("mp4") == 8


def test_keyframes_are_forced_at_the_same_moments() -> None:
    by_time = arguments(info({"rate": 25.0}, None))
    assert {by_time[place + 1] for place, it in enumerate(by_time) if it == "-force_key_frames"} == {
        f"expr:{commands.NEW_CELL}"
    }
    by_count = arguments(info({"rate": 59.94}, None))
    forced = [by_count[place + 1] for place, it in enumerate(by_count) if it == "-force_key_frames"]
    assert forced[:6] == ["expr:not(mod(n,120))"] * 4 + ["expr:not(mod(n,240))"] * 2


def test_only_high_rungs_keep_sixty_frames() -> None:
    made = graph(info({"rate": 60.0}, None))
    assert made.startswith("[0:0]fps=fps=60:start_time=0,scale=1920:1080")
    assert "[to3]fps=fps=30:round=up,scale=854:480" in made
    assert "[to4]scale=1280:720" in made
    assert "[to1]scale=426:240" in made  # its source has 30 already


def test_frames_of_slow_sources_are_left_at_their_times() -> None:
    assert "fps=" not in graph(info({"rate": 29.97, "variable_frame_rate": True}, None))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"color_matrix": "bt470bg"}, "in_color_matrix=bt601:out_color_matrix=bt709"),
        ({"color_matrix": ""}, "in_color_matrix=bt709:out_color_matrix=bt709"),
        ({"color_matrix": "", "width": 640, "height": 480}, "in_color_matrix=bt601:out_color_matrix=bt709"),
        ({"color_matrix": "bt2020nc"}, "in_color_matrix=bt2020:out_color_matrix=bt709"),
        ({"color_transfer": "smpte2084", "color_matrix": "bt2020nc"}, "tin=smpte2084:min=bt2020nc:pin=bt2020:rin=tv"),
        ({"color_transfer": "arib-std-b67"}, "tonemap=tonemap=hable"),
        ({"interlaced": True}, "bwdif=mode=send_frame:deint=interlaced"),
    ],
)
def test_colours_and_fields(facts: dict[str, object], expected: str) -> None:
    picture = video(**facts)  # type: ignore[arg-type]
    assert expected in ",".join(commands.first_scale(picture, 640, 360))


def test_a_chunk_ends_between_two_frames() -> None:
    """Where frames come at their own times, just before the moment; on a grid, a quarter of a frame before."""
    window = Window(8.0, 16.0, 6.0)
    film = info({"rate": 25.0, "duration": 40.0}, None, 40.0)
    assert "[0:0]split=2[before][behind]" in graph(film, window)
    assert "[before]trim=start=7.995290:end=15.995290,scale=1920:1080" in graph(film, window)
    assert "[behind]trim=start=15.995290,scale=16:16[after]" in graph(film, window)
    fast = graph(info({"rate": 60.0, "duration": 40.0}, None, 40.0), window)
    assert fast.startswith("[0:0]fps=fps=60,trim=start=7.995833:end=15.995833,scale=1920:1080")
    assert "[to3]fps=fps=30:round=up,trim=start=7.991667:end=15.991667,scale=854:480" in fast
    interlaced = graph(info({"rate": 25.0, "duration": 40.0, "interlaced": True}, None, 40.0), window)
    assert "trim=start=7.195290:end=16.795290,bwdif=mode=send_frame:deint=interlaced,trim=start=7.995290:" in interlaced


def test_a_chunk_keeps_the_clock_of_the_medium() -> None:
    made = arguments(info({"duration": 40.0}, None, 40.0), Window(8.0, 16.0, 6.0))
    options = ["-ss", "6.000000", "-noaccurate_seek", "-copyts", "-start_at_zero", "-i"]
    assert made[made.index("-ss") : made.index("-i") + 1] == options
    assert "-ss" not in arguments(info({"duration": 40.0}, None, 40.0), Window(8.0, 16.0, None))


def test_pauses_do_not_cost_the_frames_before_them() -> None:
    """The cap of the bit rate gives way: what stands for seconds must be what was there."""
    steady, paused = arguments(info({}, None)), arguments(info({"variable_frame_rate": True}, None))
    # Of the files for download, which have a strict limit, only where pauses are known.
    assert (steady.count("-crf_max"), paused.count("-crf_max")) == (6, 8)


def test_the_shorter_stream_is_filled_up() -> None:
    longer_sound = info({"duration": 5.0}, {"duration": 8.0})
    assert "tpad=stop_mode=clone:stop_duration=3.000" in graph(longer_sound)
    assert "apad" not in sound(longer_sound)
    longer_picture = info({"duration": 8.0}, {"duration": 5.0})
    assert "apad=whole_dur=8.000" in sound(longer_picture)
    assert "tpad" not in graph(longer_picture)


def sound(medium: MediaInfo) -> str:
    """The filter chain of a medium's sound."""
    return commands.sound_graph(Source.of(FILM, medium), ["s"])


def test_sound_is_stereo_or_mono_at_a_usual_rate() -> None:
    for facts, expected in (
        ({"sample_rate": 44100}, "aresample=44100"),
        ({"sample_rate": 22050}, "aresample=44100"),
        ({"sample_rate": 48000}, "aresample=48000"),
        ({"sample_rate": 8000}, "aresample=48000"),
        ({"channels": 6}, "channel_layouts=stereo"),
        ({"channels": 1}, "channel_layouts=mono"),
    ):
        assert expected in sound(info(None, facts))


@pytest.mark.parametrize("seconds", [0.2, 0.5, 2.0, 60.0, 7200.0])
def test_bits_of_the_mp4_files_stay_below_their_limits(seconds: float) -> None:
    plan = plan_ladder(info({"duration": seconds}, {}, seconds), FirstPlan(), Settings(), None)
    assert [mp4.quality for mp4 in plan.mp4s] == ["1", "2"]
    for mp4 in plan.mp4s:
        assert 0 < mp4.video_rate + mp4.sound_rate < MP4_LIMIT[mp4.quality]
        encoder = commands.video_encoder(mp4.rung, rate=mp4.video_rate, seconds=seconds)  # type: ignore[arg-type]
        most, buffer = (int(encoder[encoder.index(option) + 1]) for option in ("-maxrate", "-bufsize"))
        if most > 8_000:
            assert most * seconds + buffer / 2 <= 1.001 * mp4.video_rate * seconds


def test_threads_are_those_of_the_setting() -> None:
    made = arguments(info({}, {}), threads=1)
    assert {made[place + 1] for place, it in enumerate(made) if it == "-threads"} == {"1"}
    assert "-threads" not in arguments(info({}, {}))


def test_sources_are_absolute() -> None:
    assert Source.of(Path("film.mp4"), info({}, {})).path.is_absolute()
    assert commands.thinning(Fraction(60), Fraction(60)) == ""
