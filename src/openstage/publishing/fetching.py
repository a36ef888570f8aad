"""Fetching the files of recordings whose app sent an address instead: one job each, taken up again when it breaks off.

A fetch is claimed under a random token, and only its holder may end it: a worker that was thought dead and comes back
finds the claim gone. Deleting the work stops it within a second.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from openstage.database.engine import Database
from openstage.database.text import storable
from openstage.errors import DomainError, Unavailable
from openstage.observability.logs import get_logger
from openstage.outbound.errors import BadAnswer, OutboundError, TooLarge
from openstage.outbound.fetch import Head, fetch
from openstage.publishing import jobs
from openstage.publishing.errors import Later, Superseded, WrongSize
from openstage.publishing.progress import end
from openstage.publishing.reception import Reception, digests_of
from openstage.publishing.recordings import RecordingIntake, Source
from openstage.publishing.tasks import FULL_DELAY
from openstage.settings import Settings
from openstage.storage.errors import StorageFull
from openstage.uploads.service import Uploads
from openstage.works import lifecycle

MOST_TRIES: Final = 6
"""Tries that may break off for reasons that may pass."""
DELAYS: Final = (2.0, 10.0, 60.0, 300.0, 1800.0)
"""Seconds before the second try, the third, and so on."""
BUSY_DELAY: Final = 1.0
"""Seconds before another look whether an app may have one more fetch under way."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks whether the file is still wanted."""
_FOR_GOOD: Final = frozenset({400, 401, 402, 403, 404, 405, 406, 410, 411, 414, 415, 416, 451})
"""What a server answers that will answer the same the next time (RFC 9110, 15.5)."""
_AT_ONCE: Final = 100

_log = get_logger("fetching")


@dataclass(frozen=True, slots=True)
class Order:
    """A claimed fetch."""

    work_id: int
    file_id: str
    source: Source
    token: str
    tries: int
    """Tries that have broken off before this one."""


