"""The parts of a server put together for tests, with one app and one user, and short ways to do the usual things."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.models import Caller
from openstage.identity.service import Identity
from openstage.publishing.intake import Intake
from openstage.publishing.jobs import Jobs
from openstage.publishing.operations import Operations
from openstage.publishing.sweeps import Upkeep
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore, open_store
from openstage.uploads.service import Uploads
from openstage.works.models import Metadata, Work
from openstage.works.service import Works

TITLE = Metadata(title="A clip", description="About it")


@dataclass
class Stage:
    settings: Settings
    database: Database
    store: ObjectStore
    identity: Identity
    uploads: Uploads
    works: Works
    jobs: Jobs
    intake: Intake
    operations: Operations
    upkeep: Upkeep
    caller: Caller

    async def another_user(self, uid: str) -> Caller:
        app = await self.identity.apps.create(f"app of {uid}")
        pair = await self.identity.authorise(app.client_id, app.client_secret, realm="person", uid=uid)
        return await self.identity.resolve(pair.access_token)

    async def send(self, file_id: str, data: bytes) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        if data:
            await self.uploads.piece(file_id, chunks(), start=0, shortest=len(data))

    async def sent(self, data: bytes | Path = b"bytes") -> str:
        """A file of which every byte has arrived, neither finished nor described."""
        content = data.read_bytes() if isinstance(data, Path) else data
        file_id = (await self.intake.open(self.caller, size=len(content))).file_id
        await self.send(file_id, content)
        return file_id

    async def handed_in(self, data: bytes | Path = b"bytes") -> str:
        """A described and finished file: its production begins."""
        file_id = await self.sent(data)
        await self.intake.describe(self.caller, file_id, TITLE)
        await self.intake.finish(self.caller, file_id)
        return file_id

    async def work(self, file_id: str) -> Work:
        return await self.works.find(file_id)

    async def state(self, file_id: str) -> str:
        return (await self.work(file_id)).state

    async def value(self, query: str, *parameters: Any) -> Any:
        async with self.database.connection() as connection:
            row = await (await connection.execute(query.encode(), parameters)).fetchone()
        return row[0] if row else None

    async def execute(self, statement: str, *parameters: Any) -> None:
        async with self.database.connection() as connection:
            await connection.execute(statement.encode(), parameters)

    async def force(self, file_id: str, state: str) -> None:
        """Put a work into a state behind everybody's back."""
        await self.execute(
            "update work set state = %s, pending = %s = 'publishing' where file_id = %s", state, state, file_id
        )

    async def quota(self) -> tuple[int, int]:
        """Bytes the caller's app has stored and reserved."""
        app = await self.identity.apps.find(self.caller.client_id)
        return app.stored, app.reserved

    async def job_count(self, file_id: str) -> int:
        return int(
            await self.value(
                "select count(*) from procrastinate_jobs where lock = 'work:' || %s and status in ('todo', 'doing')",
                file_id,
            )
        )


@contextlib.asynccontextmanager
async def open_stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    store = open_store(settings)
    identity = Identity(database, settings, Keys.load(settings.folder))
    uploads = Uploads(database, settings, identity)
    works, jobs = Works(database), Jobs()
    intake = Intake(database, uploads, works, jobs)
    app = await identity.apps.create("the app")
    pair = await identity.authorise(app.client_id, app.client_secret)
    try:
        yield Stage(
            settings=settings,
            database=database,
            store=store,
            identity=identity,
            uploads=uploads,
            works=works,
            jobs=jobs,
            intake=intake,
            operations=Operations(database, works, intake, jobs),
            upkeep=Upkeep(settings, database, store, uploads, identity),
            caller=await identity.resolve(pair.access_token),
        )
    finally:
        uploads.close()
