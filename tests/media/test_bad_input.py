"""Hostile and broken files: each is refused with a reason a person understands, and reaches nothing outside itself."""

import asyncio
import os
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openstage.media.errors import Unplayable
from openstage.media.helper import FORMATS
from openstage.media.models import MediaInfo
from openstage.media.pictures import make_pictures
from openstage.media.probe import probe
from openstage.media.sandbox import Limits, run
from openstage.media.signatures import HEAD, not_a_medium
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings
from tests.media.support import SETTINGS, convert, make_ladder
from tests.support.fixtures import ffmpeg, make_clip


def written(folder: Path, content: bytes | str) -> Path:
    """A file with this content."""
    path = folder / "sent"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


async def refused(path: Path, settings: Settings = SETTINGS) -> str:
    """The reason for which a file is refused."""
    with pytest.raises(Unplayable) as caught:
        await probe(path, settings)
    return caught.value.message


WORDS = "The quick brown fox. 快速的棕色狐狸。\n"
NO_MEDIA: dict[str, tuple[bytes | str, str]] = {
    "empty": (b"", "The file is empty."),
    "zeros": (bytes(100_000), "nothing but zeros"),
    "text": (WORDS * 3000, "This is a text file"),
    "short text": ("hello", "This is a text file"),
    "utf-16 text": (WORDS.encode("utf-16"), "This is a text file"),
    "html": ("<!DOCTYPE html><html><body>404</body></html>", "This is a text file"),
    "subtitles": ("1\n00:00:01,000 --> 00:00:02,000\nhello\n", "This is a text file"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "an archive (gzip)"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(100), "an archive (RAR)"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "an archive (7z)"),
    "tar": (b"name".ljust(257, b"\0") + b"ustar" + bytes(300), "an archive (tar)"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture (PNG)"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(100), "a picture (JPEG)"),
    "program": (b"\x7fELF\x02\x01\x01" + bytes(100), "a program"),
    "m3u8": ("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n", "a playlist"),
    "concat": ("ffconcat version 1.0\nfile /etc/passwd\n", "a playlist"),
    "bare concat": ("file '/etc/passwd'\n", "a playlist"),
    "dash": ('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>', "a playlist"),
    "sdp": ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n", "a playlist"),
    "pls": ("[playlist]\nFile1=/etc/passwd\n", "a playlist"),
    "noise": (random.Random(1).randbytes(100_000), "not a video or sound file"),
    "half a header": (b"\x00\x00\x00\x20ftypisom", "is cut off"),
}


@pytest.mark.parametrize("name", NO_MEDIA)
async def test_what_is_no_medium_is_named(name: str, tmp_path: Path) -> None:
    content, reason = NO_MEDIA[name]
    assert reason in await refused(written(tmp_path, content))


async def test_an_archive_of_a_film_is_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "film.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(make_clip())
    assert "an archive (ZIP)" in await refused(path)


def test_no_clip_is_taken_for_something_else() -> None:
    for container, vcodec, acodec in (
        *(("mp4", "h264", "aac"), ("mkv", "h264", "aac"), ("avi", "mpeg4", "mp3"), ("flv", "h264", "aac")),
        *(("ts", "mpeg2", "mp2"), ("mp3", None, "mp3"), ("aac", None, "aac"), ("flac", None, "flac")),
        *(("wav", None, "pcm"), ("ogg", None, "vorbis"), ("mpg", "mpeg1", "mp2")),
    ):
        assert not_a_medium(make_clip(container, vcodec, acodec).read_bytes()[:HEAD]) is None, container


@pytest.mark.parametrize(
    ("recipe", "share", "reason"),
    [
        ({"moov": "end"}, 0.9, "its index (moov) is missing"),
        ({"moov": "front", "duration": 4.0}, 0.5, "should last 4.0 s"),
        ({"container": "mkv", "duration": 4.0}, 0.5, "should last 4.0 s"),
        ({"container": "avi", "vcodec": "mpeg4", "acodec": "mp3", "duration": 4.0}, 0.5, "should last 4.0 s"),
    ],
)
async def test_a_file_that_is_cut_off_says_so(
    recipe: dict[str, object], share: float, reason: str, tmp_path: Path
) -> None:
    content = make_clip(**recipe).read_bytes()  # type: ignore[arg-type]
    message = await refused(written(tmp_path, content[: int(len(content) * share)]))
    assert message.startswith("The file is cut off")
    assert reason in message


async def test_a_broken_tail_is_no_reason_to_refuse(tmp_path: Path) -> None:
    content = make_clip(duration=9.0).read_bytes()
    path = written(tmp_path, content[: int(len(content) * 0.98)])
    info = await probe(path, SETTINGS)
    assert 8000 < info.duration_ms <= 9000
    folder = tmp_path / "made"
    folder.mkdir()
    made = await convert(path, folder)
    assert all(it.duration_ms > 8000 for it in made.renditions)


async def test_limits_are_named(tmp_path: Path) -> None:
    clip = make_clip(sound_tracks=2)
    assert "320×180 pixels" in await refused(clip, Settings(max_pixels=1000))
    assert "3 tracks" in await refused(clip, Settings(max_streams=2))
    assert "at most 1.0 s" in await refused(clip, Settings(max_duration=1))


async def test_a_gigantic_picture_takes_no_memory(tmp_path: Path) -> None:
    """The size in the file's header and in its codec's header is changed to 16000×16000."""
    content = bytearray(make_clip("avi", "mjpeg", None, size="64x64").read_bytes())
    for sign, at in ((b"vids", -1), (b"avih", 40), (b"strf", 12)):
        if at > 0:
            struct.pack_into("<II", content, content.index(sign) + at, 16000, 16000)
    marker = content.find(b"\xff\xc0")
    while marker >= 0:
        struct.pack_into(">HH", content, marker + 5, 16000, 16000)
        marker = content.find(b"\xff\xc0", marker + 2)
    reason = await refused(written(tmp_path, bytes(content)))
    assert "too large: 16000×16000" in reason


async def test_a_track_without_a_decoder_is_refused(tmp_path: Path) -> None:
    content = make_clip("mp4", acodec=None).read_bytes().replace(b"avc1", b"zzzz")
    assert "can't be" in await refused(written(tmp_path, content))


async def test_time_stamps_that_jump_by_hours_are_told(tmp_path: Path) -> None:
    content = bytearray(make_clip("flv", size="160x90", duration=1.0).read_bytes())
    tags, at = (
        [],
        13,
    )  # after the header: type, size (3), time stamp (3, 1 for bits 24 to 31), stream (3), body, size (4)
    while at + 11 < len(content):
        tags.append(at)
        at += 11 + int.from_bytes(content[at + 1 : at + 4], "big") + 4
    for tag in tags[len(tags) // 2 :]:
        content[tag + 4 : tag + 7] = (10_000_000 + tag).to_bytes(3, "big")
    assert "spread over 2:4" in await refused(written(tmp_path, bytes(content)))


async def fuzz(container: str, folder: Path, rounds: int) -> None:
    """Bring clips with bytes changed at random through all steps: some changes, then more and fewer."""
    chance = random.Random(container)
    codecs = {"avi": ("mpeg4", "mp3"), "ts": ("mpeg2", "mp2"), "webm": ("vp9", "opus")}.get(container, ("h264", "aac"))
    clip = make_clip(container, *codecs, size="160x90", duration=1.0, sample_rate=48000).read_bytes()
    for number in range(rounds):
        content = bytearray(clip)
        for _ in range(2 ** (2 + (number + 3) % 9)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        await published_or_refused(written(folder, bytes(content)), folder / str(number))


async def test_scrambled_bytes_end_in_a_reason_or_in_renditions(tmp_path: Path) -> None:
    for container in ("mp4", "mkv", "ts"):
        (tmp_path / container).mkdir()
        await fuzz(container, tmp_path / container, 1)


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm", "ts", "flv", "avi"])
async def test_many_scrambled_bytes_end_in_a_reason_or_in_renditions(container: str, tmp_path: Path) -> None:
    await fuzz(container, tmp_path, 60)


async def published_or_refused(path: Path, folder: Path) -> None:
    """Bring a file through all steps; anything but an end or a reason fails."""
    folder.mkdir()
    try:
        made = await convert(path, folder)
        await make_pictures(path, made.info, folder, SETTINGS)
    except Unplayable as error:
        message = error.message
    else:
        message = "Published."
    assert message.endswith(".")


class Canary:
    """A file that must not be read and a listener that must not be called."""

    def __init__(self, folder: Path, port: int) -> None:
        self.file = folder / "canary.ts"
        shutil.copy(make_clip("ts", "mpeg2", "mp2", duration=1.0), self.file)
        self.address = f"127.0.0.1:{port}"
        self.calls = 0

    def traps(self) -> Iterator[tuple[str, str]]:
        """Names of demuxers, and files of theirs that lead to the canaries."""
        for place in (self.file, f"file:{self.file}", f"http://{self.address}/x.ts", f"tcp://{self.address}"):
            yield "hls", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n"
            yield "concat", f"ffconcat version 1.0\nfile '{place}'\n"
            period = f"<Period><AdaptationSet><Representation id='1'><BaseURL>{place}</BaseURL></Representation>"
            yield "dash", f"<?xml version='1.0'?><MPD>{period}</AdaptationSet></Period></MPD>"
        yield "sdp", f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {self.address[10:]} RTP/AVP 33\n"


@pytest.fixture
async def canary(tmp_path: Path) -> Iterator[Canary]:  # type: ignore[misc]
    """The canaries; the test fails if the listener was called."""
    trap: Canary

    def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        trap.calls += 1
        writer.close()

    async with await asyncio.start_server(called, "127.0.0.1", 0) as server:
        trap = Canary(tmp_path, server.sockets[0].getsockname()[1])
        yield trap
    assert trap.calls == 0


async def test_playlists_reach_neither_files_nor_hosts(canary: Canary, tmp_path: Path) -> None:
    """Not even ffmpeg without our format list, told to take the playlist for one, gets at the canaries."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = str(find_ffmpeg(SETTINGS))
    for name, content in canary.traps():
        path = written(tmp_path, content)
        assert "playlist" in await refused(path)
        freed = ["-protocol_whitelist", "file,http,tcp,udp,rtp,crypto,data", "-allowed_extensions", "ALL"]
        freed = [*(freed if name in {"hls", "dash"} else freed[:2]), *(["-safe", "0"] if name == "concat" else [])]
        command = [
            program,
            "-v",
            "error",
            "-rw_timeout",
            "300000",
            *freed,
            "-f",
            name,
            "-i",
            str(path),
            "-f",
            "null",
            "-",
        ]
        if name == "sdp":
            command.remove("-rw_timeout")
            command.remove("300000")
        finished = await run(command, limits=Limits(seconds=20, cpu_seconds=9), readable=[path], writable=scratch)
        assert finished.status != 0, (name, content)
    assert canary.calls == 0


async def test_the_traps_are_real(canary: Canary, tmp_path: Path) -> None:
    """Without the sandbox ffmpeg falls into them: else the test above would show nothing."""
    hls, concat = [path for path in canary.traps() if path[0] in {"hls", "concat"}][:2]
    for name, content in (hls, concat):
        path = written(tmp_path, content)
        extra = ["-safe", "0"] if name == "concat" else ["-allowed_extensions", "ALL", "-extension_picky", "0"]
        command = [ffmpeg(), "-v", "error", *extra, "-f", name, "-i", str(path), "-f", "null", "-"]
        assert subprocess.run(command, check=False).returncode == 0
    path = written(tmp_path, f"ffconcat version 1.0\nfile 'http://{canary.address}/x.ts'\n")
    command = [ffmpeg(), "-v", "error", "-safe", "0", "-protocol_whitelist", "file,http,tcp", "-f", "concat", "-i"]
    process = await asyncio.create_subprocess_exec(
        *command, str(path), "-f", "null", "-", stderr=asyncio.subprocess.DEVNULL
    )
    await process.wait()
    assert canary.calls > 0
    canary.calls = 0


PROBES = """
import asyncio, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.media.test_bad_input import published_or_refused
for number, sent in enumerate(sorted(Path({folder!r}).glob("sent-*"))):
    asyncio.run(published_or_refused(sent, Path({folder!r}, f"made-{{number}}")))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
async def test_seen_from_the_kernel_nothing_else_is_opened(canary: Canary, tmp_path: Path) -> None:
    """strace of all processes over all steps, on traps and on a clip: no connect, and no canary opened."""
    traps = [content for _, content in canary.traps()]
    for number, content in enumerate(traps[:2]):
        # A byte in front hides the text from our own look at it: the demuxers get to see the file.
        (tmp_path / f"sent-{number}").write_bytes(b"\x00" + content.encode())
    shutil.copy(make_clip(size="160x90", duration=1.0), tmp_path / "sent-clip")
    trace = tmp_path / "trace"
    script = PROBES.format(path=sys.path, folder=str(tmp_path))
    command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,open,openat,openat2,execve", "-o", str(trace)]
    done = await asyncio.to_thread(
        subprocess.run, [*command, sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    assert any("sent-clip" in line for line in lines)
    assert any("execve" in line and "ffmpeg" in line for line in lines)
    assert [line for line in lines if "connect(" in line or "sa_family" in line] == []
    assert [line for line in lines if "canary" in line] == []
    assert (tmp_path / "made-2" / "pictures" / "img.jpg").exists()


def test_formats_that_open_other_files_are_not_among_ours() -> None:
    dangerous = {
        "hls",
        "dash",
        "concat",
        "concatf",
        "sdp",
        "rtsp",
        "image2",
        "imf",
        "webm_dash_manifest",
        "tty",
        "lavfi",
    }
    assert not dangerous & set(FORMATS)


async def test_a_medium_that_crashes_the_encoder_is_refused(tmp_path: Path) -> None:
    """Simulated by a program in ffmpeg's place that dies of SIGSEGV."""
    crasher = tmp_path / "ffmpeg"
    source = tmp_path / "crash.c"
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source.write_text("int main(void) { volatile int *nothing = 0; return *nothing; }\n")
    subprocess.run([compiler, str(source), "-o", str(crasher)], check=True)
    info: MediaInfo = await probe(make_clip(), SETTINGS)
    folder = tmp_path / "made"
    folder.mkdir()
    with pytest.raises(Unplayable, match="SIGSEGV"):
        await make_ladder(make_clip(), info, folder, Settings(ffmpeg=str(crasher), min_free=0))
    assert os.access(crasher, os.X_OK)
