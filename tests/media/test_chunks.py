"""Chunks joined are the film to the frame: each picture once, at its time, in every format, wherever keyframes are."""

import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from openstage.media.boxes import find, read_fragment, top_boxes
from openstage.media.chunks import LadderPlan, plan_ladder
from openstage.media.first import FirstPlan
from openstage.media.ladder import Rung
from openstage.media.models import MediaInfo
from openstage.media.planning import cut
from openstage.media.probe import probe
from openstage.media.seeking import seek_before
from tests.media import numbered as films
from tests.media.numbered import OPEN, PAUSES, X264, X265, numbered, shown
from tests.media.support import CHUNKS, SETTINGS, assert_decodes, make_ladder, subfolder, whole
from tests.support.fixtures import make_clip, run_ffmpeg

ALIKE = ("-g", "50")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-g", "15", "-bf", "2")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "3", "-g", "50")
# Name (and with it the container), encoder, and what else `numbered` is told.
FILMS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "long-groups.mp4": ((*X264, "-g", "250"), {}),
    "open-groups.mkv": (X265, {}),
    "broadcast.ts": (MPEG2, {}),
    "b-frames-without-times.avi": ((*MPEG4, "-bf", "2"), {}),
    "pauses.mp4": ((*X264, *ALIKE), {"select": PAUSES}),
}
MORE_FILMS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "ntsc.mp4": ((*X264, "-g", "60"), {"rate": "30000/1001"}),
    "ntsc.mkv": ((*X264, "-g", "60"), {"rate": "30000/1001"}),
    "open-groups.mp4": ((*X264, *ALIKE, *OPEN), {}),
    "open-groups-hevc.mp4": (X265, {}),
    "open-groups.ts": ((*X264, *ALIKE, *OPEN), {}),
    "long-groups.ts": ((*X264, "-g", "250"), {}),
    "hevc.ts": (X265, {}),
    "refreshed.mp4": ((*X264, *ALIKE, "-x264-params", "intra-refresh=1"), {}),
    "one-keyframe.mp4": ((*X264, "-g", "9999", "-sc_threshold", "0"), {}),
    "no-index.mkv": ((*X264, *ALIKE, "-live", "1"), {}),
    "pauses.mkv": ((*X264, *ALIKE), {"select": PAUSES}),
    "programme.mpg": (MPEG2, {}),
    "mpeg2.mxf": (MPEG2, {}),
    "mpeg4.avi": (MPEG4, {}),
    "h264.avi": ((*X264, *ALIKE), {}),
    "mjpeg.avi": (("-c:v", "mjpeg", "-q:v", "3"), {}),
    "h264.flv": ((*X264, *ALIKE), {}),
    "sorenson.flv": (("-c:v", "flv", "-q:v", "3", "-g", "50"), {}),
    "vp9.webm": (("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k", "-g", "60"), {}),
    "vp8.webm": (("-c:v", "libvpx", "-deadline", "realtime", "-b:v", "300k", "-g", "60", "-lag-in-frames", "10"), {}),
    "mpeg4.3gp": (MPEG4, {}),
    "prores.mov": (("-c:v", "prores_ks", "-profile:v", "proxy"), {}),
    "theora.ogv": (("-c:v", "libtheora", "-q:v", "8", "-g", "50"), {}),
    "h264.nut": ((*X264, *ALIKE), {}),
    "raw.h264": ((*X264, *ALIKE), {"sound": False}),
}


