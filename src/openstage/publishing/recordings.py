"""Recordings on their way in: whole files that become works at once, and works whose file is still to be fetched.

A file that came with its request is a work in the moment in which it is whole. One that must be fetched is a work from
the order on, `uploading` until its file is here; `fetching.py` does that.
"""

import contextlib
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from msgspec.structs import replace

from openstage.database.engine import Connection, Database
from openstage.identity import quota
from openstage.identity.errors import AppNotUsable, QuotaExceeded
from openstage.identity.models import Caller
from openstage.publishing import jobs
from openstage.publishing.errors import Superseded, TooManyOrders
from openstage.publishing.intake import Intake
from openstage.publishing.sound_check import UNATTENDED, SoundCheck
from openstage.settings import Settings
from openstage.storage.space import require_space
from openstage.uploads.errors import BadSize, UnknownUpload
from openstage.uploads.incoming import Incoming
from openstage.uploads.models import new_file_id
from openstage.uploads.service import Uploads
from openstage.works import lifecycle, queries, recordings
from openstage.works.models import Metadata, Work
from openstage.works.recordings import About, RecordedWork

MUSIC: Final = 5
"""The documented category of recordings."""


MOST_WAITING: Final = 1000
"""Files of one app that may wait to be fetched."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a recording's file is to be fetched, and what it must be."""

    url: str
    file_size: int | None = None
    """Bytes; None: any number."""
    file_sha: str = ""
    """SHA-1 or SHA-256 in hex; empty: any."""


