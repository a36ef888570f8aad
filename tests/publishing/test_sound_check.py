"""Whether there is something to hear in a file, told while whoever sent it waits."""

import asyncio
from pathlib import Path

import pytest

from openstage.media.errors import ScratchFull, TookTooLong, ToolKilled, ToolMissing, Unplayable
from openstage.media.models import AudioStream, MediaInfo, VideoStream
from openstage.media.probe import SCAN_BYTES
from openstage.publishing.errors import NotAMedium
from openstage.publishing.sound_check import AT_ONCE, FIRST_LOOK, SoundCheck
from openstage.settings import Settings
from tests.support.fixtures import make_clip, run_ffmpeg

TONE = "aevalsrc=exprs=0.5*sin(2*PI*440*t):duration=3:sample_rate=44100"
FORMATS: dict[str, tuple[str | None, str]] = {
    "m4a": (None, "aac"),
    "mp3": (None, "mp3"),
    "wav": (None, "pcm"),
    "flac": (None, "flac"),
    "ogg": (None, "vorbis"),
    "opus": (None, "opus"),
    "webm": (None, "opus"),
    "amr": (None, "amr"),
    "aac": (None, "aac"),
    "ac3": (None, "ac3"),
    "aiff": (None, "pcm"),
    "mp4": ("h264", "aac"),
    "mov": ("h264", "alac"),
    "mkv": ("vp9", "opus"),
    "3gp": ("h263", "amr"),
    "avi": ("mpeg4", "mp3"),
    "flv": ("flv1", "mp3"),
    "ts": ("h264", "aac"),
    "mpg": ("mpeg1", "mp2"),
}
"""Container: codecs of picture and sound."""
READABLE_WHEN_CUT = ["mp3", "wav", "flac", "ogg", "aac", "amr", "ac3", "ts", "mpg"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def clip(container: str) -> Path:
    picture, sound = FORMATS[container]
    extra = {
        "aiff": ["-c:a", "pcm_s16be", "-f", "aiff"],
        "3gp": ["-s", "176x144"],
        "flv": ["-ar", "44100"],
    }
    channels, rate = (1, 8000) if sound == "amr" else (2, 48000 if sound == "opus" else 44100)
    return make_clip(
        container,
        picture,
        sound,
        duration=3.0,
        size="176x144",
        channels=channels,
        sample_rate=rate,
        extra=extra.get(container, []),
    )


@pytest.mark.parametrize("container", FORMATS)
async def test_whatever_holds_sound_passes(settings: Settings, container: str) -> None:
    await SoundCheck(settings).require_sound(clip(container))


@pytest.mark.parametrize(
    ("name", "options"), [("a.wma", ["-c:a", "wmav2"]), ("a.caf", ["-c:a", "pcm_s16le"]), ("a.mka", ["-c:a", "flac"])]
)
async def test_further_formats_pass(settings: Settings, tmp_path: Path, name: str, options: list[str]) -> None:
    run_ffmpeg("-f", "lavfi", "-i", TONE, *options, str(tmp_path / name))
    await SoundCheck(settings).require_sound(tmp_path / name)


async def test_a_picture_of_the_cover_is_no_film(settings: Settings) -> None:
    await SoundCheck(settings).require_sound(make_clip("mp3", None, "mp3", cover=True))


@pytest.mark.parametrize("container", READABLE_WHEN_CUT)
async def test_what_can_be_read_although_it_is_cut_off_passes(
    settings: Settings, tmp_path: Path, container: str
) -> None:
    whole = clip(container).read_bytes()
    cut = tmp_path / f"cut.{container}"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    await SoundCheck(settings).require_sound(cut)


@pytest.mark.parametrize("container", ["mp4", "webm", "avi", "ts"])
async def test_silent_films_do_not_pass(settings: Settings, container: str) -> None:
    codec = {"webm": "vp8", "avi": "mpeg4"}.get(container, "h264")
    with pytest.raises(NotAMedium, match="no sound"):
        await SoundCheck(settings).require_sound(make_clip(container, codec, None, duration=1.0))


async def test_sound_that_sets_in_late_is_found(settings: Settings, tmp_path: Path) -> None:
    film = tmp_path / "late.mkv"
    picture = make_clip("mkv", "mpeg4", None, duration=4.0, size="1280x720", pattern="noise", extra=["-q:v", "1"])
    sound = make_clip("flac", None, "flac", duration=1.0)
    run_ffmpeg(
        "-i", str(picture), "-itsoffset", "3.5", "-i", str(sound), "-c", "copy", "-map", "0", "-map", "1", str(film)
    )
    assert film.stat().st_size > 5 * FIRST_LOOK, "else the first look reads all of it"
    await SoundCheck(settings).require_sound(film)


class Looking:
    """Takes the probe's place: says what a test wants, or keeps its callers waiting."""

    def __init__(self, *says: Exception | MediaInfo) -> None:
        self.says = list(says)
        self.scans: list[int] = []
        self.under_way = self.most = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, path: Path, settings: Settings, *, scan_bytes: int) -> MediaInfo:
        self.scans.append(scan_bytes)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.go_on.wait()
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said


