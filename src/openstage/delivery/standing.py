"""How a work stands for those who wait for it or play it while it is being made, and one watch over all of them.

However many pages are open, the database is asked once for each work that anybody watches, a few times a second, and
not at all while nobody does.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from typing import Final, LiteralString

import msgspec

from openstage.database.engine import Database
from openstage.database.lookups import SharedLookup
from openstage.database.text import storable
from openstage.delivery.models import mark_of
from openstage.delivery.offering import offered
from openstage.delivery.repository import Repository
from openstage.observability.logs import get_logger
from openstage.works.models import Access, State
from openstage.works.stages import STAGES, Stage
from openstage.works.visibility import REVIEWERS

log = get_logger("delivery")

LOOK_EVERY = 0.2
"""Seconds between two looks at the works that are watched."""
SHARE_OF_TIME = 0.1
"""The part of the time that looking may take, however many works are watched."""

_WORKS: Final[LiteralString] = """
    select asked.number, state, access, pending, step, percent, notice, coalesce(duration_ms, 0),
           exists (select from storyboard where storyboard.work_id = work.id and storyboard.run = work.run),
           exists (select from extra where extra.work_id = work.id and extra.run = work.run and name = 'waveform.json')
    from unnest(%s::text[]) with ordinality as asked (slug, number) join work using (slug)
    where deleted_at is null
    """


@dataclass(frozen=True, slots=True)
class Standing:
    """How a work stands.

    Attributes:
        stage: whether it plays, may play later, or never (again).
        state: of the work.
        step: of the run under way; empty if none is.
        percent: of the run under way, 0 to 100.
        notice: what a person should know of the run, such as that the machine is slower than playback.
        settled: nothing will change unless somebody asks for it: no run is wanted.
        mark: changes when the multivariant playlist lists something else; empty while there is nothing to play.
        duration_ms: milliseconds, as far as known.
        storyboard: there are pictures for the seek bar.
        waveform: there is a waveform.
        access: who may see the work; not told.

    """

    stage: Stage
    state: State
    step: str = ""
    percent: float = 0.0
    notice: str = ""
    settled: bool = True
    mark: str = ""
    duration_ms: int = 0
    storyboard: bool = False
    waveform: bool = False
    access: Access = "public"

    @property
    def message(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode({name: value for name, value in asdict(self).items() if name != "access"})


class _Watched:
    """One work that is watched: the last standing (None: it is gone), and a bell for those who wait for the next."""

    def __init__(self) -> None:
        self.listeners = 0
        self.standing: Standing | None = None
        self.changed = asyncio.Event()

    def tell(self, standing: Standing | None) -> None:
        if standing == self.standing:
            return
        self.standing = standing
        self.changed.set()
        self.changed = asyncio.Event()


class Standings:
    """Tells how works stand, once or whenever it changes."""

    def __init__(self, database: Database, *, look_every: float = LOOK_EVERY) -> None:
        """Prepare; nothing is asked of the database before somebody wants to know."""
        self._works = SharedLookup(database, _WORKS)
        self._repository = Repository(database)
        self._look_every = look_every
        self._watched: dict[str, _Watched] = {}
        self._watch: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def listeners(self) -> int:
        """How many watch at the moment."""
        return sum(watched.listeners for watched in self._watched.values())

    async def now(self, slug: str) -> Standing | None:
        """Tell how a work stands; None if there is none, or it is deleted.

        Raises:
            Unavailable: the database is away.

        """
        row = await self._works.row(storable(slug))
        if row is None:
            return None
        state, access, pending, step, percent, notice, duration, storyboard, waveform = row
        ladder = await self._repository.ladder(slug, REVIEWERS)
        names = [rendition.name for rendition in offered(ladder)]
        return Standing(
            stage=STAGES[state],
            state=state,
            step=step,
            percent=round(percent, 1),
            notice=notice,
            settled=not pending and state not in ("uploading", "waiting"),
            mark=mark_of(",".join(names)) if names else "",
            duration_ms=duration,
            storyboard=storyboard,
            waveform=waveform,
            access=access,
        )

    async def changes(self, slug: str, standing: Standing, *, beat: float) -> AsyncGenerator[Standing | None, None]:
        """Yield how a work stands now, and then whenever that changes; ends once it is settled.

        Args:
            slug: which.
            standing: what `now` has just said.
            beat: seconds after which None is yielded where nothing has changed.

        """
        watched = self._watched.setdefault(slug, _Watched())
        watched.listeners += 1
        watched.tell(standing)
        if self._watch is None:
            self._watch = asyncio.create_task(self._look())
        try:
            seen: Standing | None = None
            while not self._ended and watched.standing is not None:
                changed = watched.changed
                if watched.standing != seen:
                    seen = watched.standing
                    yield seen
                    if seen.settled:
                        return
                    continue
                try:
                    async with asyncio.timeout(beat):
                        await changed.wait()
                except TimeoutError:
                    yield None
        finally:
            watched.listeners -= 1
            if not watched.listeners:
                self._watched.pop(slug, None)

    def end(self) -> None:
        """Let everybody who watches go, as the server is about to end."""
        self._ended = True
        for watched in self._watched.values():
            watched.changed.set()

    async def close(self) -> None:
        """Stop watching."""
        self.end()
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    async def _look(self) -> None:
        """Look at what is watched until nobody watches."""
        clock = asyncio.get_running_loop().time
        try:
            while self._watched:
                began = clock()
                watched = list(self._watched.items())
                found = await asyncio.gather(*(self.now(slug) for slug, _ in watched), return_exceptions=True)
                for (_, each), standing in zip(watched, found, strict=True):
                    if isinstance(standing, BaseException):  # those who wait go on waiting
                        log.warning("can't tell how a work stands", reason=str(standing))
                    else:
                        each.tell(standing)
                await asyncio.sleep(max(self._look_every, (clock() - began) / SHARE_OF_TIME))
        finally:
            self._watch = None
