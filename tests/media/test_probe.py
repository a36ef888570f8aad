"""What the probe tells of every kind of file, whatever the file's header says."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openstage.media.models import MediaInfo
from openstage.media.probe import probe
from tests.media.support import SETTINGS
from tests.support.fixtures import make_clip, run_ffmpeg

# Recipe -> container, codecs of the picture and of the sound tracks.
KINDS: list[tuple[dict[str, Any], str, str | None, list[str]]] = [
    ({}, "mov", "h264", ["aac"]),
    ({"container": "mkv", "vcodec": "hevc", "pix_fmt": "yuv420p10le"}, "matroska", "hevc", ["aac"]),
    ({"container": "webm", "vcodec": "vp9", "acodec": "opus", "sample_rate": 48000}, "matroska", "vp9", ["opus"]),
    ({"container": "avi", "vcodec": "mpeg4", "acodec": "mp3"}, "avi", "mpeg4", ["mp3"]),
    ({"container": "flv"}, "flv", "h264", ["aac"]),
    ({"container": "ts", "vcodec": "mpeg2", "acodec": "mp2"}, "mpegts", "mpeg2video", ["mp2"]),
    ({"container": "mkv", "sound_tracks": 2}, "matroska", "h264", ["aac", "aac"]),
    ({"acodec": None}, "mov", "h264", []),
    ({"container": "flac", "vcodec": None, "acodec": "flac"}, "flac", None, ["flac"]),
]


async def test_containers_codecs_and_durations() -> None:
    found = await asyncio.gather(*(probe(make_clip(**recipe), SETTINGS) for recipe, *_ in KINDS))
    for info, (_, container, picture, sounds) in zip(found, KINDS, strict=True):
        assert info.container == container
        assert (info.main_video.codec if info.main_video else None) == picture
        assert [track.codec for track in info.audio] == sounds
        assert info.duration == pytest.approx(2.0, abs=0.06)
        if info.main_video:
            assert (info.main_video.frame_rate, info.main_video.variable_frame_rate) == (25.0, False)
        assert msgspec.convert(msgspec.to_builtins(info), MediaInfo) == info


async def test_depth_turn_and_pace() -> None:
    deep = (await probe(make_clip("mkv", "hevc", pix_fmt="yuv420p10le"), SETTINGS)).main_video
    assert deep is not None
    assert (deep.bit_depth, deep.pixel_format, deep.profile) == (10, "yuv420p10le", "Main 10")
    turned = (await probe(make_clip("mov", rotation=90), SETTINGS)).main_video
    assert turned is not None
    assert (turned.rotation, turned.display_size) == (270, (180, 320))
    varying = (await probe(make_clip(vfr=True), SETTINGS)).main_video
    assert varying is not None
    assert varying.variable_frame_rate
    assert varying.nominal_frame_rate == 25


async def test_languages_defaults_and_covers() -> None:
    info = await probe(make_clip("mkv", sound_tracks=2), SETTINGS)
    assert [(track.language, track.default) for track in info.audio] == [("eng", False), ("zho", True)]
    song = await probe(make_clip("mp3", None, "mp3", cover=True), SETTINGS)
    assert song.sound_only
    assert [(cover.codec, cover.width, cover.height) for cover in song.covers] == [("mjpeg", 400, 400)]
    film = await probe(make_clip(cover=True), SETTINGS)
    assert len(film.video) == len(film.covers) == 1


async def test_late_sound_is_told() -> None:
    info = await probe(make_clip(sound_delay=0.7), SETTINGS)
    assert info.main_audio is not None
    assert info.main_audio.start == pytest.approx(0.7, abs=0.03)


async def test_a_header_that_lies_about_the_duration(tmp_path: Path) -> None:
    content = bytearray(make_clip("flv").read_bytes())
    at = content.index(b"duration\x00") + 9
    struct.pack_into(">d", content, at, 7200.0)
    path = tmp_path / "lying.flv"
    path.write_bytes(content)
    assert (await probe(path, SETTINGS)).duration == pytest.approx(2.04, abs=0.05)


async def test_a_live_recording_without_duration(tmp_path: Path) -> None:
    path = tmp_path / "live.webm"
    clip = make_clip("webm", "vp9", "opus", sample_rate=48000)
    run_ffmpeg("-i", str(clip), "-c", "copy", "-live", "1", "-f", "webm", str(path))
    assert (await probe(path, SETTINGS)).duration == pytest.approx(2.0, abs=0.06)


async def test_a_cut_transport_stream_lasts_as_long_as_it_does(tmp_path: Path) -> None:
    content = make_clip("ts", "mpeg2", "mp2", duration=4.0).read_bytes()
    path = tmp_path / "cut.ts"
    path.write_bytes(content[len(content) // 2 :])  # begins in the middle
    assert (await probe(path, SETTINGS)).duration == pytest.approx(2.0, abs=0.3)


async def test_two_recordings_in_one_transport_stream(tmp_path: Path) -> None:
    path, late = tmp_path / "joined.ts", tmp_path / "late.ts"
    clip = make_clip("ts", "mpeg2", "mp2")
    run_ffmpeg("-i", str(clip), "-c", "copy", "-output_ts_offset", "5000", str(late))
    path.write_bytes(clip.read_bytes() + late.read_bytes())
    assert (await probe(path, SETTINGS)).duration == pytest.approx(4.0, abs=0.2)
