"""The first rendition of any file: the right pieces, in order, in step, whole, each as soon as it can be."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import psutil
import pytest
import uvloop

from openstage.media import making, watching
from openstage.media.errors import Unplayable
from openstage.media.first import plan_first
from openstage.media.growing import Done, GrownSegment, Track, grow
from openstage.media.probe import probe
from tests.media.growth import Grown, check, make
from tests.media.support import SETTINGS, assert_decodes, beeps, decode_picture, flashes
from tests.support.fixtures import make_clip, run_ffmpeg
from tests.support.waiting import wait_until

B_FRAMES = ["-bf", "3", "-g", "30", "-preset", "veryfast"]
SYNC: dict[str, Any] = {"pattern": "sync", "duration": 6.0}

# What is sent -> whether picture and sound are passed on as they are (None: there is none).
CASES: dict[str, tuple[dict[str, Any], bool | None, bool | None]] = {
    "mp4": ({**SYNC}, True, True),
    "mp4-moov-last-b-frames": ({**SYNC, "moov": "end", "extra": B_FRAMES}, True, True),
    "mp4-fragmented": (
        {**SYNC, "moov": "end", "extra": [*B_FRAMES, "-movflags", "frag_keyframe+empty_moov"]},
        True,
        False,  # the fixture's sound has a hole
    ),
    "mp4-without-edit-list": ({**SYNC, "extra": [*B_FRAMES, "-use_editlist", "0"]}, True, False),
    "mp4-mono-30-frames": ({**SYNC, "channels": 1, "fps": 30, "extra": B_FRAMES}, True, True),
    "mp4-sound-late": ({**SYNC, "sound_delay": 0.7, "sound_duration": 5.2}, True, False),
    "mp4-turned": ({**SYNC, "rotation": 90}, False, True),
    "mp4-no-sound": ({**SYNC, "acodec": None, "extra": B_FRAMES}, True, None),
    "mp4-surround": ({**SYNC, "channels": 6}, True, False),
    "mkv-opus": ({**SYNC, "container": "mkv", "acodec": "opus", "sample_rate": 48000, "extra": B_FRAMES}, True, False),
    "mkv-aac-30-frames": ({**SYNC, "container": "mkv", "fps": 30, "extra": B_FRAMES}, True, True),
    "ts": ({**SYNC, "container": "ts", "extra": B_FRAMES}, True, True),
    "flv": ({**SYNC, "container": "flv", "extra": B_FRAMES}, True, True),
    "mkv-hevc": ({**SYNC, "container": "mkv", "vcodec": "hevc"}, False, True),
    "webm-vp9": ({**SYNC, "container": "webm", "vcodec": "vp9", "acodec": "opus", "sample_rate": 48000}, False, False),
    "avi-asp-mp3": ({**SYNC, "container": "avi", "vcodec": "mpeg4", "acodec": "mp3"}, False, False),
    "flac": ({**SYNC, "container": "flac", "vcodec": None, "acodec": "flac"}, None, False),
    "m4a": ({**SYNC, "container": "m4a", "vcodec": None}, None, True),
    "mp3": ({**SYNC, "container": "mp3", "vcodec": None, "acodec": "mp3"}, None, False),
    "short": ({"duration": 0.4}, True, True),
    "vfr": ({"duration": 6.0, "vfr": True, "extra": B_FRAMES}, True, True),
}


@pytest.mark.parametrize("case", CASES)
async def test_every_kind_of_file_plays_from_its_first_rendition(case: str, tmp_path: Path) -> None:
    recipe, picture, sound = CASES[case]
    source = make_clip(**recipe)
    grown = await make(source, tmp_path)
    assert (grown.plan.video.copy if grown.plan.video else None) is picture, grown.plan
    assert (grown.plan.sound.copy if grown.plan.sound else None) is sound, grown.plan
    check(grown)
    if picture is not None:
        same_pictures(source, grown.whole("video"), grown.info.start)
    if picture is not None and sound is not None and recipe.get("pattern") == "sync":
        seen, heard = flashes(grown.whole("video")), beeps(grown.whole("sound"))
        assert len(seen) == 6
        late = recipe.get("sound_delay", 0.0)
        early = 0.01 if recipe.get("acodec") == "mp3" else 0.0  # that encoder's delay, of which AVI has no word
        # The first flash may be shown from the beginning on, the others not.
        wanted = [time + late for time in seen if time + late < 6]
        assert heard[1:] == pytest.approx(wanted[1:], abs=0.02 + early)


def same_pictures(source: Path, made: Path, start: float) -> None:
    """Each picture of the source is there, at its own time."""
    with av.open(str(source)) as container:
        wanted = [float(frame.time or 0) - start for frame in container.decode(video=0)]
    times = decode_picture(made).times
    assert len(times) == pytest.approx(len(wanted), abs=1)
    # The first one may be shown from the beginning on, and clocks differ by a tick.
    assert times[1:] == pytest.approx(wanted[1 : len(times)], abs=0.003)


class Arriving:
    """A feed whose bytes arrive when the test says so; a file of zeros where nothing has arrived."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.content = source.read_bytes()
        self.size = len(self.content)
        self.path = folder / "staging"
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT)
        os.truncate(self.fd, self.size)
        self.there = 0
        self.asked = 0
        self.gone: Exception | None = None
        self.news = asyncio.Condition()

    async def arrive(self, count: int) -> None:
        async with self.news:
            os.pwrite(self.fd, self.content[self.there : self.there + count], self.there)
            self.there = min(self.size, self.there + count)
            self.news.notify_all()

    async def abandon(self, error: Exception) -> None:
        async with self.news:
            self.gone = error
            self.news.notify_all()

    async def received(self, beyond: int) -> int:
        async with self.news:
            self.asked = beyond
            self.news.notify_all()
            await self.news.wait_for(lambda: self.gone or self.there > beyond or self.there == self.size)
            if self.gone:
                raise self.gone
            return self.there

    async def until_asked(self, beyond: int) -> None:
        """Wait until all that is there has been taken, and more is asked for."""
        async with self.news:
            await self.news.wait_for(lambda: self.asked >= beyond)