class Fetching:
    """Fetches files, several at a time."""

    def __init__(self, database: Database, settings: Settings, uploads: Uploads, intake: RecordingIntake) -> None:
        self._database = database
        self._settings = settings
        self._uploads = uploads
        self._intake = intake

    async def run(self, work_id: int) -> None:
        """Fetch the file of a work, if it is (still) wanted.

        Raises:
            Later: it broke off for a reason that may pass.
            CancelledError: the worker is to end; the fetch has been given back.

        """
        order = await self._claim(work_id)
        if order is None:
            return
        try:
            await self._fetch(order)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(order, "The worker was stopped.", counts=False))
            raise
        except Superseded:
            _log.info("a file isn't fetched any more", work=order.file_id)
        except StorageFull as error:
            await self._give_back(order, error.message, counts=False)
            raise Later(FULL_DELAY) from error
        except Unavailable as error:
            await self._give_back(order, error.message, counts=False)
            raise Later(DELAYS[1]) from error
        except DomainError as error:
            await self._end_try(order, error)

    async def resume_lost(self) -> int:
        """Enter jobs for fetches that have none, and forget fetches of works that want none.

        Nothing known loses a job; this is for what isn't known.

        Returns:
            How many jobs were entered.

        """
        async with self._database.transaction() as connection:
            await connection.execute(
                """
                delete from recording_fetch f using work
                where work.id = f.work_id and (work.state <> 'uploading' or work.deleted_at is not null)
                """
            )
            rows = await (
                await connection.execute(
                    """
                    select work_id from recording_fetch f
                    where changed_at < now() - interval '1 minute' and not exists (
                        select from procrastinate_jobs j
                        where j.lock = 'fetch:' || f.work_id and j.status in ('todo', 'doing'))
                    order by work_id limit %s for update skip locked
                    """,
                    (_AT_ONCE,),
                )
            ).fetchall()
            for (work_id,) in rows:
                await jobs.enter_fetch(connection, work_id)
        return len(rows)

    # --- one try --------------------------------------------------------------------------------------------------
    async def _fetch(self, order: Order) -> None:
        source, largest = order.source, self._settings.max_recording
        limit = min(largest, source.file_size or largest)
        async with self._uploads.incoming.receive(limit=largest, digests=digests_of(source.file_sha)) as incoming:
            reception = Reception(incoming, expected=source.file_size)

            async def compare(head: Head) -> None:
                if source.file_size is not None and head.byte_size not in {None, source.file_size}:
                    raise WrongSize(f"The file has {head.byte_size} bytes, not {source.file_size} as file_size says.")

            async def receive() -> None:
                try:
                    await fetch(
                        source.url,
                        reception.write,
                        limit_bytes=limit,
                        seconds=self._settings.fetch_time,
                        settings=self._settings,
                        on_head=compare,
                    )
                except TooLarge as error:
                    if source.file_size is None:
                        raise
                    raise WrongSize(f"The file has more than the {limit} bytes that file_size says.") from error

            await self._while_wanted(order, receive())
            await reception.finish(file_size=source.file_size, file_sha=source.file_sha)
            await self._intake.deliver(order.work_id, order.token, incoming)
        _log.info("file fetched", work=order.file_id, size=incoming.size)

    async def _while_wanted(self, order: Order, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` for as long as the file is wanted; raises Superseded once it isn't."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_EVERY)
                if not task.done() and not await self._is_wanted(order):
                    raise Superseded
            task.result()
        finally:
            await end(task)

    async def _is_wanted(self, order: Order) -> bool:
        try:
            row = await self._database.fetch_one(
                """
                select 1 from recording_fetch f join work on work.id = f.work_id
                where f.work_id = %(work)s and f.claim = %(claim)s
                  and work.state = 'uploading' and work.deleted_at is null
                """,
                {"work": order.work_id, "claim": order.token},
            )
        except Unavailable as error:  # the fetch needs no database before its end
            _log.warning("can't tell whether a file is still wanted", work=order.file_id, reason=error.message)
            return True
        return row is not None

    # --- claims and ends --------------------------------------------------------------------------------------------
    async def _claim(self, work_id: int) -> Order | None:
        """Begin a try; None if the file isn't wanted (any more).

        Raises:
            Later: its app has as many fetches under way as it may, so that the others' are not kept waiting.

        """
        token = secrets.token_hex(8)
        row = await self._database.fetch_one(
            """
            update recording_fetch f
            set claim = %(token)s, tries = f.tries + 1, changed_at = now() from work
            where f.work_id = %(work)s and work.id = f.work_id
              and work.state = 'uploading' and work.deleted_at is null
              and (select count(*) from recording_fetch other join work w on w.id = other.work_id
                   where w.app_id = work.app_id and other.claim <> '' and other.work_id <> f.work_id) < %(most)s
            returning work.file_id, f.url, f.file_size, f.file_sha, f.tries - 1
            """,
            {"token": token, "work": work_id, "most": max(self._settings.fetch_concurrency // 2, 1)},
        )
        if row is not None:
            file_id, url, file_size, file_sha, tries = row
            return Order(work_id, file_id, Source(url, file_size, file_sha), token, tries)
        waits = await self._database.fetch_one(
            """
            select 1 from recording_fetch f join work on work.id = f.work_id
            where f.work_id = %(work)s and work.state = 'uploading' and work.deleted_at is null
            """,
            {"work": work_id},
        )
        if waits is not None:
            raise Later(BUSY_DELAY)
        return None

    async def _end_try(self, order: Order, error: DomainError) -> None:
        """Fail the work, or let the file be fetched again where that may help."""
        tries = order.tries + 1
        if not _passes(error) or tries >= MOST_TRIES:
            reason = error.message if tries < MOST_TRIES else f"The file could not be fetched: {error.message}"
            await self._fail(order, reason)
            return
        await self._give_back(order, error.message, counts=True)
        raise Later(DELAYS[min(tries, len(DELAYS)) - 1]) from error

    async def _fail(self, order: Order, reason: str) -> None:
        _log.warning("a file can't be fetched", work=order.file_id, reason=reason)
        async with self._database.transaction() as connection:
            held = await (
                await connection.execute(
                    """
                    select from work join recording_fetch f on f.work_id = work.id
                    where work.id = %s and f.claim = %s and work.deleted_at is null for update of work
                    """,
                    (order.work_id, order.token),
                )
            ).fetchone()
            if held is None:
                return
            # Nothing of it is stored, so nothing will be given back to the quota.
            await connection.execute("update work set file_size = 0 where id = %s", (order.work_id,))
            await lifecycle.move(connection, order.work_id, "uploading", "failed", reason=reason)
            await connection.execute("delete from recording_fetch where work_id = %s", (order.work_id,))
        await self._uploads.discard(order.file_id)

    async def _give_back(self, order: Order, fault: str, *, counts: bool) -> None:
        """End a try that broke off, so that another can begin."""
        _log.warning("a fetch broke off", work=order.file_id, fault=fault)
        try:
            async with self._database.connection() as connection:
                await connection.execute(
                    """
                    update recording_fetch
                    set claim = '', tries = greatest(tries - %s, 0), last_fault = %s, changed_at = now()
                    where work_id = %s and claim = %s
                    """,
                    (0 if counts else 1, storable(fault), order.work_id, order.token),
                )
        except Unavailable:
            _log.warning("the database does not answer; the fault isn't noted", work=order.file_id)


def _passes(error: DomainError) -> bool:
    """Whether another try may end otherwise."""
    if isinstance(error, BadAnswer):
        return error.status not in _FOR_GOOD
    return isinstance(error, OutboundError) and error.passing
