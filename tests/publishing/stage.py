"""The parts of a server put together for tests, with one app and one user, and short ways to do the usual things."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.models import Caller
from openstage.identity.service import Identity
from openstage.publishing.early import EarlyStart
from openstage.publishing.intake import Intake
from openstage.publishing.operations import Operations
from openstage.publishing.originals import original_key
from openstage.publishing.sweeps import Upkeep
from openstage.publishing.tasks import NewTask, Task, Tasks
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore, open_store
from openstage.uploads.service import Uploads
from openstage.works import products
from openstage.works.models import Metadata, NewRendition, Segment, Work
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
    tasks: Tasks
    early: EarlyStart
    intake: Intake
    operations: Operations
    upkeep: Upkeep
    caller: Caller

    async def another_user(self, uid: str) -> Caller:
        app = await self.identity.apps.create(f"app of {uid}")
        pair = await self.identity.authorise(app.client_id, app.client_secret, realm="person", uid=uid)
        return await self.identity.resolve(pair.access_token)

    async def send(self, file_id: str, data: bytes, *, start: int = 0) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        if data:
            await self.uploads.piece(file_id, chunks(), start=start, shortest=len(data))

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

    # --- production without media ---------------------------------------------------------------------------------
    async def store_rendition(
        self, task: Task, quality: str = "96", *, complete: bool = True, segments: int = 1
    ) -> NewRendition:
        """Objects of a rendition that a task has made, and the row that is to be entered for it."""
        prefix = f"works/{task.work.file_id}/{task.run}/hls/{quality}"
        await self.store.put(f"{prefix}/init.mp4", b"init")
        made = tuple(Segment(number, 4_000_000, 7, f"{prefix}/{number}.m4s") for number in range(segments))
        for segment in made:
            await self.store.put(segment.key, b"segment")
        return NewRendition(
            kind="hls_audio" if quality == "a" else "hls_video",
            quality=quality,
            codecs="avc1.64001f",
            bandwidth=9,
            average_bandwidth=8,
            duration_ms=4000 * segments,
            byte_size=4 + 7 * segments,
            key=f"{prefix}/init.mp4",
            segments=made,
            complete=complete,
        )

    async def end(
        self, task: Task | None, *made: NewRendition, then: Sequence[NewTask] = (), offer: bool = False
    ) -> None:
        """End a task well, with what it has made and what follows from it."""
        assert task is not None
        async with self.database.transaction() as connection:
            await self.tasks.hold(connection, task)
            for rendition in made:
                await products.add_rendition(connection, task.work_id, task.run, rendition)
            if offer:
                await self.tasks.offer(connection, task)
            await self.tasks.enter(connection, task.run, then)
            assert await self.tasks.done(connection, task)

    async def produce(self, file_id: str, *, then: Sequence[NewTask] = ()) -> None:
        """Do the first tasks of a work's run: a rendition is there, and `plan` has entered others."""
        first = await self.claim(file_id, "first")
        assert first is not None
        rung = await self.store_rendition(first)
        mp4 = dataclasses.replace(rung, kind="mp4", quality="1", segments=())
        await self.end(first, rung, mp4, offer=True)
        await self.store.put(original_key(file_id), b"original")
        async with self.database.transaction() as connection:
            await self.uploads.mark_stored(connection, file_id)
        await self.uploads.discard(file_id)
        await self.end(await self.claim(file_id, "plan"), then=then)

    async def force(self, file_id: str, state: str) -> None:
        """Put a work into a state behind everybody's back."""
        await self.execute(
            "update work set state = %s, pending = %s = 'publishing', claim = '' where file_id = %s",
            state,
            state,
            file_id,
        )

    async def quota(self) -> tuple[int, int]:
        """Bytes the caller's app has stored and reserved."""
        app = await self.identity.apps.find(self.caller.client_id)
        return app.stored, app.reserved

    async def jobs(self, file_id: str) -> list[str]:
        """The kinds of a work's tasks that have a job, in the order in which the queue gives them out."""
        async with self.database.connection() as connection:
            rows = await (
                await connection.execute(
                    """
                    select t.kind from procrastinate_jobs j
                    join production_task t on j.lock = 'task:' || t.id join work on work.id = work_id
                    where file_id = %s and j.status in ('todo', 'doing') order by j.priority desc, j.id
                    """,
                    (file_id,),
                )
            ).fetchall()
        return [row[0] for row in rows]

    async def fetch(self, *queues: str) -> Task | None:
        """Take jobs as a worker does until there is something to do, and claim that."""
        fetch = "select args->>'task_id' from procrastinate_fetch_job_v2(%s, null)"
        while row := await self.value(fetch, list(queues) if queues else None):
            if task := await self.tasks.claim(int(row)):
                return task
        return None

    async def claim(self, file_id: str, kind: str, number: int = 0) -> Task | None:
        """Claim a task of a work's run under way."""
        task_id = await self.value(
            "select t.id from production_task t join work on work.claim = t.run"
            " where file_id = %s and kind = %s and number = %s",
            file_id,
            kind,
            number,
        )
        return None if task_id is None else await self.tasks.claim(task_id)


@contextlib.asynccontextmanager
async def open_stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    store = open_store(settings)
    identity = Identity(database, settings, Keys.load(settings.folder))
    tasks = Tasks(database, settings)
    early = EarlyStart(tasks)
    uploads = Uploads(database, settings, identity, on_begun=early.begun)
    works = Works(database)
    intake = Intake(database, uploads, works, tasks)
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
            tasks=tasks,
            early=early,
            intake=intake,
            operations=Operations(database, works, intake, tasks),
            upkeep=Upkeep(settings, database, store, uploads, identity),
            caller=await identity.resolve(pair.access_token),
        )
    finally:
        await early.close()
        uploads.close()
