"""The files that ffmpeg has written of one track so far, read back as pieces to give out."""

from pathlib import Path

from openstage.media.boxes import Fragment, NothingShown, TrackFacts, read_fragment, read_tracks, shift_fragment
from openstage.media.commands import Source
from openstage.media.errors import Unplayable
from openstage.media.first import FirstPlan
from openstage.media.grown import Done, GrownInit, GrownSegment, Track
from openstage.media.progress import MICROSECONDS
from openstage.media.timing import exact_rate

LONGEST_LAST_FRAME = 10  # seconds

Listed = dict[int, float]


class TrackFiles:
    """What has been written of a track, in order; an instance remembers what it has given out.

    Attributes:
        folder: where ffmpeg writes it.
        delay: units by which the edit list of the *first* process's initialisation section shifts the picture; set it
            where a picture goes on in the middle, before `collect()`.

    """

    def __init__(  # noqa: PLR0917 - of what, where, from what, as what, from where on, how
        self, track: Track, folder: Path, source: Source, plan: FirstPlan, done: Done | None, fed: bool
    ) -> None:
        self.folder = folder
        self.delay: int | None = None
        self._track: Track = track
        self._source = source
        self._fed = fed
        self._rate = _frame_rate(source, plan) if track == "video" else None
        self._copied = bool(plan.video and plan.video.copy)
        encoded = track == "video" and not self._copied
        self._done = done
        self._resumed = bool(done and done.count and encoded)
        self._next = 0  # number of the file that is collected next
        self._shift = 0
        self._facts: TrackFacts | None = None
        self._ahead: Fragment | None = None

    @property
    def resumes_at(self) -> float | None:
        """Seconds at which an encoded picture goes on; None: the track is made from its beginning."""
        return self._done.until_us / MICROSECONDS if self._done and self._resumed else None

    def collect(self, ended: bool) -> list[GrownInit | GrownSegment]:
        """What has become whole since the last call.

        Args:
            ended: ffmpeg has ended: nothing more comes.

        Raises:
            Unplayable: what was written isn't what it should be, or nothing was.

        """
        pieces: list[GrownInit | GrownSegment] = []
        listed = self._listed()
        while (fragment := self._fragment(self._next)) is not None:
            path = self._path(self._next)
            following = self._fragment(self._next + 1)
            if following is None and self._next not in listed and not ended:
                break
            if self._facts is None:
                pieces += self._begin(fragment)
            end = self._end(fragment, following, None if ended else listed.get(self._next))
            pieces += self._piece(path, fragment, end)
            self._next += 1
            self._ahead = following
        if ended and self._facts is None:
            what = "sound" if self._track == "sound" else "picture"
            if not self._resumed:
                raise Unplayable(f"The file's {what} can't be decoded: nothing comes out of it.")
        return pieces

    @property
    def _delay(self) -> int:
        """Units by which the edit list that players have shifts the picture."""
        assert self._facts is not None
        return self._facts.delay if self.delay is None else self.delay

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05}.m4s"

    def _fragment(self, number: int) -> Fragment | None:
        """Times of a segment's file, None if it isn't whole yet."""
        if number == self._next and self._ahead is not None:
            return self._ahead
        path = self._path(number)
        try:
            return read_fragment(path) if path.exists() else None
        except NothingShown:
            if self._resumed and number == 0:  # it broke off when all of the picture had been given out
                path.unlink()
                return None
            raise

    def _listed(self) -> Listed:
        """Seconds from the beginning of a segment to that of the next, for the last files; not for the very last."""
        try:
            lines = (self.folder / "list.m3u8").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        names = [line for line in lines if line.endswith(".m4s")]
        lengths = [float(line[8:].split(",")[0]) for line in lines if line.startswith("#EXTINF:")]
        listed = {int(name.split("/")[-1][:-4]): seconds for name, seconds in zip(names, lengths, strict=False)}
        if listed and "#EXT-X-ENDLIST" in lines:
            listed.pop(max(listed))
        return listed

    def _begin(self, fragment: Fragment) -> list[GrownInit | GrownSegment]:
        """Read the initialisation section."""
        init = self.folder / "init.mp4"
        tracks = read_tracks(init)
        if len(tracks) != 1:
            raise Unplayable("Converting the file gave something that can't be played.")
        self._facts = facts = tracks[0]
        if self._resumed and self._done and self.delay is not None:
            meant = round(self._done.until_us * facts.timescale / MICROSECONDS) + self.delay
            self._shift = meant - fragment.first
        if self._done and self._done.count:
            init.unlink()
            return []
        return [
            GrownInit(
                track=self._track,
                path=str(init),
                init_size=init.stat().st_size,
                codecs=facts.codec,
                width=facts.width or None,
                height=facts.height or None,
                frame_rate=self._rate,
            )
        ]

    def _end(self, fragment: Fragment, following: Fragment | None, lasts: float | None) -> int:
        """Where a segment ends, in the track's units: where the next one begins, or its last frame ends."""
        assert self._facts is not None
        if following is not None:
            return following.first
        if lasts is not None:
            return fragment.first + round(lasts * self._facts.timescale)
        end = fragment.last + fragment.lasts
        video = self._source.video
        if self._track == "video" and video and video.variable_frame_rate and not self._fed:  # a feed's end is a guess
            # The last picture stands until the source ends; how long, the encoder doesn't tell.
            until = round((video.start + video.duration) * self._facts.timescale) + self._delay - self._shift
            end = max(end, min(until, fragment.last + LONGEST_LAST_FRAME * self._facts.timescale))
        return end

    def _piece(self, path: Path, fragment: Fragment, end: int) -> list[GrownInit | GrownSegment]:
        """A segment, unless it has been given out by an earlier process."""
        assert self._facts is not None
        count = self._done.count if self._done else 0
        if not self._resumed and self._next < count:
            path.unlink()
            return []
        if self._shift:
            shift_fragment(path, self._shift)
        start_us, end_us = (
            round((moment + self._shift - self._delay) * MICROSECONDS / self._facts.timescale)
            for moment in (fragment.first, end)
        )
        return [
            GrownSegment(
                track=self._track,
                number=self._next + (count if self._resumed else 0),
                path=str(path),
                start_us=start_us,
                duration_us=max(1, end_us - start_us),
                byte_size=path.stat().st_size,
            )
        ]


def _frame_rate(source: Source, plan: FirstPlan) -> float | None:
    """Frames per second of what is made, to three decimals, as playlists have it."""
    if source.video is None or plan.video is None:
        return None
    made = plan.video.rung.frame_rate if plan.video.rung else None
    return round(float(made or exact_rate(source.video.nominal_frame_rate or source.video.frame_rate)), 3)
