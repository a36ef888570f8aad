"""The slow tier: every format with every oddity, and two hours at once."""

import subprocess
from pathlib import Path
from typing import Any

import av
import pytest

from openstage.media.pictures import make_pictures
from tests.media.checks import check
from tests.media.support import SETTINGS, Made, beeps, convert, decode_picture, flashes, whole
from tests.support.fixtures import cache_folder, ffmpeg, make_clip, run_ffmpeg

pytestmark = pytest.mark.slow

FILMS: dict[str, dict[str, Any]] = {
    "mp4-hevc": {"vcodec": "hevc"},
    "mp4-av1-opus": {"vcodec": "av1", "acodec": "opus", "sample_rate": 48000},
    "mp4-mpeg4-mp3": {"vcodec": "mpeg4", "acodec": "mp3"},
    "mp4-alac": {"acodec": "alac", "container": "mov"},
    "mp4-fragmented": {"extra": ["-movflags", "frag_keyframe+empty_moov"], "moov": "end", "duration": 5.0},
    "mov-prores-pcm": {"container": "mov", "vcodec": "prores", "pix_fmt": "yuv422p10le", "acodec": "pcm"},
    "mov-mjpeg": {"container": "mov", "vcodec": "mjpeg", "pix_fmt": "yuvj422p"},
    "mkv-h264-flac": {"container": "mkv", "acodec": "flac"},
    "mkv-av1-vorbis": {"container": "mkv", "vcodec": "av1", "acodec": "vorbis"},
    "mkv-av1-10bit": {"container": "mkv", "vcodec": "av1", "pix_fmt": "yuv420p10le"},
    "mkv-ac3-5.1": {"container": "mkv", "acodec": "ac3", "channels": 6, "sample_rate": 48000},
    "webm-vp8-vorbis": {"container": "webm", "vcodec": "vp8", "acodec": "vorbis"},
    "webm-vp9-alpha": {"container": "webm", "vcodec": "vp9", "acodec": None, "pix_fmt": "yuva420p"},
    "webm-av1-opus": {"container": "webm", "vcodec": "av1", "acodec": "opus", "sample_rate": 48000},
    "avi-h264-mp3": {"container": "avi", "acodec": "mp3"},
    "avi-mjpeg-pcm": {"container": "avi", "vcodec": "mjpeg", "pix_fmt": "yuvj420p", "acodec": "pcm"},
    "flv-sorenson-mp3": {"container": "flv", "vcodec": "flv1", "acodec": "mp3"},
    "ts-h264-aac": {"container": "ts", "duration": 5.0},
    "ts-hevc-ac3": {"container": "ts", "vcodec": "hevc", "acodec": "ac3", "sample_rate": 48000},
    "mpg-mpeg2-mp2": {"container": "mpg", "vcodec": "mpeg2", "acodec": "mp2"},
    "mpg-mpeg1-mp2": {"container": "mpg", "vcodec": "mpeg1", "acodec": "mp2"},
    "wmv": {"container": "wmv", "vcodec": "mpeg4", "acodec": "mp3"},
    "3gp-mpeg4-aac": {"container": "3gp", "vcodec": "mpeg4", "size": "176x144"},
    "odd-444": {"size": "321x181", "pix_fmt": "yuv444p"},
    "full-range": {"pix_fmt": "yuvj420p"},
    "grey": {"pix_fmt": "gray"},
    "rgb": {"container": "mkv", "pix_fmt": "gbrp", "extra": ["-c:v", "libx264rgb"]},
    "narrow": {"size": "64x480"},
    "tiny": {"size": "16x16"},
    "anamorphic": {"size": "360x288", "extra": ["-aspect", "16:9"]},
    "turned-180": {"container": "mov", "rotation": 180},
    "turned-270-odd": {"container": "mp4", "rotation": 270, "size": "182x322"},
    "rate-23.976": {"fps": 23.976, "duration": 9.0},
    "rate-29.97-mkv": {"fps": 29.97, "container": "mkv", "duration": 9.0},
    "rate-59.94-flv": {"fps": 59.94, "container": "flv", "duration": 9.0},
    "rate-50-ts": {"fps": 50, "container": "ts", "duration": 9.0},
    "rate-120": {"fps": 120, "duration": 5.0},
    "rate-5": {"fps": 5, "duration": 9.0},
    "rate-1": {"fps": 1, "duration": 9.0},
    "vfr-mkv": {"vfr": True, "container": "mkv", "duration": 10.0},
    "vfr-60": {"vfr": True, "fps": 60, "duration": 10.0},
    "one-frame": {"fps": 25, "duration": 0.04, "acodec": None},
    "mono-16k": {"channels": 1, "sample_rate": 16000, "acodec": "mp3", "container": "mkv"},
    "sound-late": {"sound_delay": 1.5},
    "sound-longer": {"duration": 1.0, "sound_duration": 6.0},
    "sound-shorter": {"duration": 6.0, "sound_duration": 1.0},
    "covered": {"cover": True},
    "1080p": {"size": "1920x1080", "duration": 1.0},
    "4k": {"size": "3840x2160", "duration": 0.4},
}
SOUNDS: dict[str, dict[str, Any]] = {
    "mp3": {"container": "mp3", "acodec": "mp3"},
    "m4a-covered": {"container": "m4a", "acodec": "aac", "cover": True},
    "m4a-alac": {"container": "m4a", "acodec": "alac"},
    "adts": {"container": "aac", "acodec": "aac"},
    "flac-covered": {"container": "flac", "acodec": "flac", "cover": True},
    "ogg": {"container": "ogg", "acodec": "vorbis"},
    "opus": {"container": "opus", "acodec": "opus", "sample_rate": 48000},
    "wav-96k": {"container": "wav", "acodec": "pcm", "sample_rate": 96000},
    "aiff": {"container": "aiff", "acodec": "pcm", "extra": ["-c:a", "pcm_s16be"]},
    "amr": {"container": "amr", "acodec": "amr", "channels": 1, "sample_rate": 8000},
    "mka-5.1": {"container": "mkv", "acodec": "ac3", "channels": 6, "sample_rate": 48000},
    "webm": {"container": "webm", "acodec": "opus", "sample_rate": 48000},
    "half-a-second": {"container": "mp3", "acodec": "mp3", "duration": 0.5},
}


