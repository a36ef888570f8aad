"""What an app does with its works: open an upload, describe, finish, cancel, delete.

Each is one transaction over upload, work and job. All of them lock the work first, so that of racing calls one sees
what the other did; whatever is repeated answers as before.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from openstage.database.engine import Connection, Database
from openstage.identity.errors import AppNotUsable
from openstage.identity.models import Caller
from openstage.observability.logs import get_logger
from openstage.publishing.tasks import Tasks
from openstage.uploads.errors import UnknownUpload
from openstage.uploads.models import new_file_id
from openstage.uploads.service import Uploads
from openstage.works import lifecycle
from openstage.works.announcing import Actor
from openstage.works.errors import WrongState
from openstage.works.models import Metadata, Work
from openstage.works.service import Works

_log = get_logger("intake")


@dataclass(frozen=True, slots=True)
class Opened:
    """An upload that may be sent now."""

    file_id: str
    """32 hex digits; who knows it may send pieces."""


class Intake:
    """The use cases that need uploads, works and jobs in one transaction."""

    def __init__(self, database: Database, uploads: Uploads, works: Works, tasks: Tasks) -> None:
        self._database = database
        self._uploads = uploads
        self._works = works
        self._tasks = tasks

    async def open(self, caller: Caller, *, file_type: str = "", size: int) -> Opened:
        """Begin an upload and enter the work that will come of it.

        Args:
            caller: who uploads.
            file_type: what the client calls the file's type; nothing relies on it.
            size: bytes of the whole file.

        Raises:
            AppNotUsable: the app is not approved.
            BadSize: no file may have so many bytes.
            QuotaExceeded: the app has no room for them.
            StorageFull: the server has no room.

        """
        if caller.app_state != "approved":
            raise AppNotUsable(caller.app_state)
        file_id = new_file_id()
        async with self._database.transaction() as connection:
            await self._uploads.open(connection, caller, file_id=file_id, file_type=file_type, size=size)
            await lifecycle.create(connection, caller, file_id, file_size=size)
        return Opened(file_id)

    async def describe(self, caller: Caller, file_id: str, metadata: Metadata) -> None:
        """Set a work's metadata, before finish, after it, or anew; production starts if finish has been before.

        Raises:
            UnknownWork: no such work, deleted, or somebody else's.
            WrongState: its upload was cancelled or has expired.
            BadMetadata: something is too long or too large.

        """
        async with self._database.transaction() as connection:
            work = await lifecycle.lock(connection, caller, file_id)
            if work.state in {"cancelled", "expired"}:
                raise WrongState(f"The upload of this work is {work.state}; there is nothing to describe.", work.state)
            await lifecycle.describe(connection, work, metadata)
            if work.state == "waiting":
                await self.start(connection, work)

    async def finish(self, caller: Caller, file_id: str) -> None:
        """Declare all bytes sent; production starts if metadata is there, else when it comes.

        Raises:
            UnknownWork: no such work, deleted, or somebody else's.
            UnknownUpload: it was cancelled or has expired.
            MissingRanges: bytes are missing; nothing is lost, and finish may be repeated.
            StagingLost: the server has lost what it had received.

        """
        async with self._database.transaction() as connection:
            work = await lifecycle.lock(connection, caller, file_id)
            if work.state in {"cancelled", "expired"}:
                raise UnknownUpload
            if work.state != "uploading":
                return
            await self._uploads.finish(connection, caller, file_id)
            if work.described_at is None:
                await lifecycle.move(connection, work.id, "uploading", "waiting")
            else:
                await self.start(connection, work)

    async def cancel(self, caller: Caller, file_id: str) -> None:
        """Give an unfinished upload up; its bytes go, and its quota comes back.

        Raises:
            UnknownWork: no such work, deleted, or somebody else's.
            WrongState: it is finished (delete it instead) or has expired.

        """
        async with self._database.transaction() as connection:
            work = await lifecycle.lock(connection, caller, file_id)
            if work.state not in {"uploading", "cancelled"}:
                raise WrongState("Only an unfinished upload can be cancelled; delete the work instead.", work.state)
            await self._cancel(connection, caller, work)
        await self._uploads.discard(file_id)

    async def delete(self, caller: Caller, file_ids: Sequence[str] | None, *, by: Actor = "app") -> int:
        """Delete the caller's works: hidden at once, their bytes removed for good after the grace time.

        Unfinished uploads among them are cancelled.

        Args:
            caller: whose.
            file_ids: which; None: all. Unknown, deleted and other people's ones are passed over.
            by: who does it, in their name or against it.

        Returns:
            How many were deleted by this call.

        """
        async with self._database.transaction() as connection:
            deleted = await self._works.delete(connection, caller, file_ids, by=by)
            unfinished = [work for work in deleted if work.state == "uploading"]
            for work in unfinished:
                await self._cancel(connection, caller, work)
        for work in unfinished:
            await self._uploads.discard(work.file_id)
        return len(deleted)

    async def start(self, connection: Connection, work: Work) -> None:
        """Let production of a work begin whose upload is finished, or go on if it has begun with the first bytes.

        Part of the caller's transaction, which holds the work's lock: state and jobs together, once.
        """
        if await lifecycle.move(connection, work.id, work.state, "publishing"):
            await self._tasks.go_on(connection, work)
            _log.info("production begins", work=work.slug, size=work.file_size, early=bool(work.claim))

    async def _cancel(self, connection: Connection, caller: Caller, work: Work) -> None:
        if work.state == "uploading" and await lifecycle.move(connection, work.id, "uploading", "cancelled"):
            # The sweep may have let the upload expire a moment ago; then there is nothing left to give back.
            with contextlib.suppress(UnknownUpload):
                await self._uploads.cancel(connection, caller, work.file_id)
