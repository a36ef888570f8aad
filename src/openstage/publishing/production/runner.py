"""Doing one task: claimed, in a scratch folder of its own, supervised, and ended one way or another.

Nothing a task makes plays before the transaction that says so, and a task may be killed at any moment, or be done by
two workers at once: only the holder of its claim writes rows, and objects of tries that broke off are swept.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from openstage.database.engine import Database
from openstage.errors import DomainError, Unavailable
from openstage.media.errors import ScratchFull
from openstage.observability.logs import get_logger
from openstage.publishing import crashpoints, runs
from openstage.publishing.errors import Elsewhere, Later, OriginalLost, PlanChanged, Resting, Superseded
from openstage.publishing.objects import RunObjects
from openstage.publishing.originals import Originals
from openstage.publishing.production.aside import make_pictures, make_sound
from openstage.publishing.production.chunk import join_chunks, make_chunk
from openstage.publishing.production.first import make_first
from openstage.publishing.production.plan import make_plan
from openstage.publishing.production.step import House, Step
from openstage.publishing.production.tools import MediaTools
from openstage.publishing.progress import Progress, supervised
from openstage.publishing.scratch import Scratch
from openstage.publishing.tasks import FULL_DELAY, MOST_TRIES, Task, Tasks, retry_delay
from openstage.publishing.turns import Kind
from openstage.settings import Settings
from openstage.storage.errors import StorageFull
from openstage.storage.objects import ObjectStore
from openstage.storage.space import require_space

STEPS: Final[dict[Kind, Callable[[Step], Coroutine[Any, Any, None]]]] = {
    "first": make_first,
    "plan": make_plan,
    "pictures": make_pictures,
    "sound": make_sound,
    "chunk": make_chunk,
    "join": join_chunks,
}

_log = get_logger("publishing")


class Production:
    """Does tasks, several at a time."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ObjectStore,
        scratch: Scratch,
        tasks: Tasks,
        *,
        staging_path: Callable[[str], Path],
        tools: MediaTools | None = None,
    ) -> None:
        """Prepare.

        Args:
            settings: limits, ffmpeg, room that stays free.
            database: the truth.
            store: where objects go.
            scratch: where media tools write.
            tasks: claims and ends tasks.
            staging_path: where the bytes of an upload lie.
            tools: the media tools, if not the real ones.

        """
        originals = Originals(
            database,
            store,
            staging_path,
            node=settings.base("upload"),
            cache=scratch.folder / "originals",
            min_free=settings.min_free,
        )
        self._house = House(settings, database, tasks, originals, tools or MediaTools())
        self._store = store
        self._scratch = scratch

    async def run(self, task_id: int) -> None:
        """Do a task if it is (still) wanted; a fault of the file ends its run.

        Raises:
            Later: it broke off for a reason that may pass.
            CancelledError: the worker is to end; the task has been given back.

        """
        task = await self._house.tasks.claim(task_id)
        if task is None:
            return
        crashpoints.reached("claimed")
        crashpoints.reached(f"{task.kind}-claimed")
        try:
            await self._do(task)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(task, "The worker was stopped.", counts=False))
            raise
        except (Resting, PlanChanged):
            await self._house.tasks.rest(task)
        except Superseded:
            await self._give_back(task, "", counts=False)
            await self._note_leftovers(task)
        except (StorageFull, ScratchFull) as error:
            await self._give_back(task, error.message, counts=False)
            raise Later(FULL_DELAY) from error
        except Elsewhere as error:
            await self._give_back(task, error.message, counts=True)
            raise Later(1.0, node=error.node) from error
        except (Unavailable, OSError) as error:
            await self._give_back(task, str(error), counts=True)
            raise Later(retry_delay(task.tries + 1)) from error
        except DomainError as error:  # `Unplayable`, `TookTooLong`, `OriginalLost`: another try would end the same
            await self._fail(task, error)
        except Exception as error:
            _log.exception("task broke off by a defect", work=task.work.slug, run=task.run, task=task.kind)
            await self._give_back(task, f"Internal error: {type(error).__name__}.", counts=True)
            raise Later(retry_delay(task.tries + 1)) from error

    async def _do(self, task: Task) -> None:
        if task.tries >= MOST_TRIES:
            reason = f"Processing broke off {task.tries} times. {task.last_fault}".strip()
            _log.warning("work failed", work=task.work.slug, run=task.run, task=task.kind, reason=reason)
            await self._house.tasks.fail(task, reason)
            return
        began, min_free = time.monotonic(), self._house.settings.min_free
        with self._scratch.job_folder(task.token) as folder:
            require_space(folder, 0, reserve=min_free)
            progress = Progress(lambda percent: self._house.tasks.progress(task, percent))
            objects = RunObjects(self._store, task.work.file_id, task.run)
            step = Step(self._house, task, objects, progress, folder)
            await supervised(STEPS[task.kind](step), progress, folder=folder, min_free=min_free)
        _log.info(
            "task done",
            work=task.work.slug,
            run=task.run,
            task=task.kind,
            number=task.number,
            seconds=round(time.monotonic() - began, 2),
        )

    async def _fail(self, task: Task, error: DomainError) -> None:
        """End the run. What can't be published is kept: a later Openstage may play it (`openstage work rerun`)."""
        if not isinstance(error, OriginalLost):
            try:
                await self._house.originals.keep(task.work.file_id)
            except Unavailable as away:
                await self._give_back(task, away.message, counts=not isinstance(away, StorageFull))
                delay = FULL_DELAY if isinstance(away, StorageFull) else retry_delay(task.tries + 1)
                raise Later(delay) from away
        _log.warning("work failed", work=task.work.slug, run=task.run, task=task.kind, reason=error.message)
        await self._house.tasks.fail(task, error.message)

    async def _give_back(self, task: Task, fault: str, *, counts: bool) -> None:
        _log.warning("task broke off", work=task.work.slug, task=task.kind, fault=fault or "not wanted any more")
        try:
            await self._house.tasks.give_back(task, fault, counts=counts)
        except Unavailable:
            # The next claim doesn't depend on it: the fault's text and one try are all that is lost.
            _log.warning("the database does not answer; the fault isn't noted", work=task.work.slug)

    async def _note_leftovers(self, task: Task) -> None:
        """Let the sweep look once more: it may have thought the run dead before this task stored its last object."""
        try:
            await runs.enter_again(self._house.database, task.work_id, task.run)
        except Unavailable as error:
            _log.warning("objects of a run may be left", work=task.work.slug, error=error.message)