async def whole_way(source: Path, folder: Path, tolerance: float = 0.12) -> Made:
    """All steps, all checks."""
    made = await convert(source, folder)
    check(made, tolerance)
    pictures = await make_pictures(source, made.info, folder, SETTINGS)
    assert [it.kind for it in pictures] == ["original", "img", "thumbnail"]
    return made


@pytest.mark.parametrize("name", FILMS)
async def test_films(name: str, tmp_path: Path) -> None:
    made = await whole_way(make_clip(**FILMS[name]), tmp_path)
    assert made.qualities("hls_video")
    assert bool(made.of("hls_audio")) == (FILMS[name].get("acodec", "aac") is not None)


@pytest.mark.parametrize("name", SOUNDS)
async def test_sounds(name: str, tmp_path: Path) -> None:
    made = await whole_way(make_clip(vcodec=None, **SOUNDS[name]), tmp_path)
    files = [("mp4", "1"), ("mp4", "2"), ("mp3", "1"), ("mp3", "2")]
    assert [(it.kind, it.quality) for it in made.renditions] == [("hls_audio", "a"), *files]


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "avi", "flv", "ts", "webm"])
async def test_picture_and_sound_in_step(container: str, tmp_path: Path) -> None:
    codecs = {"avi": ("mpeg4", "mp3"), "webm": ("vp9", "opus"), "ts": ("mpeg2", "mp2")}.get(container, ("h264", "aac"))
    made = await convert(make_clip(container, *codecs, pattern="sync", duration=10.0, sample_rate=48000), tmp_path)
    seen = flashes(whole(made.of("hls_video")[0]))
    heard = beeps(whole(made.of("hls_audio")[0]))
    assert len(seen) == len(heard) == 10
    # MP3 in AVI: the format has no place for the encoder's delay.
    assert heard == pytest.approx(seen, abs=0.035 if container == "avi" else 0.021)


