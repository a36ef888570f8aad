"""The ladder follows the content: what a trial says of a picture, and which rungs it makes superfluous."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from openstage.media import seeking
from openstage.media.chunks import plan_ladder
from openstage.media.complexity import SHARE, Complexity, sample, stretches
from openstage.media.first import FirstPlan, FirstVideo
from openstage.media.ladder import STEPS, ladder, wasteful
from openstage.media.probe import probe
from tests.media.numbered import numbered, shown
from tests.media.support import CHUNKS, SETTINGS, make_ladder, whole
from tests.media.test_chunks import MPEG2, medium
from tests.media.test_ladder import video
from tests.support.fixtures import cache_folder, make_clip, run_ffmpeg

FULL = ladder(video(1920, 1080))
CAPS = {rung.quality: rung.max_rate for rung in FULL}


def still_with_sound() -> Path:
    """A song with one picture."""
    target = cache_folder() / "still-40s.mp4"
    if not target.exists():
        made = target.with_name("new-still-40s.mp4")
        still = ["-f", "lavfi", "-i", "testsrc2=size=854x480:rate=5:duration=40,loop=-1:1,trim=duration=40"]
        sound = ["-f", "lavfi", "-i", "sine=duration=40"]
        run_ffmpeg(*still, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", str(made))
        made.replace(target)
    return target


async def test_a_still_picture_gets_the_lowest_and_the_top_rung(tmp_path: Path) -> None:
    info = await probe(still_with_sound(), SETTINGS)
    complexity = await sample(still_with_sound(), info, SETTINGS)
    assert max(complexity.rates.values()) < 100_000
    assert complexity.seek
    plan = plan_ladder(info, FirstPlan(), SETTINGS, complexity)
    assert [rung.quality for rung in plan.rungs] == ["96", "3"]
    assert plan.stands_for == {"1": "3", "2": "3"}
    assert [mp4.rung.quality for mp4 in plan.mp4s if mp4.rung] == ["1", "2"]  # files for download are made all the same


async def test_a_busy_picture_gets_all_rungs() -> None:
    source = make_clip(size="640x360", duration=31.0, pattern="noise", fps=12)
    info = await probe(source, SETTINGS)
    complexity = await sample(source, info, SETTINGS)
    assert complexity.rates == {rung.quality: rung.max_rate for rung in ladder(info.video[0])}
    assert complexity.seconds <= SHARE * 31 * 2
    assert 0 < complexity.reach <= info.video[0].keyframe_seconds + 0.1
    plan = plan_ladder(info, FirstPlan(), SETTINGS, complexity)
    assert [rung.quality for rung in plan.rungs] == ["96", "1", "2"]
    assert plan.stands_for == {}


async def test_a_large_recording_is_read_for_jumps_of_its_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe looks at the beginning and the end only; two recordings may have been joined in between."""
    content = numbered("broadcast.ts", MPEG2).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(content + content)
    info = await probe(path, SETTINGS)
    picture = replace(info.video[0], quirks=(), duration=18.0)
    unseen = replace(info, duration_ms=18_000, video=(picture,), audio=())
    assert (await sample(path, unseen, SETTINGS)).seek
    monkeypatch.setattr(seeking, "SCAN_BYTES", 1000)
    complexity = await sample(path, unseen, SETTINGS)
    assert not complexity.seek
    assert complexity.end == pytest.approx(36, abs=0.2)
    made = await make_ladder(path, unseen, tmp_path, plan=plan_ladder(unseen, FirstPlan(), CHUNKS, complexity))
    assert len(made.chunks) == 4
    assert [number for _, number in shown(whole(made.renditions[0]))] == [*range(450), *range(450)]


async def test_a_short_film_is_not_tried() -> None:
    source = make_clip(duration=2.0)
    assert await sample(source, await probe(source, SETTINGS), SETTINGS) == Complexity(seek=True)


@pytest.mark.parametrize("seconds", [30, 60, 600, 7200, 43_200])
def test_a_trial_is_a_small_part_of_the_film(seconds: float) -> None:
    moments, length = stretches(video(duration=seconds))
    assert len(moments) * length <= max(SHARE * seconds, 0.4)
    assert all(0 < moment < seconds - length for moment in moments)


@pytest.mark.parametrize(
    ("rates", "gone"),
    [
        (CAPS, {}),
        ({}, {}),
        # A screen recording: small letters cost as much on every rung.
        (dict(zip(CAPS, (150_000, 230_000, 420_000, 500_000, 620_000, 700_000), strict=True)), {"4": "5", "2": "3"}),
        # All of it costs less than the lowest rung may.
        (dict.fromkeys(CAPS, 20_000), {"4": "5", "3": "5", "2": "5", "1": "5"}),
        # From some rung on, better ones cost no more than the lowest rung may.
        (
            dict(zip(CAPS, (10_000, 20_000, 40_000, 80_000, 160_000, 320_000), strict=True)),
            {"3": "4", "2": "4", "1": "4"},
        ),
    ],
)
def test_rungs_that_nobody_gains_from_are_left_out(rates: dict[str, int], gone: dict[str, str]) -> None:
    assert wasteful(FULL, rates) == gone


def test_the_lowest_and_the_top_rung_and_what_is_there_already_always_stay() -> None:
    rates = dict.fromkeys(CAPS, 20_000)
    assert wasteful(FULL, rates, {"2"}) == {"4": "5", "3": "5", "1": "2"}
    for count in (1, 2):
        assert wasteful(FULL[:count], rates) == {}


def test_what_the_first_rendition_is_is_not_made_again() -> None:
    repacked = FirstPlan(video=FirstVideo(quality="5", copy=True))
    qualities = [step.quality for step in STEPS]
    assert [rung.quality for rung in plan_ladder(medium(60), repacked, SETTINGS, None).rungs] == qualities[:-1]
    source_itself = FirstPlan(video=FirstVideo(quality="s", copy=True))
    assert [rung.quality for rung in plan_ladder(medium(60), source_itself, SETTINGS, None).rungs] == qualities


def test_keyframes_far_apart_make_chunks_longer() -> None:
    """Decoding what lies between a keyframe and a chunk stays a small part of the work."""
    lengths = {}
    for reach in (2.0, 100.0, 3000.0):
        plan = plan_ladder(medium(3600), FirstPlan(), SETTINGS, Complexity(seek=True, reach=reach))
        lengths[reach] = plan.chunks[0][1] / 1e6
    assert lengths == {2.0: 40, 100.0: 152, 3000.0: 3600}
