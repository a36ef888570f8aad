"""The first rendition: what plays the moment an upload ends.

It is made from the upload while that arrives where the container allows, else from the file at finish, and its rows
grow segment by segment. It is offered once the whole file has been judged and a player won't catch up with it.

    upload arrives ──> head ──> grow ────────────────────────────────────┐
    last byte ───────> full probe: may it be published? ─────────────────┴─> ready ──> offered, once finish was called
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openstage.database.engine import Connection
from openstage.errors import DomainError
from openstage.media.errors import TookTooLong, Unplayable
from openstage.media.first import dump_plan
from openstage.media.heads import NotYet
from openstage.media.models import MediaInfo
from openstage.observability.logs import get_logger
from openstage.publishing import crashpoints
from openstage.publishing.errors import Resting, Superseded
from openstage.publishing.production.feed import IDLE_SECONDS, GrowingUpload, Range, growing_upload
from openstage.publishing.production.growth import Growth
from openstage.publishing.production.pace import slow_notice
from openstage.publishing.production.step import FirstDecision, Step, first_decision, note_first, nothing
from openstage.publishing.progress import together
from openstage.works import lifecycle, products

NOTICE_SECONDS = 5.0
"""A shorter wait isn't worth telling."""

_log = get_logger("publishing")


async def make_first(step: Step) -> None:
    """Make the first rendition of a work whose upload arrives, or is finished.

    Raises:
        Resting: nothing more can be done before the upload is finished.
        Superseded: the upload or the run isn't wanted any more.
        Unplayable, TookTooLong: the file can't be published.

    """
    row = await step.house.database.fetch_one(
        "select state, size from upload where file_id = %(file)s", {"file": step.task.work.file_id}
    )
    if row is None or row[0] in {"cancelled", "expired"}:
        raise Superseded
    if row[0] != "open":
        await _First(step, await step.source()).make()
        return
    staging = step.house.originals.staging(step.task.work.file_id)
    async with contextlib.AsyncExitStack() as stack:
        following = growing_upload(step.house.database, step.task.work.file_id, staging, row[1], idle=IDLE_SECONDS)
        try:
            feed = await stack.enter_async_context(following)
        except FileNotFoundError as error:  # nothing has come yet, or it has been cancelled this moment
            raise Resting from error
        await _First(step, staging, feed).make()


