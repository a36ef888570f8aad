"""Pictures show the film, the cover or the sound; never the black before it begins."""

from pathlib import Path

import av
import pytest

from openstage.media.models import Picture
from openstage.media.pictures import Candidate, make_pictures, sizes_of
from openstage.media.probe import probe
from tests.media.support import SETTINGS, assert_decodes
from tests.support.fixtures import make_clip


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
    vivid = Candidate(time=0, brightness=120, contrast=60, detail=12)
    assert sorted([vivid, dull, white, black], key=lambda it: it.score) == [black, white, dull, vivid]


def test_nothing_is_enlarged() -> None:
    assert sizes_of((200, 100)) == {"original": (200, 100), "img": (200, 100), "thumbnail": (200, 100)}
    assert sizes_of((7680, 4320))["original"] == (4096, 2304)
    assert sizes_of((1081, 1921))["thumbnail"] == (320, 568)