FEEDS: dict[str, dict[str, Any]] = {
    "mp4": {**SYNC, "extra": B_FRAMES},
    "mp4-fragmented": {**SYNC, "moov": "end", "extra": [*B_FRAMES, "-movflags", "frag_keyframe+empty_moov"]},
    "mkv": {**SYNC, "container": "mkv", "extra": B_FRAMES},
    "ts": {**SYNC, "container": "ts", "extra": B_FRAMES},
    "flv": {**SYNC, "container": "flv", "extra": B_FRAMES},
    "webm-encoded": {**SYNC, "container": "webm", "vcodec": "vp9", "acodec": "opus", "sample_rate": 48000},
    "flac": {**SYNC, "container": "flac", "vcodec": None, "acodec": "flac"},
}


@pytest.mark.parametrize("case", FEEDS)
async def test_a_growing_upload_gives_the_same_bytes_as_the_whole_file(case: str, tmp_path: Path) -> None:
    source = make_clip(**FEEDS[case])
    info = await probe(source, SETTINGS)
    whole = await make(source, tmp_path / "whole", info=info)
    feed = Arriving(source, tmp_path)

    async def dribble() -> None:
        while feed.there < feed.size:
            await feed.until_asked(feed.there)
            await feed.arrive(feed.size // 7 + 1)

    fed, _ = await asyncio.gather(make(feed, tmp_path / "fed", info=info), dribble())
    assert fed.content == whole.content
    assert fed.told() == whole.told()


async def test_segments_come_while_the_upload_stalls(tmp_path: Path) -> None:
    source = make_clip(container="ts", duration=12.0, extra=["-g", "25"])
    info = await probe(source, SETTINGS)
    feed = Arriving(source, tmp_path)
    await feed.arrive(feed.size // 2)
    (tmp_path / "work").mkdir()
    seen: set[tuple[Track, int]] = set()
    async with contextlib.aclosing(grow(feed, info, plan_first(info, SETTINGS), tmp_path / "work", SETTINGS)) as pieces:
        async for piece in pieces:
            if isinstance(piece, GrownSegment):
                seen.add((piece.track, piece.number))
            if {("video", 3), ("sound", 3)} <= seen:
                break
        assert feed.there == feed.size // 2  # nothing more had to come
        await feed.until_asked(feed.size // 2)


async def test_who_gives_up_just_as_something_changes_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watches: list[watching.Watch] = []

    class Seen(watching.Watch):
        def __enter__(self) -> "Seen":
            watches.append(self)
            super().__enter__()
            return self

    monkeypatch.setattr(making, "Watch", Seen)
    source = make_clip(container="ts", duration=6.0)
    info = await probe(source, SETTINGS)
    feed = Arriving(source, tmp_path)
    await feed.arrive(feed.size // 2)
    (tmp_path / "work").mkdir()
    pieces = grow(feed, info, plan_first(info, SETTINGS), tmp_path / "work", SETTINGS)
    await anext(pieces)
    await feed.until_asked(feed.there)
    async with asyncio.timeout(20):
        watches[0].ring()
        await pieces.aclose()


async def test_an_abandoned_upload_ends_the_work(tmp_path: Path) -> None:
    source = make_clip(container="ts", duration=6.0)
    info = await probe(source, SETTINGS)
    feed = Arriving(source, tmp_path)
    await feed.arrive(feed.size // 3)

    async def abandon() -> None:
        await feed.until_asked(feed.there)
        await feed.abandon(LookupError("cancelled"))

    with pytest.raises(LookupError, match="cancelled"):
        await asyncio.gather(make(feed, tmp_path / "fed", info=info), abandon())
    assert os.fstat(feed.fd).st_size == feed.size  # the descriptor is the caller's


@pytest.mark.parametrize(
    "recipe",
    [
        {**SYNC, "duration": 13.0, "extra": ["-g", "50"]},
        {**SYNC, "duration": 13.0, "container": "mkv", "vcodec": "hevc", "acodec": "opus", "sample_rate": 48000},
        {"duration": 13.0, "container": "mkv", "vcodec": "hevc", "vfr": True},
        {"duration": 13.0, "vcodec": "mpeg2", "container": "ts", "fps": 50, "acodec": "mp2"},
    ],
)
async def test_it_goes_on_where_it_broke_off(recipe: dict[str, Any], tmp_path: Path) -> None:
    source = make_clip(**recipe)
    whole = await make(source, tmp_path / "whole")
    check(whole)
    for count in (1, 3, 4):
        done: dict[Track, Done] = {
            track: Done(count=count, until_us=segments[count].start_us) for track, segments in whole.segments.items()
        }
        rest = await make(source, tmp_path / str(count), info=whole.info, done=done)
        assert not rest.inits
        joined = Grown(whole.info, whole.plan, tmp_path / str(count), inits=whole.inits)
        for track, segments in whole.segments.items():
            joined.segments[track] = segments[:count] + rest.segments[track]
            kept = {(track, number): whole.content[track, number] for number in range(-1, count)}
            joined.content |= kept | {key: content for key, content in rest.content.items() if key[0] == track}
        assert joined.told() == whole.told()
        check(joined)
        assert decode_picture(joined.whole("video")).times == decode_picture(whole.whole("video")).times


async def test_what_a_broken_tail_leaves_plays(tmp_path: Path) -> None:
    source = make_clip(container="mkv", duration=6.0, extra=B_FRAMES)
    info = await probe(source, SETTINGS)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    grown = await make(cut, tmp_path / "grown", info=info)
    check(grown)
    assert 3 < grown.end("video") < 5


async def test_nothing_to_decode_is_told(tmp_path: Path) -> None:
    source = make_clip(container="mkv", vcodec="hevc")
    info = await probe(source, SETTINGS)
    empty = tmp_path / "empty.mkv"
    content = source.read_bytes()
    empty.write_bytes(content[:600] + bytes(len(content) - 600))
    with pytest.raises(Unplayable):
        await make(empty, tmp_path / "grown", info=info)


async def test_leaving_early_leaves_nothing_running(tmp_path: Path) -> None:
    source = make_clip(container="mkv", vcodec="hevc", size="640x360", duration=12.0)
    info = await probe(source, SETTINGS)
    (tmp_path / "work").mkdir()
    before = set(psutil.Process().children(recursive=True))
    pieces = grow(source, info, plan_first(info, SETTINGS), tmp_path / "work", SETTINGS)
    async with contextlib.aclosing(pieces):
        async for _ in pieces:
            break
        assert set(psutil.Process().children(recursive=True)) - before
    assert not set(psutil.Process().children(recursive=True)) - before


async def test_place_and_device_are_not_passed_on(tmp_path: Path) -> None:
    tags = ["location=+48.2+016.4/", "com.apple.quicktime.make=Secret", "title=Secret", "comment=Secret"]
    marks = ["-movflags", "use_metadata_tags", "-metadata:s:v", "handler_name=Secret", "-metadata:s:a", "title=Secret"]
    # What cameras write into the stream itself: SEI of user data, here by a filter.
    marks += ["-bsf:v", "h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+Secret"]
    source = make_clip("mov", metadata=tags, extra=marks)
    assert source.read_bytes().count(b"Secret") > 5
    grown = await make(source, tmp_path)
    assert grown.plan.video is not None
    assert grown.plan.video.copy
    for content in grown.content.values():
        assert b"Secret" not in content
        assert b"48.2" not in content


async def test_players_read_it(tmp_path: Path) -> None:
    grown = await make(make_clip(duration=9.0, extra=B_FRAMES), tmp_path)
    for track in grown.segments:
        run_ffmpeg("-xerror", "-i", str(grown.playlist(track)), "-f", "null", "-")


async def test_ffmpeg_waits_while_nobody_takes_what_it_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MOST_HELD", 100_000)
    source = make_clip(size="640x360", duration=30.0, container="mkv", extra=["-g", "25", "-b:v", "2M"])
    info = await probe(source, SETTINGS)
    work = tmp_path / "work"
    work.mkdir()
    before = set(psutil.Process().children(recursive=True))
    taken = 0
    async with contextlib.aclosing(grow(source, info, plan_first(info, SETTINGS), work, SETTINGS)) as pieces:
        await anext(pieces)

        async def still() -> bool:
            tools = [it for it in set(psutil.Process().children(recursive=True)) - before if "ffmpeg" in it.name()]
            return any(it.status() == psutil.STATUS_STOPPED for it in tools)

        await wait_until(still, what="ffmpeg to be stopped")
        assert len(list((work / "0" / "video").glob("*.m4s"))) < 20
        async for piece in pieces:
            taken += isinstance(piece, GrownSegment) and piece.track == "video"
    assert taken == len(list((work / "0" / "video").glob("*.m4s"))) > 5


async def test_it_works_without_inotify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "libc", SimpleNamespace(inotify_init1=lambda flags: -1))
    check(await make(make_clip(duration=3.0, extra=B_FRAMES), tmp_path))


async def test_it_works_under_uvloop(tmp_path: Path) -> None:
    source = make_clip(container="ts", duration=6.0, extra=B_FRAMES)
    info = await probe(source, SETTINGS)

    async def fed() -> Grown:
        feed = Arriving(source, tmp_path)
        made, _ = await asyncio.gather(make(feed, tmp_path / "fed", info=info), feed.arrive(feed.size))
        return made

    def elsewhere() -> Grown:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(fed())

    check(await asyncio.to_thread(elsewhere))


def trimmed(folder: Path) -> Path:
    """A film that was cut without encoding: it begins with pictures that an edit list hides."""
    path = folder / "trimmed.mp4"
    source = make_clip(**SYNC, extra=["-g", "50"])
    run_ffmpeg("-ss", "0.7", "-i", str(source), "-c", "copy", str(path))
    return path


def joined(folder: Path) -> Path:
    """Two recordings of different size in one file."""
    path = folder / "joined.ts"
    parts = [make_clip("ts", size=size, duration=3.0) for size in ("320x180", "240x180")]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def headless(folder: Path) -> Path:
    """A recording whose beginning is missing."""
    path = folder / "headless.ts"
    content = make_clip("ts", duration=6.0, extra=B_FRAMES).read_bytes()
    path.write_bytes(content[len(content) // 4 // 188 * 188 :])
    return path


ODD: dict[str, Callable[[Path], Path]] = {
    "edits": trimmed,
    "parameters": joined,
    "begins-within": headless,
    "open-gop": lambda _: make_clip(
        "ts", duration=4.0, extra=["-preset", "veryfast", "-x264-params", "open-gop=1:keyint=25:bframes=3:b-adapt=0"]
    ),
    "fields": lambda _: make_clip("ts", duration=3.0, extra=["-flags", "+ildct+ilme", "-x264-params", "tff=1"]),
}


@pytest.mark.parametrize("quirk", ODD)
async def test_what_only_looks_as_if_it_could_be_repacked(quirk: str, tmp_path: Path) -> None:
    source = ODD[quirk](tmp_path)
    grown = await make(source, tmp_path)
    assert grown.plan.video is not None
    assert not grown.plan.video.copy
    assert quirk in grown.info.video[0].quirks
    check(grown)
    assert grown.end("video") == pytest.approx(grown.info.duration, abs=0.3)


async def test_sound_whose_channels_change_goes_on(tmp_path: Path) -> None:
    source = tmp_path / "changing.ts"
    parts = []
    for number, channels in enumerate((2, 6)):
        part = tmp_path / f"{number}.ts"
        tone = "sine=440:sample_rate=48000:duration=3,volume='lt(mod(t,1),0.1)':eval=frame"
        shift = ["-output_ts_offset", str(3 * number)]
        run_ffmpeg("-f", "lavfi", "-i", tone, "-ac", str(channels), "-c:a", "ac3", *shift, str(part))
        parts.append(part.read_bytes())
    source.write_bytes(b"".join(parts))
    grown = await make(source, tmp_path)
    assert_decodes(grown.whole("sound"))
    assert grown.end("sound") == pytest.approx(6, abs=0.1)
    assert beeps(grown.whole("sound")) == pytest.approx(range(6), abs=0.05)
