"""Every kind of file becomes renditions that decode without a word, last as long as the source and keep in step."""

import asyncio
from pathlib import Path
from typing import Any

import av
import pytest

from openstage.media.commands import MP4_LIMIT
from openstage.media.errors import ScratchFull
from openstage.media.pictures import make_pictures
from openstage.media.probe import probe
from openstage.settings import Settings
from tests.media.checks import check
from tests.media.support import (
    CHUNKS,
    SETTINGS,
    assert_decodes,
    beeps,
    convert,
    flashes,
    make_ladder,
    whole,
    write_playlist,
)
from tests.support.fixtures import make_clip

# What is sent -> qualities of the picture that come out of it.
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "mp4-moov-end-two-segments": ({"moov": "end", "duration": 5.0, "size": "426x240"}, ["96", "1"]),
    "mov-turned": ({"container": "mov", "rotation": 90}, ["96"]),
    "mkv-hevc-10bit-50fps": (
        {"container": "mkv", "vcodec": "hevc", "pix_fmt": "yuv420p10le", "fps": 50, "size": "426x240", "duration": 4.5},
        ["96", "1"],
    ),
    "webm-vp9-opus-odd-size": (
        {"container": "webm", "vcodec": "vp9", "acodec": "opus", "sample_rate": 48000, "size": "321x181"},
        ["96"],
    ),
    "avi-asp-mp3": ({"container": "avi", "vcodec": "mpeg4", "acodec": "mp3", "size": "176x144"}, ["96"]),
    "flv-vfr-no-sound": ({"container": "flv", "acodec": None, "vfr": True}, ["96"]),
    "ts-mpeg2-cover-free": ({"container": "ts", "vcodec": "mpeg2", "acodec": "mp2"}, ["96"]),
    "3gp-h263-amr": (
        {"container": "3gp", "vcodec": "h263", "acodec": "amr", "size": "176x144", "channels": 1, "sample_rate": 8000},
        ["96"],
    ),
    "half-a-second-two-tracks": ({"duration": 0.5, "sound_tracks": 2}, ["96"]),
    "sound-with-cover": ({"container": "mp3", "vcodec": None, "acodec": "mp3", "cover": True}, []),
}


@pytest.mark.parametrize("case", CASES)
async def test_every_kind_of_file_becomes_playable(case: str, tmp_path: Path) -> None:
    recipe, qualities = CASES[case]
    made = await convert(make_clip(**recipe), tmp_path)
    assert made.qualities("hls_video") == qualities
    assert made.qualities("hls_audio") == (["a"] if recipe.get("acodec", "aac") else [])
    assert made.qualities("mp4") == ["1", "2"]
    check(made)


async def test_a_turned_picture_stands_upright(tmp_path: Path) -> None:
    made = await convert(make_clip(container="mov", rotation=90), tmp_path)
    assert {(it.width, it.height) for it in made.of("hls_video") + made.of("mp4")} == {(180, 320)}


async def test_nothing_is_written_but_what_is_told(tmp_path: Path) -> None:
    source = make_clip(duration=9.0)
    made = await make_ladder(source, await probe(source, SETTINGS), tmp_path, CHUNKS)
    told = {part.init_path for chunk in made.chunks for part in chunk.rungs}
    told |= {segment.path for rung in made.renditions for segment in rung.segments}
    told |= {part.path for chunk in made.chunks for part in chunk.parts}
    assert len(made.chunks) == 2
    assert {str(path) for path in tmp_path.rglob("*") if path.is_file()} == told


async def test_sixty_frames_stay_sixty_above_and_become_thirty_below(tmp_path: Path) -> None:
    made = await convert(make_clip(size="720x720", fps=60, duration=4.2, acodec=None, pattern="sync"), tmp_path)
    rates = {it.quality: it.frame_rate for it in made.of("hls_video")}
    assert rates == {"96": 30, "1": 30, "2": 30, "3": 30, "4": 60}
    check(made)


