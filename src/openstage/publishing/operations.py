"""What the operator does with works beside review: run again, delete, restore."""

from openstage.database.engine import Connection, Database
from openstage.identity.models import Caller
from openstage.publishing.intake import Intake
from openstage.publishing.tasks import Tasks
from openstage.works import lifecycle
from openstage.works.errors import UnknownWork, WrongState
from openstage.works.models import Work
from openstage.works.service import Works


class Operations:
    """Works of any app, by `file_id` or slug."""

    def __init__(self, database: Database, works: Works, intake: Intake, tasks: Tasks) -> None:
        self._database = database
        self._works = works
        self._intake = intake
        self._tasks = tasks

    async def rerun(self, name: str) -> Work:
        """Make a work's renditions anew, or process one again that failed.

        What is published stays in force until the new renditions are whole, and stays if they can't be made. A run that
        is under way goes on, with what waits for its next try at once.

        Raises:
            UnknownWork: there is none, or it is deleted.
            WrongState: it has never been finished, or its file never came.

        """
        found = await self._works.find(name)
        if found.deleted_at is not None:
            raise UnknownWork(f"The work {name!r} is deleted; restore it first.")
        async with self._database.transaction() as connection:
            work = await lifecycle.lock(connection, None, found.file_id)
            if work.state == "failed" and not await _has_original(connection, work):
                raise WrongState("Its file never came: there is nothing to process. It must be sent anew.", work.state)
            await lifecycle.want_rerun(connection, work)
            await self._tasks.go_on(connection, work)
        return await self._works.find(name)

    async def restore(self, name: str) -> Work:
        """Bring a deleted work back within the grace time, in the state in which it was deleted.

        Raises:
            UnknownWork: there is none.
            Purged: the grace time is over.

        """
        async with self._database.transaction() as connection:
            work = await self._works.restore(connection, name)
            if work.pending:
                await self._tasks.go_on(connection, work)
        return work

    async def delete(self, name: str) -> Work:
        """Hide a work at once; its bytes go after the grace time. An unfinished upload is cancelled.

        Raises:
            UnknownWork: there is none.

        """
        work = await self._works.find(name)
        owner = Caller(app_id=work.app_id, user_id=work.user_id, app_state="approved", client_id="", uid="")
        await self._intake.delete(owner, [work.file_id], by="operator")
        return await self._works.find(name)


async def _has_original(connection: Connection, work: Work) -> bool:
    """Return whether a work's file came whole: one that is fetched may never."""
    cursor = await connection.execute("select from upload where file_id = %s and state = 'finished'", (work.file_id,))
    return cursor.rowcount == 1
