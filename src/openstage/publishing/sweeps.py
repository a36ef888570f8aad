"""Keeping house, once a minute by one worker of all: what is due to end, ends, and its bytes go."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from openstage.database import locks
from openstage.database.engine import Database
from openstage.errors import Unavailable
from openstage.identity.service import Identity
from openstage.observability.logs import get_logger
from openstage.publishing import crashpoints, runs
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore
from openstage.uploads.service import Uploads
from openstage.works import lifecycle
from openstage.works.announcing import announce
from openstage.works.models import State

_AT_ONCE: Final = 20
"""Works purged in one transaction."""
PLAYBACK_DAYS: Final = 2
"""Counted playbacks are remembered for so long; signed addresses that count live for minutes."""
JOB_DAYS: Final = 3
"""Jobs that failed or were aborted are kept for so long, for the operator."""
_NEVER_FINISHED: Final[tuple[State, ...]] = ("uploading", "cancelled", "expired")
_EXPIRED: Final = "The upload was never finished and has expired."

_log = get_logger("upkeep")


class Upkeep:
    """All sweeps."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ObjectStore,
        uploads: Uploads,
        identity: Identity,
        *,
        further: Sequence[Callable[[], Awaitable[int]]] = (),
    ) -> None:
        """Take what the sweeps need, and `further` sweeps, which return how much they found to do."""
        self._settings = settings
        self._database = database
        self._store = store
        self._uploads = uploads
        self._identity = identity
        self._further = further

    async def run(self) -> None:
        """Sweep everything once; one sweep that can't do its work doesn't keep the others from theirs."""
        sweeps: tuple[Callable[[], Awaitable[int]], ...] = (
            self.expire_uploads,
            self._uploads.sweep,
            self.purge_deleted,
            self.remove_leftovers,
            self.remove_retired,
            self.tidy,
            self.forget_playbacks,
            self._identity.forget_expired,
            self.forget_jobs,
            *self._further,
        )
        for sweep in sweeps:
            name = sweep.__name__
            try:
                if count := await sweep():
                    _log.info("swept", sweep=name, count=count)
            except Unavailable as error:
                _log.warning("a sweep must wait", sweep=name, error=error.message)
            except Exception:
                _log.exception("a sweep failed", sweep=name)

    async def expire_uploads(self) -> int:
        """Expire uploads that nobody has sent a piece of for `settings.upload_lifetime`."""
        async with self._database.transaction() as connection:
            expired = await self._uploads.expire_due(connection)
            # Everybody else locks the work before its upload; who waits for ours mustn't be waited for. What is passed
            # over now is found the next time.
            cursor = await connection.execute(
                """
                update work set state = 'expired', claim = '', changed_at = now(), reason = %s
                where id in (
                    select w.id from work w join upload u on u.file_id = w.file_id
                    where w.state = 'uploading' and u.state = 'expired'
                    for update of w skip locked)
                returning id
                """,
                (_EXPIRED,),
            )
            await announce(connection, [work_id for (work_id,) in await cursor.fetchall()])
        for file_id in expired:
            await self._uploads.discard(file_id)
        return len(expired)

    async def purge_deleted(self) -> int:
        """Remove the bytes of works for good that were deleted longer than `settings.deletion_grace` ago."""
        purged = 0
        while True:
            async with self._database.transaction() as connection:
                # A backup copies rows first and objects then: nothing may go missing in between.
                if not await locks.may_remove_objects(connection):
                    return purged
                due = await (
                    await connection.execute(
                        """
                        select id, file_id, app_id, file_size, state from work
                        where deleted_at < now() - make_interval(secs => %s) and purged_at is null
                        order by deleted_at limit %s for update skip locked
                        """,
                        (self._settings.deletion_grace, _AT_ONCE),
                    )
                ).fetchall()
                for work_id, file_id, app_id, file_size, state in due:
                    await self._store.delete_prefix(f"works/{file_id}")
                    await self._uploads.discard(file_id)
                    crashpoints.reached("purging")
                    await lifecycle.purge(connection, work_id)
                    if state not in _NEVER_FINISHED:
                        await self._identity.release(connection, app_id, stored=file_size)
            purged += len(due)
            if len(due) < _AT_ONCE:
                return purged

    async def remove_leftovers(self) -> int:
        """Remove the objects of runs that died, and of those that a rerun has replaced a while ago."""
        return await runs.remove_leftovers(self._database, self._store)

    async def remove_retired(self) -> int:
        """Remove renditions that have been listed no more for longer than anybody plays them."""
        return await runs.remove_retired(self._database, self._store)

    async def tidy(self) -> int:
        """Remove what tries left in the store that broke off, once their run is complete."""
        return await runs.tidy(self._database, self._store)

    async def forget_playbacks(self) -> int:
        """Forget playbacks whose signed addresses are long over; they stay counted."""
        return await self._delete(
            "delete from playback where started_at < now() - make_interval(days => %(days)s)", PLAYBACK_DAYS
        )

    async def forget_jobs(self) -> int:
        """Forget jobs that ended otherwise than well, after a while."""
        return await self._delete(
            """
            delete from procrastinate_jobs j
            where status in ('failed', 'aborted', 'cancelled') and not exists (
                select from procrastinate_events e
                where e.job_id = j.id and e.at > now() - make_interval(days => %(days)s))
            """,
            JOB_DAYS,
        )

    async def _delete(self, statement: str, days: int) -> int:
        async with self._database.connection() as connection:
            return (await connection.execute(statement.encode(), {"days": days})).rowcount