async def test_a_cut_that_left_an_edit_list(tmp_path: Path) -> None:
    """Cut without re-encoding in the middle of a group of pictures: the edit list hides what comes before."""
    source, cut = make_clip(pattern="sync", duration=6.0), tmp_path / "cut.mp4"
    run_ffmpeg("-ss", "2.5", "-i", str(source), "-c", "copy", str(cut))
    folder = tmp_path / "made"
    folder.mkdir()
    made = await whole_way(cut, folder)
    seen, heard = flashes(whole(made.of("hls_video")[0])), beeps(whole(made.of("hls_audio")[0]))
    assert seen == pytest.approx([0.5, 1.5, 2.5], abs=0.05)
    assert heard == pytest.approx(seen, abs=0.03)


async def test_a_picture_that_begins_late(tmp_path: Path) -> None:
    source, folder = tmp_path / "late.mkv", tmp_path / "made"
    folder.mkdir()
    clip = make_clip(pattern="sync", duration=3.0)
    inputs = ["-itsoffset", "1.5", "-i", str(clip), "-i", str(clip), "-map", "0:v", "-map", "1:a"]
    run_ffmpeg(*inputs, "-c", "copy", str(source))
    made = await convert(source, folder)
    picture = made.of("hls_video")[0]
    assert picture.segments[0].start_us == 0
    assert picture.duration_ms == pytest.approx(4500, abs=100)
    seen = flashes(whole(picture))
    assert seen[1:] == pytest.approx([2.5, 3.5], abs=0.05)
    assert beeps(whole(made.of("hls_audio")[0])) == pytest.approx([0.0, 1.0, 2.0], abs=0.03)


async def test_a_song_with_one_picture(tmp_path: Path) -> None:
    source, folder = tmp_path / "song.mp4", tmp_path / "made"
    folder.mkdir()
    still = ["-f", "lavfi", "-i", "testsrc=size=320x180:rate=1/20:duration=20"]
    sound = ["-f", "lavfi", "-i", "sine=duration=20"]
    run_ffmpeg(*still, *sound, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", str(source))
    made = await whole_way(source, folder)
    assert len(made.of("hls_video")[0].segments) == 5


async def test_a_screen_recording_with_long_pauses(tmp_path: Path) -> None:
    source, folder = tmp_path / "screen.mkv", tmp_path / "made"
    folder.mkdir()
    graph = "testsrc2=size=320x180:rate=25:duration=30,select='lt(t,2)+between(t,13,15)+gt(t,28)'"
    run_ffmpeg("-f", "lavfi", "-i", graph, "-fps_mode", "vfr", "-c:v", "libx264", str(source))
    made = await convert(source, folder)
    picture = made.of("hls_video")[0]
    assert picture.duration_ms == pytest.approx(30_000, abs=100)
    decoded = decode_picture(whole(picture))
    assert decoded.keyframes == pytest.approx([segment.start_us / 1e6 for segment in picture.segments], abs=0.001)
    assert len(picture.segments) == 3
    assert next(time for time in decoded.times if 2.1 < time < 27.9) == pytest.approx(13.0, abs=0.05)


async def test_interlaced_pictures_lose_their_combs(tmp_path: Path) -> None:
    source = tmp_path / "interlaced.ts"
    graph = "testsrc2=size=352x288:rate=50:duration=2,tinterlace=interleave_top,setfield=tff"
    flags = ["-c:v", "mpeg2video", "-q:v", "3", "-flags", "+ildct+ilme", "-f", "mpegts"]
    run_ffmpeg("-f", "lavfi", "-i", graph, *flags, str(source))
    folder = tmp_path / "made"
    folder.mkdir()
    made = await whole_way(source, folder)
    assert made.info.main_video is not None
    assert made.info.main_video.interlaced
    assert made.of("hls_video")[-1].frame_rate == 25


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
async def test_hdr_becomes_bt709(transfer: str, tmp_path: Path) -> None:
    source = tmp_path / "hdr.mp4"
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    graph = f"testsrc2=size=320x180:rate=25:duration=1,format=yuv420p10le,{tags}"
    run_ffmpeg("-f", "lavfi", "-i", graph, "-c:v", "libx265", "-x265-params", "log-level=error", str(source))
    folder = tmp_path / "made"
    folder.mkdir()
    made = await whole_way(source, folder)
    assert made.info.main_video is not None
    assert made.info.main_video.hdr
    with av.open(str(whole(made.of("hls_video")[0]))) as container:
        frame = next(container.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)) == (1, 1, 1)
        grey = bytes(frame.reformat(width=64, height=36, format="gray").planes[0])
    assert max(grey) - min(grey) > 100  # neither black nor washed out


