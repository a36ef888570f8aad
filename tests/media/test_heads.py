"""An upload tells what it holds as soon as its header has arrived, and bytes that haven't are never believed."""

import os
from pathlib import Path
from typing import Any

import pytest

from openstage.media.errors import Unplayable
from openstage.media.first import plan_first
from openstage.media.heads import Head, NotYet, probe_head
from openstage.media.probe import probe, probe_quickly
from openstage.settings import Settings
from tests.media.support import SETTINGS
from tests.support.fixtures import make_clip

BIG: dict[str, Any] = {"pattern": "noise", "size": "640x360", "duration": 10.0}
SLOW: list[str] = ["-g", "25", "-b:v", "3M"]

# What is sent -> whether segments can be made of its beginning; share of the file with which that is known.
CASES: dict[str, tuple[dict[str, Any], bool, float]] = {
    "mp4": ({**BIG, "extra": SLOW}, True, 0.5),
    "mp4-moov-last": ({**BIG, "extra": SLOW, "moov": "end"}, False, 0.5),
    "mp4-fragmented": (
        {**BIG, "moov": "end", "extra": [*SLOW, "-movflags", "frag_keyframe+empty_moov"]},
        True,
        0.8,
    ),
    "mkv": ({**BIG, "container": "mkv", "extra": SLOW}, True, 0.8),
    "ts": ({**BIG, "container": "ts", "extra": SLOW}, True, 0.8),
    "flv": ({**BIG, "container": "flv", "extra": SLOW}, True, 0.8),
    "webm": (
        {**BIG, "container": "webm", "vcodec": "vp8", "acodec": "opus", "sample_rate": 48000, "extra": ["-b:v", "6M"]},
        True,
        0.9,
    ),
    "avi": ({**BIG, "container": "avi", "vcodec": "mpeg4", "acodec": "mp3", "extra": ["-q:v", "2"]}, False, 0.9),
    "flac": ({"container": "flac", "vcodec": None, "acodec": "flac", "duration": 60.0}, True, 0.9),
    "small": ({}, True, 1.0),
}


class Staging:
    """A file of rubbish in which nothing but what has arrived is true."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.content = source.read_bytes()
        self.size = len(self.content)
        self.path = folder / "staging"
        self.path.write_bytes(os.urandom(self.size))
        self.ranges: list[tuple[int, int]] = []

    def arrive(self, begin: int, end: int) -> None:
        with self.path.open("r+b") as file:
            file.seek(begin)
            file.write(self.content[begin:end])
        joined: list[tuple[int, int]] = []
        for first, last in sorted([*self.ranges, (begin, end)]):
            if joined and first <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        self.ranges = joined

    @property
    def share(self) -> float:
        return sum(end - begin for begin, end in self.ranges) / self.size


@pytest.mark.parametrize("case", CASES)
async def test_the_header_is_enough(case: str, tmp_path: Path) -> None:
    recipe, can_feed, share = CASES[case]
    source = make_clip(**recipe)
    whole = await probe(source, SETTINGS)
    staging = Staging(source, tmp_path)
    for _ in range(12):
        found = await probe_head(staging.path, staging.size, staging.ranges, SETTINGS)
        if isinstance(found, Head):
            break
        assert not any(begin <= found.wants[0] and found.wants[1] <= end for begin, end in staging.ranges)
        staging.arrive(*found.wants)
    assert isinstance(found, Head)
    assert found.can_feed is can_feed
    assert staging.share <= share
    assert found.sure is (whole.container == "mov" and case != "mp4-fragmented")
    assert [plain(stream) for stream in found.info.video] == [plain(stream) for stream in whole.video]
    assert [(it.codec, it.channels, it.sample_rate) for it in found.info.audio] == [
        (it.codec, it.channels, it.sample_rate) for it in whole.audio
    ]
    assert found.info.container == whole.container
    assert found.info.duration == pytest.approx(whole.duration, rel=0.6 if case in {"ts", "mp4-fragmented"} else 0.02)
    mine, theirs = plan_first(found.info, SETTINGS), plan_first(whole, SETTINGS)
    assert (mine.video and mine.video.copy, mine.sound and mine.sound.copy) == (
        theirs.video and theirs.video.copy,
        theirs.sound and theirs.sound.copy,
    )


def plain(stream: Any) -> tuple[Any, ...]:
    """What a header tells of a picture."""
    return (stream.codec, stream.width, stream.height, stream.pixel_format, stream.nominal_frame_rate, stream.quirks)


async def test_the_whole_file_needs_no_second_look(tmp_path: Path) -> None:
    for recipe in (
        {},
        {"container": "mkv", "vcodec": "hevc"},
        {"container": "ogg", "vcodec": None, "acodec": "vorbis"},
    ):
        source = make_clip(**recipe)
        size = source.stat().st_size
        assert isinstance(await probe_head(source, size, [(0, size)], SETTINGS), Head)


async def test_an_index_that_points_behind_the_end_settles_nothing(tmp_path: Path) -> None:
    content = make_clip(**BIG, extra=SLOW).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) * 3 // 4])
    size = cut.stat().st_size
    found = await probe_head(cut, size, [(0, size)], SETTINGS)
    assert isinstance(found, Head)
    assert not found.sure
    with pytest.raises(Unplayable, match="cut off"):
        await probe_quickly(cut, SETTINGS)


async def test_what_can_never_be_published_is_told_at_once(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"Dear reader, " * 10_000)
    with pytest.raises(Unplayable, match="text file"):
        await probe_head(text, 1_000_000_000, [(0, 100_000)], SETTINGS)
    staging = Staging(make_clip(**BIG, extra=SLOW), tmp_path)
    staging.arrive(0, staging.size // 2)
    with pytest.raises(Unplayable, match="too large"):
        await probe_head(staging.path, staging.size, staging.ranges, Settings(max_pixels=10_000))


async def test_damage_is_told_when_all_is_there(tmp_path: Path) -> None:
    content = make_clip(**BIG, extra=SLOW, moov="end").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) // 2])
    size = cut.stat().st_size
    assert isinstance(await probe_head(cut, 2 * size, [(0, size)], SETTINGS), NotYet)
    with pytest.raises(Unplayable):
        await probe_head(cut, size, [(0, size)], SETTINGS)