@pytest.mark.parametrize("container", ["mp4", "flv"])
async def test_picture_and_sound_keep_in_step(container: str, tmp_path: Path) -> None:
    made = await convert(make_clip(container, pattern="sync", duration=5.0), tmp_path)
    for picture, sound in (
        (whole(made.of("hls_video", "96")[0]), whole(made.of("hls_audio")[0])),
        (whole(made.of("mp4", "1")[0]), whole(made.of("mp4", "1")[0])),
    ):
        seen, heard = flashes(picture), beeps(sound)
        assert len(seen) == len(heard) == 5
        assert heard == pytest.approx(seen, abs=0.02)


async def test_sound_that_begins_late_stays_late(tmp_path: Path) -> None:
    made = await convert(make_clip(pattern="sync", duration=3.0, sound_delay=0.5), tmp_path)
    heard = beeps(whole(made.of("hls_audio")[0]))
    seen = flashes(whole(made.of("hls_video")[0]))
    assert [late - early for early, late in zip(seen, heard, strict=True)] == pytest.approx([0.5] * 3, abs=0.02)


async def test_the_shorter_track_is_filled_up(tmp_path: Path) -> None:
    longer_sound = await convert(make_clip(duration=1.0, sound_duration=3.0), tmp_path)
    assert longer_sound.of("hls_video")[0].duration_ms == pytest.approx(3000, abs=100)
    other = tmp_path / "other"
    other.mkdir()
    longer_picture = await convert(make_clip(duration=3.0, sound_duration=1.0), other)
    assert longer_picture.of("hls_audio")[0].duration_ms == pytest.approx(3000, abs=50)


async def test_the_default_sound_track_is_the_one_that_is_heard(tmp_path: Path) -> None:
    made = await convert(make_clip(sound_tracks=2, container="mkv"), tmp_path)
    assert made.info.main_audio is not None
    assert (made.info.main_audio.language, len(made.info.audio)) == ("zho", 2)
    assert pitch(whole(made.of("hls_audio")[0])) == pytest.approx(880, abs=20)


def pitch(path: Path) -> float:
    """Pitch of the left channel of a pure tone, by counting its passages through zero."""
    crossings, count, last = 0, 0, 0.0
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        for frame in list(container.decode(audio=0))[10:40]:
            samples = memoryview(bytes(frame.planes[0])).cast("f")[: frame.samples]
            for sample in samples:
                crossings += last < 0 <= sample
                last = sample
            count += len(samples)
    return crossings * rate / count


async def test_place_and_device_are_not_passed_on(tmp_path: Path) -> None:
    tags = ["location=+48.2+016.4/", "com.apple.quicktime.make=Secret", "title=Secret", "comment=Secret"]
    source = make_clip("mov", metadata=tags, extra=["-movflags", "use_metadata_tags"])
    assert b"Secret" in source.read_bytes()
    made = await convert(source, tmp_path)
    for rendition in made.renditions:
        content = whole(rendition).read_bytes()
        assert b"Secret" not in content
        assert b"48.2" not in content


async def test_busy_pictures_keep_the_limits_of_the_mp4_files(tmp_path: Path) -> None:
    made = await convert(make_clip(pattern="noise", size="640x360", duration=1.0), tmp_path)
    for rendition in made.of("mp4"):
        assert rendition.average_bandwidth <= MP4_LIMIT[rendition.quality]
    for rendition in made.of("hls_video"):
        assert_decodes(whole(rendition))


async def test_playlists_of_the_segments_play(tmp_path: Path) -> None:
    made = await convert(make_clip(duration=5.0), tmp_path)
    for rendition in made.of("hls_video") + made.of("hls_audio"):
        assert_decodes(write_playlist(rendition))


async def test_names_of_files_and_folders_mean_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "%d; [a] 'quote', 目录 #?"
    folder.mkdir()
    source = tmp_path / "file:it's, a [film]:%05d|影片\n.mp4"
    source.write_bytes(make_clip().read_bytes())
    made = await convert(source, folder)
    assert len(made.renditions) == 4
    assert len(await make_pictures(source, made.info, folder, SETTINGS)) == 3


async def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ScratchFull):
        await convert(make_clip(), tmp_path, Settings(min_free=1 << 60))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_two_conversions_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = await asyncio.gather(*(convert(make_clip(), folder, SETTINGS) for folder in folders))
    assert [it.duration_ms for it in one.renditions] == [it.duration_ms for it in two.renditions]
    for rendition in (*one.renditions, *two.renditions):
        assert_decodes(whole(rendition))