class RecordingIntake:
    """Makes works of recordings."""

    def __init__(self, database: Database, settings: Settings, uploads: Uploads, intake: Intake) -> None:
        self._database = database
        self._settings = settings
        self._uploads = uploads
        self._intake = intake
        self._sound_check = SoundCheck(settings)

    async def expect(self, caller: Caller, length: int | None, *, beside: int) -> None:
        """Make sure, before a request's body is read, that the file in it may come: nothing is set aside.

        Args:
            caller: who sends it.
            length: bytes of the body, as the request announces them; None: it doesn't.
            beside: at most so many of them are no part of the file: how many isn't known yet.

        Raises:
            AppNotUsable: the app is not approved.
            BadSize: no recording may have so many bytes.
            QuotaExceeded: the app has no room for them.
            StorageFull: the server has no room for them.

        """
        await self._sound_check.get_ready()
        announced = length or 0
        await self._require_room(caller, max(announced - beside, 0), announced, by="Content-Length")

    async def _require_room(self, caller: Caller, size: int, announced: int, *, by: str) -> None:
        """Make sure that a file of `size` bytes or more may come; raises as `expect`.

        Messages tell the number that the client knows: `announced`, which is what `by` says; 0: it says nothing.
        """
        if caller.app_state != "approved":
            raise AppNotUsable(caller.app_state)
        largest = self._settings.max_recording
        if size > largest:
            raise BadSize(f"A recording may have up to {largest} bytes, not {announced} as {by} says.")
        require_space(self._settings.staging_folder, announced, reserve=self._settings.min_free)
        default = self._settings.quota
        async with self._database.connection() as connection:
            try:
                await quota.require_room(connection, caller.app_id, max(size, 1), default=default)  # none has no bytes
            except QuotaExceeded as error:
                if not announced:
                    raise QuotaExceeded(
                        "The app's quota is used up: there is no room for any file. "
                        "Delete works, cancel uploads, or ask the operator for a larger quota."
                    ) from error
                try:
                    await quota.require_room(connection, caller.app_id, announced, default=default)
                except QuotaExceeded as told:
                    raise QuotaExceeded(f"{told.message} ({by} says {announced}.)") from told

    async def publish(self, caller: Caller, incoming: Incoming, about: About) -> RecordedWork:
        """Make a work of a file that has come in whole, and begin to produce it.

        Everything happens or nothing: if it can't be, the file and its quota are free again.

        Raises:
            QuotaExceeded: the app has no room for it.
            BadSize: no file may have so many bytes.
            NotAMedium: it can't be published, or has no sound.
            Unavailable: database or disk are away.

        """
        await self._sound_check.require_sound(incoming.path)
        file_id = new_file_id()
        # Known before its file gets the name: should we die in between, it expires like any unfinished upload.
        async with self._database.transaction() as connection:
            await self._open(connection, caller, file_id, about, incoming.size)
        try:
            async with self._database.transaction() as connection:
                recorded = await self._enter(connection, caller, file_id, about, incoming.size)
                await self._finish(connection, caller, recorded.work, incoming)
        except BaseException:
            await self._give_up(caller, file_id)
            raise
        return recorded

    async def order(self, caller: Caller, source: Source, about: About) -> RecordedWork:
        """Make a work of a file that is still to be fetched.

        Raises:
            AppNotUsable: the app is not approved.
            BadSize: no recording may have so many bytes as `source` says.
            QuotaExceeded: the app has no room for them.
            StorageFull: the server has no room for them.
            TooManyOrders: too many files of the app wait to be fetched.

        """
        size = source.file_size or 0
        await self._require_room(caller, size, size, by="file_size")
        async with self._database.transaction() as connection:
            waiting = await _waiting(connection, caller.app_id)
            if waiting >= MOST_WAITING:
                raise TooManyOrders(f"{waiting} files of this app wait to be fetched; send this one again later.")
            recorded = await self._enter(connection, caller, new_file_id(), about, size)
            await connection.execute(
                "insert into recording_fetch (work_id, url, file_size, file_sha) values (%s, %s, %s, %s)",
                (recorded.work.id, source.url, source.file_size, source.file_sha),
            )
            # The first that waits of each app goes before the second of any: many of one keep nobody waiting.
            await jobs.enter_fetch(connection, recorded.work.id, priority=-waiting)
        return recorded

    async def deliver(self, work_id: int, claim: str, incoming: Incoming) -> None:
        """Put the file of an order in its place and begin to produce the work.

        Args:
            work_id: whose file it is.
            claim: under which it was fetched.
            incoming: the file, whole.

        Raises:
            Superseded: it isn't wanted any more, or somebody else fetches it.
            NotAMedium: it can't be published, or has no sound.
            QuotaExceeded: the app has no room for it.
            Unavailable: database or disk are away.

        """
        await self._sound_check.require_sound(incoming.path, seconds=UNATTENDED)
        async with self._database.transaction() as connection:
            work = await queries.select_one(
                connection,
                """
                work.id = %(work)s and state = 'uploading' and deleted_at is null
                and exists (select from recording_fetch f where f.work_id = work.id and f.claim = %(claim)s)
                for update of work
                """,
                {"work": work_id, "claim": claim},
            )
            if work is None:
                raise Superseded
            row = await (
                await connection.execute("select file_name from recording where work_id = %s", (work_id,))
            ).fetchone()
            owner = Caller(work.app_id, work.user_id, "approved", "", "")
            about = About(file_name=row[0] if row else "")
            await connection.execute("update work set file_size = %s where id = %s", (incoming.size, work_id))
            await self._open(connection, owner, work.file_id, about, incoming.size)
            await self._finish(connection, owner, replace(work, file_size=incoming.size), incoming)
            await connection.execute("delete from recording_fetch where work_id = %s", (work_id,))

    async def _open(self, connection: Connection, caller: Caller, file_id: str, about: About, size: int) -> None:
        suffix = PurePath(about.file_name).suffix.removeprefix(".")
        await self._uploads.open(connection, caller, file_id=file_id, file_type=suffix, size=size)

    async def _enter(
        self, connection: Connection, caller: Caller, file_id: str, about: About, size: int
    ) -> RecordedWork:
        """Enter the work and its recording; whatever is said of it is there before production begins."""
        await lifecycle.create(connection, caller, file_id, file_size=size)
        work = await lifecycle.lock(connection, caller, file_id)
        recording = await recordings.create(connection, work.id, about)
        title = about.song_name or PurePath(about.file_name).stem
        await lifecycle.describe(connection, work, Metadata(title=title, description=about.content, category=MUSIC))
        return RecordedWork(replace(work, title=title, access=recordings.ACCESS[about.publish_type]), recording)

    async def _finish(self, connection: Connection, caller: Caller, work: Work, incoming: Incoming) -> None:
        await self._uploads.adopt(connection, work.file_id, incoming)
        await self._uploads.finish(connection, caller, work.file_id)
        await self._intake.start(connection, work)

    async def _give_up(self, caller: Caller, file_id: str) -> None:
        """Take an upload back that became no work; if it did after all (the commit's reply was lost), it stays."""
        with contextlib.suppress(UnknownUpload):
            async with self._database.transaction() as connection:
                await self._uploads.cancel(connection, caller, file_id)
            await self._uploads.discard(file_id)


async def _waiting(connection: Connection, app_id: int) -> int:
    """Return how many files of an app are to be fetched, those under way included."""
    row = await (
        await connection.execute(
            "select count(*) from recording_fetch join work on work.id = work_id where app_id = %s", (app_id,)
        )
    ).fetchone()
    return int(row[0]) if row else 0