async def check_film(path: Path, folder: Path) -> None:
    """Each frame of the film is in the joined rendition, once, at its time."""
    info = await probe(path, SETTINGS)
    made = await make_ladder(path, info, folder, CHUNKS)
    assert len(made.chunks) >= 4
    (rung,) = made.renditions
    joined = whole(rung)
    assert_decodes(joined)
    expected, seen = shown(path), shown(joined)
    assert [number for _, number in seen] == [number for _, number in expected]
    # Where a file has no times of its own, decoders differ in what they call the frames': the pace is the film's then.
    assert seen[0][0] == pytest.approx(expected[0][0], abs=0.041)
    steady = [number * (seen[-1][0] - seen[0][0]) / (len(seen) - 1) for number in range(len(seen))]
    pace = since_first(expected) if "pauses" in path.name else steady
    assert since_first(seen) == pytest.approx(pace, abs=0.002)
    check_fragments([Path(segment.path) for segment in rung.segments])
    assert list(made.percents) == sorted(made.percents)
    assert made.percents[-1] == 100


def since_first(frames: list[tuple[float, int]]) -> list[float]:
    """Times of frames after the first one."""
    return [time - frames[0][0] for time, _ in frames]


def check_fragments(paths: list[Path]) -> None:
    """Numbers rise, decode times never go back, and each frame is decoded before it is shown."""
    numbers = []
    for path in paths:
        moof = next(body for name, _, body in top_boxes(path, (b"moof",)) if name == b"moof")
        numbers.append(int.from_bytes(find(moof, b"mfhd")[4:8], "big"))
    assert numbers == sorted(set(numbers))
    clocks = [int.from_bytes(find(next(_moofs(path)), b"traf", b"tfdt")[4:], "big") for path in paths]
    assert clocks == sorted(set(clocks))
    for path, clock in zip(paths, clocks, strict=True):
        assert read_fragment(path).first >= clock


def _moofs(path: Path) -> Any:
    return (body for name, _, body in top_boxes(path, (b"moof",)) if name == b"moof")


@pytest.mark.parametrize("name", FILMS)
async def test_chunks_are_the_film_to_the_frame(name: str, tmp_path: Path) -> None:
    encoder, facts = FILMS[name]
    await check_film(numbered(name, encoder, **facts), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE_FILMS)
async def test_so_are_those_of_all_other_formats(name: str, tmp_path: Path) -> None:
    encoder, facts = MORE_FILMS[name]
    await check_film(numbered(name, encoder, **facts), tmp_path)


async def test_chunks_jump_where_that_is_exact(tmp_path: Path) -> None:
    """Not to where the wanted frames begin, but to a keyframe well before."""
    film = numbered("long-groups.mp4", (*X264, "-g", "250"))
    info = await probe(film, SETTINGS)
    assert await seek_before(film, info, 16.0, SETTINGS) == 14.0
    assert await seek_before(film, info, 1.0, SETTINGS) is None
    jumps = (replace(info.video[0], quirks=("clock-jumps",)),)
    assert await seek_before(film, replace(info, video=jumps), 16.0, SETTINGS) is None


# --- sources that were handled roughly ----------------------------------------------------------------------------
def cut_off(folder: Path) -> Path:
    """The last hundredths of the file lack."""
    front, path = folder / "front.mp4", folder / "tail.mp4"
    run_ffmpeg("-i", str(numbered("ntsc.mp4", X264)), "-c", "copy", "-movflags", "+faststart", str(front))
    content = front.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.98)])
    return path


def late_picture(folder: Path) -> Path:
    """The picture begins 5.5 s after the sound."""
    path, film = folder / "late.mkv", str(numbered("long-groups.mp4", (*X264, "-g", "250")))
    run_ffmpeg("-itsoffset", "5.5", "-i", film, "-i", film, "-map", "0:v", "-map", "1:a", "-c", "copy", str(path))
    return path


