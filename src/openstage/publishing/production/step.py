"""What every step of production is given: its task, a folder, and the parts of the house that it may use."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from openstage.database.engine import Connection, Database
from openstage.errors import Unavailable
from openstage.media import models as media
from openstage.media.first import FirstPlan, dump_plan, load_plan
from openstage.media.models import MediaInfo
from openstage.publishing import crashpoints
from openstage.publishing.errors import Superseded
from openstage.publishing.objects import RunObjects
from openstage.publishing.originals import Originals
from openstage.publishing.production.tools import MediaTools
from openstage.publishing.progress import Progress
from openstage.publishing.tasks import Task, Tasks
from openstage.settings import Settings
from openstage.works import lifecycle
from openstage.works.models import NewRendition, Segment

T = TypeVar("T")

OUTAGE_PAUSE: Final = 1.0
_PATIENCE: Final = 120.0
"""Seconds for which what has been made waits for a database that is away."""


class FirstDecision(NamedTuple):
    """What has been decided of the first rendition."""

    info: MediaInfo
    """Upon what; from the header alone, as a rule."""
    plan: FirstPlan
    can_feed: bool
    """Whether it can be made while the upload arrives."""


def first_decision(plan: dict[str, Any] | None) -> FirstDecision | None:
    """Return what has been decided of the first rendition, if it has been."""
    if not plan or "first" not in plan:
        return None
    return FirstDecision(msgspec.convert(plan["info"], MediaInfo), load_plan(plan["first"]), plan["can_feed"])


def note_first(plan: dict[str, Any], decision: FirstDecision) -> None:
    """Note what is decided of the first rendition, unless that has been done."""
    if "first" not in plan:
        plan["info"], plan["first"] = msgspec.to_builtins(decision.info), dump_plan(decision.plan)
        plan["can_feed"] = decision.can_feed


@dataclass(frozen=True, slots=True)
class House:
    """What all steps of one worker process share."""

    settings: Settings
    database: Database
    tasks: Tasks
    originals: Originals
    tools: MediaTools


@dataclass(frozen=True, slots=True)
class Step:
    """One try of one task."""

    house: House
    task: Task
    objects: RunObjects
    progress: Progress
    folder: Path
    """Of this try alone; removed when it ends. No tool may write to it, only to what `made` gives."""

    @property
    def tools(self) -> MediaTools:
        """The media tools."""
        return self.house.tools

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.house.settings

    def made(self, name: str = "made") -> Path:
        """Return a fresh folder for a media tool to write to; its name begins with `name`."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    async def source(self) -> Path:
        """Return the original, for as long as the step lasts.

        Raises:
            Elsewhere: it lies on another machine.
            OriginalLost: there is none.

        """
        return await self.house.originals.source(self.task.work.file_id, self.folder)

    async def commit(self, write: Callable[[Connection], Awaitable[T]]) -> T:
        """Write something down in one transaction, if the task is still ours; waits out an outage of the database.

        The reply of a commit may be lost and `write` be called again after it: it must bear that.

        Raises:
            Superseded: the task isn't ours any more, and nothing has been written.
            Unavailable: the database stays away.

        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                async with self.house.database.transaction() as connection:
                    await self.house.tasks.hold(connection, self.task)
                    return await write(connection)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(OUTAGE_PAUSE)

    async def end(self, write: Callable[[Connection], Awaitable[object]], result: dict[str, Any] | None = None) -> None:
        """Write down what was made and that the task is done, in one transaction; raises as `commit`."""

        async def write_all(connection: Connection) -> None:
            await write(connection)
            if not await self.house.tasks.done(connection, self.task, result):
                raise Superseded
            crashpoints.reached(f"{self.task.kind}-ending")

        self.progress.ending = True
        await self.commit(write_all)
        crashpoints.reached(f"{self.task.kind}-ended")

    # --- what the tasks of a run go by ------------------------------------------------------------------------------
    async def update_plan(self, connection: Connection, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Change what the tasks of the run go by, and return it; the caller holds the task (`Tasks.hold`)."""
        plan = await self.house.tasks.plan(connection, self.task.run) or {}
        change(plan)
        await self.house.tasks.set_plan(connection, self.task, plan)
        return plan

    async def decide_first(self, decision: FirstDecision) -> FirstDecision:
        """Note what is decided of the first rendition, and return what holds: another task may have been quicker."""

        async def note(connection: Connection) -> FirstDecision:
            found = first_decision(await self.update_plan(connection, lambda plan: note_first(plan, decision)))
            assert found is not None  # it has just been noted
            return found

        return await self.commit(note)

    async def measured(self, connection: Connection, info: MediaInfo, *, whole: bool = True) -> None:
        """Note what a probe found; `whole`: the full one, which later tasks go by."""
        await lifecycle.measured(
            connection,
            self.task.work_id,
            self.task.run,
            duration_ms=info.duration_ms,
            media=msgspec.to_builtins(info),
            whole=whole,
        )

    async def media(self) -> MediaInfo | None:
        """Return what the full probe found, if it has been made in this run."""
        row = await self.house.database.fetch_one(
            "select media from production_run where name = %(run)s", {"run": self.task.run}
        )
        return msgspec.convert(row[0], MediaInfo) if row and row[0] is not None else None


async def nothing(_: Connection) -> None:
    """Enter no rows."""


def kept_rendition(made: media.Rendition, key: str, segments: tuple[Segment, ...] = ()) -> NewRendition:
    """Return the row of a whole rendition whose objects are stored; `key` is its file or initialisation section."""
    return NewRendition(
        kind=made.kind,
        quality=made.quality,
        codecs=made.codecs,
        bandwidth=made.bandwidth,
        average_bandwidth=made.average_bandwidth,
        duration_ms=made.duration_ms,
        byte_size=made.byte_size,
        key=key,
        width=made.width,
        height=made.height,
        frame_rate=made.frame_rate,
        segments=segments,
    )
