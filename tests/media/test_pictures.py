"""Pictures show the film, the cover or the sound; never the black before it begins."""

from pathlib import Path

import av
import pytest

from openstage.media.commands import Source
from openstage.media.models import Picture
from openstage.media.pictures import Candidate, best_moment, make_pictures, sizes_of
from openstage.media.probe import probe
from tests.media.support import SETTINGS, assert_decodes
from tests.support.fixtures import make_clip, run_ffmpeg


async def pictures(source: Path, folder: Path) -> dict[str, Picture]:
    """Pictures of a file by kind, each looked at."""
    info = await probe(source, SETTINGS)
    made = await make_pictures(source, info, folder, SETTINGS)
    for picture in made:
        content = Path(picture.path).read_bytes()
        assert content.startswith(b"\xff\xd8\xff")
        assert len(content) == picture.byte_size
        assert_decodes(Path(picture.path))
        with av.open(picture.path) as container:
            context = container.streams.video[0].codec_context
            assert (context.width, context.height) == (picture.width, picture.height)
    return {picture.kind: picture for picture in made}


def brightness(picture: Picture) -> float:
    """Mean brightness, 0 to 255."""
    with av.open(picture.path) as container:
        frame = next(container.decode(video=0))
        small = frame.reformat(width=32, height=32, format="gray")
        return sum(bytes(small.planes[0])[:1024]) / 1024


async def test_sizes_of_a_large_film(tmp_path: Path) -> None:
    made = await pictures(make_clip(size="1280x720", duration=1.0), tmp_path)
    assert {kind: (it.width, it.height) for kind, it in made.items()} == {
        "original": (1280, 720),
        "img": (640, 360),
        "thumbnail": (320, 180),
    }


async def test_not_the_black_beginning(tmp_path: Path) -> None:
    made = await pictures(make_clip(pattern="black-start"), tmp_path)
    assert brightness(made["img"]) > 60


async def test_a_turned_film_stands_upright(tmp_path: Path) -> None:
    made = await pictures(make_clip("mov", rotation=90), tmp_path)
    assert (made["original"].width, made["original"].height) == (180, 320)


def film_of(path: Path, *scenes: str) -> Path:
    """A film of scenes of three seconds each, put together from lavfi filters that change a moving picture."""
    lines = ",".join(f"drawbox=x=40:y={y}:w={240 - y}:h=2:c=white:t=fill" for y in range(8, 180, 12))
    looks = {
        "good": "null",
        "black": "drawbox=c=black:t=fill",
        "titles": f"drawbox=c=black:t=fill,{lines}",
        "card": "drawbox=c=0x3050a0:t=fill,drawbox=x=100:y=80:w=120:h=20:c=white:t=fill",
        "blurred": "gblur=sigma=12",
        "faded": "eq=contrast=0.15:brightness=-0.3",
    }
    inputs = [part for _ in scenes for part in ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=3")]
    chains = [f"[{at}]{looks[scene]},format=yuv420p[s{at}]" for at, scene in enumerate(scenes)]
    joined = "".join(f"[s{at}]" for at in range(len(scenes))) + f"concat=n={len(scenes)}"
    run_ffmpeg(*inputs, "-filter_complex", ";".join([*chains, joined]), "-c:v", "libx264", "-g", "20", str(path))
    return path


@pytest.mark.parametrize(
    "scenes",
    [
        ("black", "good", "black", "titles"),
        ("card", "blurred", "good", "titles", "titles"),
        ("faded", "good", "faded", "blurred", "card"),
    ],
)
async def test_neither_black_nor_blurred_nor_titles(scenes: tuple[str, ...], tmp_path: Path) -> None:
    source = film_of(tmp_path / "film.mp4", *scenes)
    info = await probe(source, SETTINGS)
    assert info.main_video is not None
    moment = await best_moment(Source.of(source, info), info.main_video, SETTINGS)
    assert scenes[int(moment / 3)] == "good", f"{scenes[int(moment / 3)]} at {moment}"


@pytest.mark.parametrize(
    "recipe",
    [
        {"container": "ts", "vcodec": "mpeg2", "acodec": "mp2"},
        {"container": "flv", "duration": 0.5},
        {"container": "mkv", "vcodec": "hevc", "pix_fmt": "yuv420p10le"},
    ],
)
async def test_other_containers(recipe: dict[str, object], tmp_path: Path) -> None:
    assert set(await pictures(make_clip(**recipe), tmp_path)) == {"original", "img", "thumbnail"}  # type: ignore[arg-type]


async def test_a_song_shows_its_cover(tmp_path: Path) -> None:
    made = await pictures(make_clip("mp3", None, "mp3", cover=True), tmp_path)
    assert (made["original"].width, made["original"].height) == (400, 400)
    assert (made["thumbnail"].width, made["thumbnail"].height) == (320, 320)


async def test_sound_without_a_cover_shows_its_waveform(tmp_path: Path) -> None:
    made = await pictures(make_clip("mp3", None, "mp3"), tmp_path)
    assert (made["original"].width, made["original"].height) == (1280, 720)
    assert 25 < brightness(made["img"]) < 200  # neither the bare ground nor all painted


def test_scores() -> None:
    black = Candidate(time=0, brightness=16, contrast=2, detail=0.1)
    white = Candidate(time=0, brightness=250, contrast=4, detail=1)
    dull = Candidate(time=0, brightness=120, contrast=8, detail=1)
    titles = Candidate(time=0, brightness=40, contrast=60, detail=12, sharpness=80, flat=0.9)
    blurred = Candidate(time=0, brightness=120, contrast=50, detail=6, sharpness=10, flat=0.3)
    vivid = Candidate(time=0, brightness=120, contrast=50, detail=12, sharpness=60, colour=30, flat=0.3)
    assert sorted([vivid, blurred, titles, white, black], key=lambda it: it.score) == [
        *(black, white),
        *(titles, blurred, vivid),
    ]
    assert dull.score > white.score
    assert vivid.score_within(0.0) > 0


def test_the_end_must_be_better_to_be_taken() -> None:
    early = Candidate(time=50, brightness=120, contrast=50, detail=12)
    late = Candidate(time=95, brightness=120, contrast=52, detail=12)
    assert early.score_within(100) > late.score_within(100)


def test_nothing_is_enlarged() -> None:
    assert sizes_of((200, 100)) == {"original": (200, 100), "img": (200, 100), "thumbnail": (200, 100)}
    assert sizes_of((7680, 4320))["original"] == (4096, 2304)
    assert sizes_of((1081, 1921))["thumbnail"] == (320, 568)