def short_picture(folder: Path) -> Path:
    """The sound goes on for 12 s after the picture has ended."""
    path, film = folder / "short.mkv", str(numbered("long-groups.mp4", (*X264, "-g", "250")))
    sound = ["-f", "lavfi", "-i", "sine=duration=30"]
    run_ffmpeg("-i", film, *sound, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", str(path))
    return path


def cut_by_edits(folder: Path) -> Path:
    """An edit list hides what comes before 3.3 s."""
    path = folder / "cut.mp4"
    film = numbered("open-groups.mp4", (*X264, *ALIKE, *OPEN))
    run_ffmpeg("-ss", "3.3", "-i", str(film), "-c", "copy", str(path))
    return path


def wrapped_clock(folder: Path) -> Path:
    """The clock of a transport stream starts anew after 26.5 hours."""
    path = folder / "wrap.ts"
    film = numbered("open-groups.ts", (*X264, *ALIKE, *OPEN))
    run_ffmpeg("-i", str(film), "-c", "copy", "-output_ts_offset", "95436", str(path))
    return path


def fragmented(folder: Path) -> Path:
    """Fragments of their own, without an index; the picture begins two frames late."""
    return numbered("fragmented.mp4", (*X264, *ALIKE, "-movflags", "frag_keyframe+empty_moov"))


def damaged(folder: Path) -> Path:
    """Zeros in the middle of a transport stream."""
    content = bytearray(numbered("broadcast.ts", MPEG2).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40_000] = bytes(40_000)
    path = folder / "damaged.ts"
    path.write_bytes(content)
    return path


def two_recordings(folder: Path) -> Path:
    """Two recordings behind each other, each with its own clock."""
    content = numbered("broadcast.ts", MPEG2).read_bytes()
    path = folder / "joined.ts"
    path.write_bytes(content + content)
    return path


ROUGH: list[Callable[[Path], Path]] = [
    cut_off,
    late_picture,
    short_picture,
    cut_by_edits,
    wrapped_clock,
    fragmented,
    damaged,
]


@pytest.mark.slow
@pytest.mark.parametrize("source", ROUGH)
async def test_many_chunks_show_what_one_shows(source: Callable[[Path], Path], tmp_path: Path) -> None:
    film = source(tmp_path)
    info = await probe(film, SETTINGS)
    (one,) = (await make_ladder(film, info, subfolder(tmp_path, "one"))).renditions
    many = await make_ladder(film, info, subfolder(tmp_path, "many"), CHUNKS)
    (joined,) = many.renditions
    assert len(many.chunks) > 3
    assert shown(whole(joined)) == shown(whole(one))
    assert joined.duration_ms == pytest.approx(one.duration_ms, abs=1)


async def test_a_picture_that_begins_late_stands_still_until_then(tmp_path: Path) -> None:
    film = late_picture(tmp_path)
    made = await make_ladder(film, await probe(film, SETTINGS), subfolder(tmp_path, "made"), CHUNKS)
    seen = shown(whole(made.renditions[0]))
    assert seen[0] == (0.0, 0)
    assert [time for time, _ in seen] == pytest.approx([number / 25 for number in range(len(seen))], abs=0.001)
    assert {number for time, number in seen if time < 5.48} == {0}
    assert [number for _, number in seen if number] == list(range(1, 450))


async def test_thinned_rungs_stay_on_one_grid(tmp_path: Path) -> None:
    """60 frames above and 30 below, over chunks whose beginning isn't a whole second."""
    film = numbered("fast.mp4", (*X264, "-g", "60"), rate="60000/1001", seconds=14)
    info = await probe(film, SETTINGS)
    rung: dict[str, Any] = {"width": 192, "height": 96, "crf": 23, "max_rate": 600_000, "buffer": 900_000}
    low = Rung(**rung, quality="2", rate=(30000, 1001), keyframe_every=120)
    high = Rung(**{**rung, "width": 256, "height": 128}, quality="4", rate=(60000, 1001), keyframe_every=240)
    plan = LadderPlan(rungs=(low, high), chunks=cut(info.duration, high, 4.0), seek=True)
    assert [start for start, _ in plan.chunks] == [0, 4_004_000, 8_008_000, 12_012_000]
    made = await make_ladder(film, info, tmp_path, plan=plan)
    below, above = (shown(whole(rendition)) for rendition in made.renditions)
    assert [number for _, number in above] == list(range(len(above)))
    assert [number for _, number in below] == list(range(0, len(above), 2))
    assert [time for time, _ in below] == pytest.approx([time for time, _ in above[::2]], abs=0.0001)
    for rendition in made.renditions:
        starts = [segment.start_us for segment in rendition.segments]
        assert [after - before for before, after in pairwise(starts)] == [4_004_000] * 3


async def test_a_pause_may_be_longer_than_a_chunk(tmp_path: Path) -> None:
    film = numbered("pauses.mp4", (*X264, *ALIKE), select=PAUSES)
    made = await make_ladder(film, await probe(film, SETTINGS), tmp_path, CHUNKS)
    assert [bool(chunk.rungs) for chunk in made.chunks][:4] == [True, True, False, True]
    for before, after in pairwise(made.renditions[0].segments):
        assert before.start_us + before.duration_us == after.start_us
    # The frame before the pause lasts until the one behind it: a player's buffer has no hole there.
    last_before = Path(made.chunks[1].rungs[0].segments[-1].path)
    end = read_fragment(last_before)
    assert (end.last + end.lasts) / 90_000 > 12.5


async def test_seams_are_not_seen(tmp_path: Path) -> None:
    """Around each seam of a film that needs more than its rung may take, quality is that of encoding without seams."""
    source = make_clip(pattern="noise", duration=12.0, acodec=None)
    info = await probe(source, SETTINGS)
    (one,) = (await make_ladder(source, info, subfolder(tmp_path, "one"))).renditions
    (many,) = (await make_ladder(source, info, subfolder(tmp_path, "many"), CHUNKS)).renditions
    without, with_seams = (frame_quality(whole(rung), source, tmp_path / "vmaf.json") for rung in (one, many))
    assert len(without) == len(with_seams) == 300
    for seam in (100, 200):
        around = slice(seam - 5, seam + 5)
        assert statistics.fmean(with_seams[around]) >= statistics.fmean(without[around]) - 3
    # Nor do many chunks take more than one: each has its own buffer, but the cap is the same.
    assert many.average_bandwidth <= 1.05 * one.average_bandwidth


def frame_quality(path: Path, source: Path, log: Path) -> list[float]:
    """VMAF of each frame of a rendition that has the size of its source."""
    frames = "settb=AVTB,setpts=N/25/TB,format=yuv420p"
    graph = f"[0:v]{frames}[made];[1:v]{frames}[source];[made][source]libvmaf=log_fmt=json:log_path={log}"
    run_ffmpeg("-i", str(path), "-i", str(source), "-lavfi", graph, "-f", "null", "-")
    return [frame["metrics"]["vmaf"] for frame in msgspec.json.decode(log.read_bytes())["frames"]]


def medium(duration: float, **facts: Any) -> MediaInfo:
    """What a probe would have found in a film of so many seconds."""
    from tests.media.test_ladder import video  # noqa: PLC0415 - beside what is tested there

    picture = video(**{"duration": duration, **facts})
    return MediaInfo(container="mov", duration_ms=round(duration * 1000), bit_rate=1, byte_size=1, video=(picture,))


@pytest.mark.parametrize(("seconds", "lengths"), [(1, [1]), (59, [59]), (61, [32, 29]), (600, [40] * 15)])
def test_chunks_are_alike_and_begin_at_keyframes(seconds: float, lengths: list[float]) -> None:
    plan = plan_ladder(medium(seconds), FirstPlan(), SETTINGS, None)
    assert [(end - start) / 1e6 for start, end in plan.chunks] == lengths
    assert plan.chunks[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(plan.chunks))


def test_without_jumping_there_are_few_chunks() -> None:
    """Each decodes all that lies before it."""
    raw = replace(medium(600), container="h264")
    assert len(plan_ladder(raw, FirstPlan(), SETTINGS, None).chunks) == 4
    assert films.BARS * films.BAR == 192