async def test_a_picture_whose_size_changes(tmp_path: Path) -> None:
    source = tmp_path / "changing.ts"
    parts = [make_clip("ts", "mpeg2", "mp2", size=size) for size in ("320x180", "240x180")]
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    folder = tmp_path / "made"
    folder.mkdir()
    made = await whole_way(source, folder, tolerance=0.3)
    assert made.info.duration == pytest.approx(4.0, abs=0.3)


async def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    content = bytearray(make_clip("ts", "mpeg2", "mp2", duration=6.0).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    source, folder = tmp_path / "damaged.ts", tmp_path / "made"
    source.write_bytes(content)
    folder.mkdir()
    await whole_way(source, folder, tolerance=0.3)


async def test_colours_stay_the_same_on_all_rungs(tmp_path: Path) -> None:
    """A plain red, from BT.601 and from BT.709: every rung gives back the same red."""
    for matrix in ("bt470bg", "bt709"):
        source, folder = tmp_path / f"{matrix}.mp4", tmp_path / matrix
        folder.mkdir()
        scale = f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p"
        tags = f"setparams=color_primaries=bt709:color_trc=bt709:colorspace={matrix}:range=tv"
        graph = f"color=0xc83214:size=640x360:rate=25:duration=1,format=rgb24,{scale},{tags}"
        run_ffmpeg("-f", "lavfi", "-i", graph, "-c:v", "libx264", str(source))
        made = await convert(source, folder)
        for rendition in [*made.of("hls_video"), *made.of("mp4")]:
            look = ["-vf", "scale=1:1:in_color_matrix=bt709:in_range=tv", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
            command = [ffmpeg(), "-v", "error", "-i", str(whole(rendition)), "-frames:v", "1", *look]
            raw = subprocess.run(command, capture_output=True, check=True).stdout
            assert list(raw) == pytest.approx([0xC8, 0x32, 0x14], abs=6), (matrix, rendition.quality)


def two_hours() -> Path:
    """A film of two hours, joined from one of a minute."""
    target = cache_folder() / "two-hours.mp4"
    if not target.exists():
        minute = make_clip(size="256x144", duration=60.0, fps=12, pattern="sync")
        listing = cache_folder() / "two-hours.txt"
        listing.write_text(f"file '{minute}'\n" * 120)
        made = cache_folder() / "two-hours-new.mp4"
        run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(listing), "-c", "copy", "-movflags", "+faststart", str(made))
        made.replace(target)
    return target


async def test_two_hours(tmp_path: Path) -> None:
    made = await convert(two_hours(), tmp_path)
    picture, sound = made.of("hls_video")[0], made.of("hls_audio")[0]
    assert picture.duration_ms == pytest.approx(7_200_000, abs=3000)
    assert len(picture.segments) == pytest.approx(1800, abs=2)
    assert sound.duration_ms == pytest.approx(picture.duration_ms, abs=500)
    check(made, tolerance=1.0)
    first, last = picture.segments[0], picture.segments[-1]
    lasts = last.start_us + last.duration_us - first.start_us
    assert lasts / 1000 == pytest.approx(picture.duration_ms, abs=2)
    assert len(decode_picture(whole(made.of("mp4", "1")[0])).times) == pytest.approx(86_400, abs=20)
