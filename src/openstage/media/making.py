"""One ffmpeg process that makes tracks of the first rendition."""

import asyncio
import contextlib
import shutil
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from openstage.media import first_commands
from openstage.media.boxes import read_tracks
from openstage.media.collecting import TrackFiles
from openstage.media.commands import Source, Window
from openstage.media.encoding import BASE_SECONDS, SLOWEST, reason_of
from openstage.media.errors import TookTooLong, Unplayable
from openstage.media.feeding import Feed, Pump
from openstage.media.first import FirstPlan
from openstage.media.grown import Done, GrownInit, GrownSegment, Track
from openstage.media.launching import Tool
from openstage.media.progress import MICROSECONDS
from openstage.media.sandbox import MIB, NICE, Finished, Limits, run
from openstage.media.seeking import seek_before
from openstage.media.watching import Watch
from openstage.settings import Settings

MOST_HELD = 256 * MIB  # bytes of segments that nobody has taken: above that ffmpeg is stopped for a while
LOOK_SECONDS = 5.0  # how often the time limit is looked at


class Outlet:
    """Pieces that wait to be taken."""

    def __init__(self) -> None:
        self._pieces: deque[GrownInit | GrownSegment] = deque()
        self._filled = asyncio.Event()
        self._emptier = asyncio.Event()
        self._held = 0

    @property
    def full(self) -> bool:
        """Whether more waits than should."""
        return self._held > MOST_HELD

    def put(self, piece: GrownInit | GrownSegment) -> None:
        """Add a piece."""
        self._pieces.append(piece)
        self._held += piece.byte_size if isinstance(piece, GrownSegment) else 0
        self._filled.set()

    def take(self) -> GrownInit | GrownSegment | None:
        """The next piece, None if there is none now."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        self._held -= piece.byte_size if isinstance(piece, GrownSegment) else 0
        if self._held <= MOST_HELD / 2:
            self._emptier.set()
        return piece

    def wake(self) -> None:
        """End the waiting in `filled()`."""
        self._filled.set()

    async def filled(self) -> None:
        """Wait until something may have been put in."""
        await self._filled.wait()
        self._filled.clear()

    async def emptier(self) -> None:
        """Wait until half of what may be held has been taken."""
        self._emptier.clear()
        if self._held > MOST_HELD / 2:
            await self._emptier.wait()


class Making:
    """One process from its start to its end; what it makes goes to an outlet."""

    def __init__(  # noqa: PLR0917 - of what, what, where, how, whereto, from where on
        self,
        source: Source,
        feed: Feed | None,
        plan: FirstPlan,
        folder: Path,
        settings: Settings,
        outlet: Outlet,
        done: Mapping[Track, Done],
    ) -> None:
        self._source = source
        self._feed = feed
        self._plan = plan
        self._folder = folder
        self._settings = settings
        self._outlet = outlet
        self._pump: Pump | None = None
        self._ffmpeg: Tool | None = None
        self._started = 0.0
        self._held_up = 0.0
        self._first: dict[Track, tuple[int, float]] = {}
        names: tuple[Track, ...] = ("video", "sound")
        self._tracks = [
            TrackFiles(name, folder / name, source, plan, done.get(name), feed is not None)
            for name in names
            if getattr(plan, name)
        ]

    async def run(self) -> None:
        """Make everything.

        Raises:
            Unplayable: nothing, or not all, could be made.
            TookTooLong: over the time that the medium's duration justifies.
            ScratchFull, ToolKilled, ToolMissing: as `sandbox.run()` says.
            Exception: what the feed raised.

        """
        await asyncio.to_thread(self._prepare)
        window = await self._window()
        if window is not None:
            self._tracks[0].delay = await self._first_delay()
        self._started = time.monotonic()
        with Watch([track.folder for track in self._tracks]) as watch:
            tool = asyncio.create_task(self._tool(self._arguments(window), self._folder))
            tool.add_done_callback(lambda _: watch.ring())
            try:
                while not tool.done():
                    # Not asyncio.wait_for: before Python 3.12 that forgets who gives up just as it is answered.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await watch.changed()
                    await self._collect(ended=False)
                    self._look_at_time()
            finally:
                await _ended(tool)
        finished = tool.result()
        if finished.status:
            await self._collect(ended=False)
            raise Unplayable(reason_of(finished.stderr))
        await self._collect(ended=True)

    def _prepare(self) -> None:
        for track in self._tracks:
            track.folder.mkdir(parents=True)

    async def _window(self) -> Window | None:
        """Where an encoded picture goes on, and from where it is decoded for that."""
        resume = next((track.resumes_at for track in self._tracks if track.resumes_at is not None), None)
        if resume is None:
            return None
        if self._feed is not None:  # there is no jumping in a pipe
            return Window(resume, None, None)
        return Window(resume, None, await seek_before(self._source.path, self._source.info, resume, self._settings))

    def _arguments(self, window: Window | None) -> list[str]:
        piped = self._feed is not None
        return first_commands.arguments(self._source, self._plan, self._settings, piped=piped, window=window)

    async def _tool(self, arguments: list[str], folder: Path) -> Finished:
        """Run ffmpeg, fed if there is a feed."""
        limits = Limits(seconds=None, cpu_seconds=round(2 * self._patience), nice=NICE)
        if self._feed is None:
            readable = [self._source.path]
            return await run(arguments, limits=limits, readable=readable, writable=folder, on_start=self._take_note)
        self._pump = Pump(self._feed)
        tool = asyncio.create_task(
            run(arguments, limits=limits, writable=folder, stdin=self._pump.taken_from, on_start=self._take_note)
        )
        pumping = asyncio.create_task(self._pump.run())
        try:
            await asyncio.wait([tool, pumping], return_when=asyncio.FIRST_COMPLETED)
            if pumping.done():
                pumping.result()
            return await tool
        finally:
            await _ended(tool, pumping)

    def _take_note(self, ffmpeg: Tool) -> None:
        self._ffmpeg = ffmpeg

    async def _first_delay(self) -> int:
        """The shift in the initialisation section that the process which began the picture has made.

        It depends on the distances of the first frames, so that frame is encoded once more.
        """
        folder = self._folder / "beginning"
        await asyncio.to_thread((folder / "video").mkdir, parents=True)
        arguments = self._arguments(None)
        await self._tool(first_commands.only_beginning(arguments), folder)
        try:
            return (await asyncio.to_thread(read_tracks, folder / "video" / "init.mp4"))[0].delay
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _collect(self, *, ended: bool) -> None:
        """Pass on what has become whole; then let ffmpeg wait if too much isn't taken."""
        for track in self._tracks:
            for piece in await asyncio.to_thread(track.collect, ended):
                self._outlet.put(self._timed(piece))
        if not self._outlet.full:
            return
        since = time.monotonic()
        with self._held_still():
            await self._outlet.emptier()
        self._held_up += time.monotonic() - since

    @contextlib.contextmanager
    def _held_still(self) -> Iterator[None]:
        """Stop ffmpeg for a while."""
        if self._ffmpeg:
            self._ffmpeg.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if self._ffmpeg:
                self._ffmpeg.send_signal(signal.SIGCONT)

    def _timed(self, piece: GrownInit | GrownSegment) -> GrownInit | GrownSegment:
        """A segment with the speed at which its track is made: from the first segment on, whose start-up is apart."""
        if isinstance(piece, GrownInit):
            return piece
        worked, until = self._worked, piece.start_us + piece.duration_us
        if piece.track not in self._first:
            self._first[piece.track] = (until, worked)
            made, took = piece.duration_us, worked
        else:
            made, took = until - self._first[piece.track][0], worked - self._first[piece.track][1]
        return msgspec.structs.replace(piece, speed=round(made / MICROSECONDS / max(took, 0.001), 3))

    @property
    def _worked(self) -> float:
        """Seconds of work so far: without waiting for bytes, or for pieces to be taken."""
        waited = self._pump.waited if self._pump else 0.0
        return time.monotonic() - self._started - self._held_up - waited

    @property
    def _patience(self) -> float:
        """Seconds of work that the medium's duration justifies."""
        return BASE_SECONDS + SLOWEST * self._source.end

    def _look_at_time(self) -> None:
        if self._worked > self._patience:
            raise TookTooLong(f"Working on the file took longer than {self._patience:.0f} s and was given up.")


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end; what they raised is looked at elsewhere."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
