"""Whole renditions out of chunks: numbered, measured, refused if the chunks don't fit; MP4 files for plain download."""

from pathlib import Path
from typing import Any

import av
import pytest
from msgspec.structs import replace

from openstage.media.boxes import top_boxes
from openstage.media.chunks import Chunk, ChunkRung, LadderPlan
from openstage.media.commands import MP4_LIMIT
from openstage.media.errors import ChunksDontJoin, Unplayable
from openstage.media.join import join_mp4, join_renditions
from openstage.media.ladder import Rung
from openstage.media.models import Segment
from openstage.media.probe import probe
from openstage.media.sound import make_sound
from tests.media.support import (
    CHUNKS,
    SETTINGS,
    assert_decodes,
    beeps,
    decode_picture,
    flashes,
    make_ladder,
    subfolder,
)
from tests.support.fixtures import make_clip

RUNG = Rung(
    quality="1", width=320, height=240, rate=None, keyframe_every=None, crf=25, max_rate=320_000, buffer=480_000
)
PLAN = LadderPlan(rungs=(RUNG,), chunks=((0, 8_000_000), (8_000_000, 12_000_000)))


def segment(number: int, start: int, size: int = 1000) -> Segment:
    """A segment that begins at a second and lasts four."""
    facts = {"number": number, "start_us": start * 1_000_000, "duration_us": 4_000_000, "byte_size": size}
    return Segment(**facts, path=f"works/{start}")


def chunk(number: int, *starts: int, **facts: Any) -> Chunk:
    """A chunk with segments that begin at these seconds."""
    made: dict[str, Any] = {
        "quality": "1",
        "init_path": f"works/init-{number}",
        "init_size": 700,
        "init_digest": "same",
        "codecs": "avc1.4d401e",
        "width": 320,
        "height": 240,
        "frames": 100 * len(starts),
        "until_us": (starts[-1] + 4) * 1_000_000 if starts else 0,
        "segments": tuple(segment(place, start) for place, start in enumerate(starts)),
    }
    return Chunk(number=number, rungs=(ChunkRung(**{**made, **facts}),) if starts else ())


def test_segments_are_numbered_through() -> None:
    (made,) = join_renditions(PLAN, [chunk(1, 8), chunk(0, 0, 4)])
    assert [(it.number, it.start_us, it.path) for it in made.segments] == [
        (0, 0, "works/0"),
        (1, 4_000_000, "works/4"),
        (2, 8_000_000, "works/8"),
    ]
    assert (made.path, made.init_size, made.byte_size) == ("works/init-0", 700, 3700)
    assert (made.duration_ms, made.frame_rate, made.codecs) == (12_000, 25.0, "avc1.4d401e")
    assert (made.average_bandwidth, made.bandwidth) == (2000, 2000)


def test_the_peak_is_that_of_any_stretch_over_a_seam_too() -> None:
    busy = replace(chunk(1, 8).rungs[0], segments=(segment(0, 8, 500_000),))
    (made,) = join_renditions(PLAN, [chunk(0, 0, 4), Chunk(number=1, rungs=(busy,))])
    assert made.bandwidth == 1_000_000
    assert made.average_bandwidth == round(502_000 * 8 / 12)


def test_a_chunk_without_frames_lengthens_the_segment_before_it() -> None:
    plan = replace(PLAN, chunks=((0, 4_000_000), (4_000_000, 8_000_000), (8_000_000, 12_000_000)))
    (made,) = join_renditions(plan, [chunk(0, 0), chunk(1), chunk(2, 8)])
    assert [it.duration_us for it in made.segments] == [8_000_000, 4_000_000]


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([chunk(0, 0, 4)], "Of 2 chunks, 1 are there"),
        ([chunk(0, 0, 4), chunk(1, 8, init_digest="other")], "different initialisation sections"),
        ([chunk(0, 0, 4), chunk(1, 8, codecs="avc1.640028")], "different initialisation sections"),
        ([chunk(0, 0, 4), chunk(1, 4)], "overlap"),
    ],
)
def test_chunks_that_do_not_fit_are_not_joined(chunks: list[Chunk], reason: str) -> None:
    with pytest.raises(ChunksDontJoin, match=reason):
        join_renditions(PLAN, chunks)


def test_a_film_of_which_nothing_came_out_is_refused() -> None:
    with pytest.raises(Unplayable, match="nothing comes out"):
        join_renditions(PLAN, [chunk(0), chunk(1)])


async def test_mp4_files_are_joined_with_their_sound(tmp_path: Path) -> None:
    """Four chunks: in step to the end, index in front, within the limit, all frames, no titles of the source."""
    source = make_clip(pattern="sync", duration=17.0, metadata=["title=Secret"])
    info = await probe(source, SETTINGS)
    made = await make_ladder(source, info, subfolder(tmp_path, "ladder"), CHUNKS)
    sound = await make_sound(source, info, subfolder(tmp_path, "sound"), SETTINGS)
    for quality in ("1", "2"):
        parts = [Path(it.path) for chunk in made.chunks for it in chunk.parts if it.quality == quality]
        assert len(parts) == 4
        path = subfolder(tmp_path, quality) / "film.mp4"
        film = await join_mp4(quality, parts, Path(sound.tracks[quality]), path, SETTINGS)
        assert_decodes(path)
        assert [name for name, _, _ in top_boxes(path, ())][:2] == [b"ftyp", b"moov"]
        assert film.average_bandwidth <= MP4_LIMIT[quality]
        assert film.codecs.split(",")[1] == "mp4a.40.2"
        assert film.duration_ms == pytest.approx(17_000, abs=60)
        assert decode_picture(path).times == pytest.approx([number / 25 for number in range(425)], abs=0.001)
        seen, heard = flashes(path), beeps(path)
        assert len(seen) == len(heard) == 17
        assert heard == pytest.approx(seen, abs=0.02)
        assert b"Secret" not in path.read_bytes()
        assert [it.name for it in path.parent.iterdir()] == ["film.mp4"]


async def test_busy_parts_keep_their_share_of_the_limit(tmp_path: Path) -> None:
    """Noise needs several times what is allowed: parts are made again with fewer bits, and still fit each other."""
    source = make_clip(pattern="noise", size="426x240", duration=8.0, fps=15, acodec=None)
    info = await probe(source, SETTINGS)
    made = await make_ladder(source, info, subfolder(tmp_path, "ladder"), CHUNKS)
    for mp4 in made.plan.mp4s:
        parts = [Path(it.path) for chunk in made.chunks for it in chunk.parts if it.quality == mp4.quality]
        film = await join_mp4(mp4.quality, parts, None, tmp_path / f"{mp4.quality}.mp4", SETTINGS)
        assert film.average_bandwidth <= MP4_LIMIT[mp4.quality]
        with av.open(film.path) as container:
            assert sum(1 for _ in container.decode(video=0)) == 120


async def test_parts_of_different_films_are_not_joined(tmp_path: Path) -> None:
    parts = []
    for size in ("320x180", "320x240"):
        source = make_clip(size=size, duration=1.0)
        made = await make_ladder(source, await probe(source, SETTINGS), subfolder(tmp_path, size))
        parts.append(Path(made.chunks[0].parts[0].path))
    with pytest.raises(ChunksDontJoin, match="different headers"):
        await join_mp4("1", parts, None, tmp_path / "film.mp4", SETTINGS)
    assert not (tmp_path / "film.mp4").exists()
