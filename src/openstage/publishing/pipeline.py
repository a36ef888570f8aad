"""One run of the pipeline: probe, renditions, pictures, objects, and all of it in force in one transaction.

Nothing a run makes is visible before that transaction, and nothing that was published before is touched until then.
A run may be killed at any moment, or overtaken by another of the same work: its objects lie under its own random
name, only the holder of the work's claim can put results in force, and what is left over is swept.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from openstage.database.engine import Database
from openstage.errors import Unavailable
from openstage.media.errors import ScratchFull, TookTooLong, Unplayable
from openstage.media.models import MediaInfo, Picture, Rendition
from openstage.media.pictures import make_pictures
from openstage.media.probe import probe
from openstage.media.renditions import make_renditions
from openstage.observability.logs import get_logger
from openstage.publishing import crashpoints, runs
from openstage.publishing.errors import Elsewhere, Later, OriginalLost, Superseded
from openstage.publishing.objects import RunObjects
from openstage.publishing.originals import Originals
from openstage.publishing.progress import Progress, supervised
from openstage.publishing.scratch import Scratch
from openstage.settings import Settings
from openstage.storage.errors import StorageFull
from openstage.storage.objects import ObjectStore
from openstage.storage.space import require_space
from openstage.works import lifecycle
from openstage.works.models import Production, Work

T = TypeVar("T")

MOST_TRIES: Final = 8
"""Runs in a row that may break off (an outage, a killed worker) before the work fails."""
FULL_DELAY: Final = 30.0
"""Seconds until the next try where there is no room; as long as that is all, tries aren't counted."""
OUTAGE_PAUSE: Final = 1.0
_PATIENCE: Final = 120.0
"""Seconds for which the end of a run waits for a database that is away."""

_log = get_logger("publishing")


def retry_delay(tries: int) -> float:
    """Return the seconds to wait after the given number of broken-off runs: 2, 8, 32, 128, then 600."""
    return min(2.0 * 4.0 ** max(tries - 1, 0), 600.0)


@dataclass(frozen=True, slots=True)
class MediaTools:
    """What the pipeline needs of `openstage.media`."""

    probe: Callable[[Path, Settings], Awaitable[MediaInfo]] = probe
    make_renditions: Callable[..., Awaitable[tuple[Rendition, ...]]] = make_renditions
    make_pictures: Callable[[Path, MediaInfo, Path, Settings], Awaitable[tuple[Picture, ...]]] = make_pictures