class _First:
    """One try to make the first rendition."""

    def __init__(self, step: Step, source: Path, feed: GrowingUpload | None = None) -> None:
        self._step = step
        self._source = source
        self._feed = feed
        self._verdict: MediaInfo | None = None
        self._judged = asyncio.Event()
        self._sure: MediaInfo | None = None  # what the header tells, if it tells all that the verdict needs
        self._looked = asyncio.Event()  # at the header
        self._growth: Growth | None = None
        self._offered = step.task.work.run == step.task.run  # by a try before this one
        self._offering = asyncio.Lock()
        self._began = time.monotonic()
        self._work = step.task.work.slug

    async def make(self) -> None:
        """Make it, offer it, and end the task."""
        try:
            await together(self._judge(), self._grow())
        except (Unplayable, TookTooLong) as error:
            if self._feed is None or self._feed.finished.is_set():
                raise
            # A verdict is given on finished uploads only; what is there may be looked at once more then.
            _log.info("an upload can't be made use of before its end", work=self._work, reason=error.message)
            await self._step.commit(self._take_back)
            raise Resting from error
        assert self._verdict is not None  # `_judge` has ended well
        await self._offer(whole=True)
        await self._step.end(nothing)

    def _say(self, what: str) -> None:
        """Note when something was reached: time to play is made of these."""
        _log.debug(what, work=self._work, seconds=round(time.monotonic() - self._began, 3))

    # --- may it be published? -------------------------------------------------------------------------------------
    async def _judge(self) -> None:
        """Tell whether the file may be published as soon as it is there: by its index, or by a look at both ends.

        Raises:
            Unplayable, TookTooLong: it can't be published, whatever has been made of its beginning.

        """
        try:
            if self._feed is not None:
                await self._feed.until_whole()
                self._say("all bytes received")
            info, whole = await self._step.media(), True
            if info is None:
                await self._looked.wait()
                info, whole = self._sure, False
            if info is None:
                source = self._source if self._feed is None else await self._step.source()
                info, whole = await self._step.tools.probe_quickly(source, self._step.settings)
                crashpoints.reached("probed")
            self._say("whole file judged")
            self._verdict = info
        finally:
            self._judged.set()
        await self._step.commit(lambda connection: self._step.measured(connection, info, whole=whole))
        await self._offer()

    # --- making it --------------------------------------------------------------------------------------------------
    async def _grow(self) -> None:
        try:
            await self._make_tracks()
        except (Unplayable, TookTooLong):
            if self._feed is None or self._feed.whole:
                # What is wrong with the file as a whole says more than what ffmpeg stumbled over.
                await self._judged.wait()
            raise

    async def _take_back(self, connection: Connection) -> None:
        await products.discard_growing(connection, self._step.task.work_id, self._step.task.run)

    async def _make_tracks(self) -> None:
        try:
            decision = first_decision(self._step.task.plan) or await self._decide()
        finally:
            self._looked.set()
        source: Path | GrowingUpload = self._source
        if self._feed is not None and decision.can_feed:
            source = self._feed
        elif self._feed is not None:
            await self._feed.until_whole()
            source = await self._step.source()
        try:
            await self._make_growth(decision, source)
        except Unplayable as error:
            if self._feed is not None and not self._feed.whole:
                raise
            await self._judged.wait()
            if self._verdict is None:
                raise
            await self._make_growth(await self._encode_instead(self._verdict, error), await self._step.source())

    async def _make_growth(self, decision: FirstDecision, source: Path | GrowingUpload) -> None:
        self._growth = await Growth.of(self._step, decision.info, decision.plan)
        await self._growth.make(source, on_segments=self._offer)

    async def _encode_instead(self, info: MediaInfo, error: Unplayable) -> FirstDecision:
        """Decide anew where what was to be copied can't be: a decoder bears more than a remuxer.

        Raises:
            Unplayable: nothing was copied, or the ladder counts on it already.

        """
        plan = self._step.tools.plan_first(info, self._step.settings, copy=False)

        def change(whole: dict[str, Any]) -> None:
            if "ladder" in whole or whole["first"] == dump_plan(plan):
                raise error
            del whole["first"]
            note_first(whole, FirstDecision(info, plan, can_feed=False))

        async def write(connection: Connection) -> None:
            await self._take_back(connection)
            await self._step.update_plan(connection, change)

        await self._step.commit(write)
        self._offered = False
        _log.warning("a picture or sound that can't be copied is encoded", work=self._work, reason=error.message)
        return FirstDecision(info, plan, can_feed=False)

    async def _decide(self) -> FirstDecision:
        info, can_feed = await self._head()
        plan = self._step.tools.plan_first(info, self._step.settings)
        decided = await self._step.decide_first(FirstDecision(info, plan, can_feed))
        crashpoints.reached("planned")
        self._say("first rendition decided")
        return decided

    async def _head(self) -> tuple[MediaInfo, bool]:
        """Tell what the file is as early as it can be told, and whether segments can be made of its beginning."""
        step, feed = self._step, self._feed
        known: Sequence[Range] = ()
        while feed is not None and not feed.whole:
            if known:
                head = await step.tools.probe_head(self._source, feed.size, known, step.settings)
                if not isinstance(head, NotYet):
                    self._sure = head.info if head.sure else None
                    return head.info, head.can_feed
                known = await feed.until_received(head.wants)
            else:
                known = await feed.until_received((0, 1))
        with contextlib.suppress(DomainError):
            size = self._step.task.work.file_size
            head = await step.tools.probe_head(self._source, size, [(0, size)], step.settings)
            if not isinstance(head, NotYet):
                self._sure = head.info if head.sure else None
                return head.info, False
        self._looked.set()
        await self._judged.wait()
        if self._verdict is None:
            raise Unplayable("The file can't be read.")  # never seen: the verdict's own error ends the task
        return self._verdict, False

    # --- offering it -------------------------------------------------------------------------------------------------
    async def _offer(self, *, whole: bool = False) -> None:
        """Offer it, if that can be done now."""
        async with self._offering:
            if self._offered or self._verdict is None or self._growth is None:
                return
            wait = 0.0 if whole else self._growth.seconds_to_wait(self._verdict.duration)
            if wait == 0.0:
                await self._step.commit(self._put_in_force)
                crashpoints.reached("offered")
                self._offered = True
                self._say("first rendition offered")
            elif self._growth.measured and wait > NOTICE_SECONDS and not self._step.task.work.run:
                await self._step.commit(lambda connection: self._notify(connection, slow_notice(wait)))

    async def _put_in_force(self, connection: Connection) -> None:
        await self._notify(connection, "")
        await self._step.house.tasks.offer(connection, self._step.task)
        crashpoints.reached("offering")

    async def _notify(self, connection: Connection, notice: str) -> None:
        await lifecycle.notify(connection, self._step.task.work_id, self._step.task.run, notice)
