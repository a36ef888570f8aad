"""Production in the test's own process: tasks are taken out of the queue and done one after the other."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstage.publishing.errors import Later
from openstage.publishing.production import Production
from openstage.publishing.scratch import Scratch
from tests.publishing.stage import Stage
from tests.publishing.tools import FakeTools


class Died(BaseException):
    """Stands for `kill -9`: nobody may handle it, and transactions are rolled back."""


@dataclass
class Worker:
    """A worker that does one task at a time, with fake media tools."""

    stage: Stage
    fake: FakeTools
    scratch: Scratch
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.stage.settings.model_copy(update=self.changes)
        self.production = Production(
            settings,
            self.stage.database,
            self.stage.store,
            self.scratch,
            type(self.stage.tasks)(self.stage.database, settings),
            staging_path=self.stage.uploads.staging_path,
            tools=self.fake.tools,
        )

    async def one(self, kind: str | None = None) -> str | None:
        """Do the next task, or the next one of a kind; returns its kind, None if there is nothing to do."""
        row = await self._fetch(kind)
        if row is None:
            return None
        job, task_id, found = row
        try:
            await self.production.run(task_id)
        except BaseException:
            await self.stage.execute("update procrastinate_jobs set status = 'todo' where id = %s", job)
            raise
        await self.stage.execute("delete from procrastinate_jobs where id = %s", job)
        return str(found)

    async def all(self) -> list[str]:
        """Do everything that there is to do; returns the kinds of tasks."""
        done = []
        while kind := await self.one():
            done.append(kind)
        return done

    async def _fetch(self, kind: str | None) -> Any:
        async with self.stage.database.connection() as connection:
            return await (
                await connection.execute(
                    """
                    update procrastinate_jobs j set status = 'doing'
                    from production_task t
                    where j.id = (
                        select j.id from procrastinate_jobs j join production_task t on j.lock = 'task:' || t.id
                        where j.status = 'todo' and (%(kind)s::text is null or t.kind = %(kind)s)
                        order by j.priority desc, j.id limit 1) and j.lock = 'task:' || t.id
                    returning j.id, t.id, t.kind
                    """,
                    {"kind": kind},
                )
            ).fetchone()

    def left(self) -> list[Path]:
        """What tasks have left in the scratch folder."""
        return [path for path in self.scratch.folder.iterdir() if path.name not in {"lock", "originals"}]


@contextlib.contextmanager
def working(stage: Stage, fake: FakeTools, **changes: Any) -> Iterator[Worker]:
    scratch = Scratch(stage.settings.scratch_folder)
    try:
        yield Worker(stage, fake, scratch, changes)
    finally:
        scratch.close()


async def named_objects(stage: Stage, file_id: str) -> set[str]:
    """The keys that rows of the run in force name, and the original's."""
    work = await stage.work(file_id)
    keys = {f"works/{file_id}/original"}
    for rendition in await stage.works.renditions(work.id):
        keys.add(rendition.key)
        keys |= {segment.key for segment in await stage.works.segments(rendition.id)}
    keys |= {picture.key for picture in await stage.works.pictures(work.id)}
    keys |= set(await stage.value("select array_agg(key) from extra where run = %s", work.run) or [])
    return keys


async def stored_objects(stage: Stage, file_id: str) -> set[str]:
    return set(await stage.store.list(f"works/{file_id}"))


def dying_at(point: str, times: int = 1) -> Callable[[str], None]:
    """What `crashpoints.reached` is to be replaced by: dies at a point, the first few times."""
    left = times

    def reached(at: str) -> None:
        nonlocal left
        if at == point and left:
            left -= 1
            raise Died(point)

    return reached


FILM = {("hls_video", "96"), ("hls_video", "2"), ("hls_video", "3"), ("hls_audio", "a"), ("mp4", "1")}
SOUND = {("hls_audio", "a"), ("mp4", "1"), ("mp3", "1")}


async def kinds_of(stage: Stage, file_id: str) -> set[tuple[str, str]]:
    work = await stage.work(file_id)
    return {(r.kind, r.quality) for r in await stage.works.renditions(work.id) if r.complete}


async def assert_whole(stage: Stage, worker: Worker, file_id: str) -> None:
    """Everything is made, the store holds what the rows name, no more and no less, and nothing waits."""
    await stage.upkeep.tidy()
    work = await stage.work(file_id)
    assert (work.state, work.pending, work.claim, work.percent, work.step, work.notice) == (
        *("published", False, "", 100, ""),
        "",
    )
    assert await kinds_of(stage, file_id) == (FILM if worker.fake.film else SOUND)
    assert await stored_objects(stage, file_id) == await named_objects(stage, file_id)
    assert not stage.uploads.staging_path(file_id).exists()
    assert worker.left() == []
    assert await stage.value("select count(*) from production_task") == 0


async def held(worker: Worker, at: str) -> "asyncio.Task[str | None]":
    """Begin the next task and wait until it is held."""
    worker.fake.at, worker.fake.hold = at, asyncio.Event()
    worker.fake.reached.clear()
    task = asyncio.create_task(worker.one())
    await asyncio.wait_for(worker.fake.reached.wait(), 10)
    return task


def let_go(worker: Worker) -> None:
    assert worker.fake.hold is not None
    worker.fake.at = ""
    worker.fake.hold.set()


async def growing(stage: Stage, file_id: str) -> dict[str, int]:
    """Segments of the growing renditions that are offered."""
    work = await stage.work(file_id)
    found = [r for r in await stage.works.renditions(work.id) if not r.complete]
    return {r.quality: len(await stage.works.segments(r.id)) for r in found}


async def tried(worker: Worker, kind: str) -> float | None:
    """Try the next task of a kind; returns the pause after which it asks for another try."""
    try:
        assert await worker.one(kind) == kind
    except Later as later:
        return later.delay
    return None


async def up_to(worker: Worker, kind: str) -> None:
    """Do everything that comes before the tasks of a kind."""
    order = ("first", "plan", "pictures", "sound", "chunk", "join")
    for before in order[: order.index(kind)]:
        while await worker.one(before):
            pass