class Pipeline:
    """Runs the pipeline for one work at a time."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ObjectStore,
        scratch: Scratch,
        *,
        staging_path: Callable[[str], Path],
        tools: MediaTools | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._scratch = scratch
        self._tools = tools or MediaTools()
        self._originals = Originals(database, store, staging_path, node=settings.base("upload"))

    async def run(self, file_id: str) -> None:
        """Produce a work if that is (still) wanted; a fault of the file ends in the state `failed`.

        Raises:
            Later: the run broke off for a reason that may pass.
            CancelledError: the worker is to end; the run has been given back.

        """
        run = secrets.token_hex(8)
        claimed = await self._claim(file_id, run)
        if claimed is None:
            return
        work, tries = claimed
        crashpoints.reached("claimed")
        try:
            if tries >= MOST_TRIES:
                await self._fail(work, run, f"Processing broke off {tries} times. {work.last_fault}".strip())
                return
            with self._scratch.job_folder(run) as folder:
                await self._produce(work, run, folder)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(work, run, "The worker was stopped.", counts=False))
            raise
        except Superseded:
            await self._give_back(work, run, "", counts=False)
        except (Unplayable, TookTooLong, OriginalLost) as error:
            await self._fail(work, run, error.message)
        except (StorageFull, ScratchFull) as error:
            await self._give_back(work, run, error.message, counts=False)
            raise Later(FULL_DELAY) from error
        except Elsewhere as error:
            await self._give_back(work, run, error.message, counts=True)
            raise Later(1.0, node=error.node) from error
        except (Unavailable, OSError) as error:
            await self._give_back(work, run, str(error), counts=True)
            raise Later(retry_delay(tries + 1)) from error
        except Exception as error:
            _log.exception("run broke off by a defect", work=work.slug, run=run)
            await self._give_back(work, run, f"Internal error: {type(error).__name__}.", counts=True)
            raise Later(retry_delay(tries + 1)) from error
        finally:
            await asyncio.shield(self._clean_up(work, run))

    # --- steps ------------------------------------------------------------------------------------------------
    async def _produce(self, work: Work, run: str, folder: Path) -> None:
        began = time.monotonic()
        require_space(folder, 0, reserve=self._settings.min_free)
        progress = Progress(self._database, work.id, run)
        making = self._make(work, run, folder, progress)
        try:
            production = await supervised(making, progress, folder=folder, min_free=self._settings.min_free)
        except (Unplayable, TookTooLong):
            # What can't be played is kept too: a later Openstage may play it (`openstage work rerun`).
            await self._originals.keep(work.file_id)
            raise
        state = await self._persistently(lambda: self._put_in_force(work, run, production))
        crashpoints.reached("committed")
        _log.info("work ready", work=work.slug, run=run, state=state, seconds=round(time.monotonic() - began, 1))

    async def _make(self, work: Work, run: str, folder: Path, progress: Progress) -> Production:
        await progress.begin("probe")
        source = await self._originals.source(work.file_id, folder)
        info = await self._tools.probe(source, self._settings)
        crashpoints.reached("probed")

        await progress.begin("renditions")
        (folder / "renditions").mkdir()
        renditions = await self._tools.make_renditions(
            source, info, folder / "renditions", self._settings, on_progress=_at_work(progress.within)
        )
        await progress.begin("pictures")
        (folder / "pictures").mkdir()
        pictures = await self._tools.make_pictures(source, info, folder / "pictures", self._settings)
        crashpoints.reached("rendered")

        await progress.begin("store")
        objects = RunObjects(self._store, work.file_id, run, on_progress=progress.within)
        kept, shown = await objects.keep(renditions, pictures)
        crashpoints.reached("stored")
        await self._originals.keep(work.file_id)
        return Production(
            run=run,
            duration_ms=info.duration_ms,
            media=msgspec.to_builtins(info),
            renditions=kept,
            pictures=shown,
        )

    # --- transactions -----------------------------------------------------------------------------------------
    async def _claim(self, file_id: str, run: str) -> tuple[Work, int] | None:
        async with self._database.transaction() as connection:
            claimed = await lifecycle.claim(connection, file_id, run)
            if claimed is not None:
                await runs.enter(connection, claimed[0].id, run)
            return claimed

    async def _put_in_force(self, work: Work, run: str, production: Production) -> str:
        async with self._database.transaction() as connection:
            if not await lifecycle.put_in_force(connection, work.id, run, production, review=self._settings.review):
                await self._require_committed(work, run)
            crashpoints.reached("before-commit")
        async with self._database.connection() as connection:
            row = await (await connection.execute("select state from work where id = %s", (work.id,))).fetchone()
            return str(row[0]) if row else ""

    async def _require_committed(self, work: Work, run: str) -> None:
        """Tell a commit whose reply was lost from a run that has been overtaken.

        Raises:
            Superseded: it was the latter.

        """
        async with self._database.connection() as connection:
            row = await (await connection.execute("select run from work where id = %s", (work.id,))).fetchone()
        if row is None or row[0] != run:
            raise Superseded

    async def _fail(self, work: Work, run: str, reason: str) -> None:
        async def write() -> None:
            async with self._database.transaction() as connection:
                if await lifecycle.fail(connection, work.id, run, reason):
                    _log.warning("work failed", work=work.slug, run=run, reason=reason)
                crashpoints.reached("failing")

        await self._persistently(write)

    async def _give_back(self, work: Work, run: str, fault: str, *, counts: bool) -> None:
        _log.warning("run broke off", work=work.slug, run=run, fault=fault or "not wanted any more")
        try:
            async with self._database.transaction() as connection:
                await lifecycle.give_back(connection, work.file_id, run, fault=fault, counts=counts)
        except Unavailable:
            # The next claim doesn't depend on it: the fault's text and one try are all that is lost.
            _log.warning("the database does not answer; the fault isn't noted", work=work.slug)

    async def _clean_up(self, work: Work, run: str) -> None:
        """Remove the objects of this work's runs that are not in force; what can't be removed now is swept later."""
        try:
            await runs.enter_again(self._database, work.id, run)
            await runs.remove_leftovers(self._database, self._store, work_id=work.id)
        except Unavailable as error:
            _log.warning("objects of a run are left to the sweep", work=work.slug, error=error.message)

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Wait out an outage of the database rather than throw away what has been made."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return await call()
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(OUTAGE_PAUSE)


def _at_work(within: Callable[[float], None]) -> Callable[[float], Any]:
    def report(percent: float) -> None:
        within(percent)
        crashpoints.reached("rendering")

    return report