def medium(*, sound: bool) -> MediaInfo:
    picture = VideoStream(index=0, codec="h264", width=640, height=360, frame_rate=25, nominal_frame_rate=25)
    heard = AudioStream(index=1, codec="aac", channels=2, sample_rate=44100)
    return MediaInfo(
        container="mov", duration_ms=1000, bit_rate=1, byte_size=5, video=(picture,), audio=(heard,) if sound else ()
    )


def file_of(folder: Path, size: int) -> Path:
    path = folder / "file"
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize("error", [ToolMissing, ToolKilled, TookTooLong, ScratchFull, OSError])
async def test_what_cannot_be_looked_at_now_is_not_lost(
    settings: Settings, tmp_path: Path, error: type[Exception]
) -> None:
    await SoundCheck(settings, look=Looking(error("as it is"))).require_sound(file_of(tmp_path, 100))


async def test_nobody_waits_longer_than_the_limit(settings: Settings, tmp_path: Path) -> None:
    looking = Looking(medium(sound=False))
    looking.go_on.clear()
    check, path = SoundCheck(settings, look=looking), file_of(tmp_path, 100)
    await asyncio.gather(*(check.require_sound(path, seconds=0.05) for _ in range(AT_ONCE + 2)))
    assert looking.under_way == 0
    assert len(looking.scans) <= AT_ONCE + 2


async def test_few_files_are_looked_at_at_once(settings: Settings, tmp_path: Path) -> None:
    looking = Looking(medium(sound=True))
    check = SoundCheck(settings, look=looking)
    await asyncio.gather(*(check.require_sound(file_of(tmp_path, 100)) for _ in range(5 * AT_ONCE)))
    assert (looking.most, len(looking.scans)) == (AT_ONCE, 5 * AT_ONCE)


async def test_a_long_file_is_refused_only_after_a_thorough_look(settings: Settings, tmp_path: Path) -> None:
    path = file_of(tmp_path, FIRST_LOOK + 1)
    for first in (medium(sound=False), Unplayable("so it seems")):
        looking = Looking(first, medium(sound=True))
        await SoundCheck(settings, look=looking).require_sound(path)
        assert looking.scans == [FIRST_LOOK, SCAN_BYTES]
    looking = Looking(Unplayable("so it seems"), Unplayable("so it is"))
    with pytest.raises(NotAMedium, match="so it is"):
        await SoundCheck(settings, look=looking).require_sound(path)
    short = Looking(Unplayable("so it is"))
    with pytest.raises(NotAMedium, match="so it is"):
        await SoundCheck(settings, look=short).require_sound(file_of(tmp_path, FIRST_LOOK))
    assert len(short.scans) == 1, "all of it has been read"
