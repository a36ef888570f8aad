"""Nothing hangs: dead workers, lost jobs, lost works, other machines."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from procrastinate import exceptions

from openstage.publishing import jobs as jobs_module
from openstage.publishing.errors import Later
from openstage.publishing.jobs import MEDIA_QUEUE, PatientConnector, node_queue
from openstage.publishing.pipeline import MOST_TRIES, Pipeline
from openstage.publishing.rescue import DEAD_AFTER, NODE_PATIENCE, Rescue
from openstage.publishing.scratch import Scratch
from tests.publishing.stage import Stage
from tests.publishing.tools import FakeTools


@pytest.fixture
def scratch(stage: Stage) -> Iterator[Scratch]:
    made = Scratch(stage.settings.scratch_folder)
    yield made
    made.close()


@pytest.fixture
def running() -> set[int]:
    return set()


@pytest.fixture
def rescue(stage: Stage, scratch: Scratch, running: set[int]) -> Rescue:
    return Rescue(stage.database, stage.jobs, scratch, running)


async def new_worker(stage: Stage, *, silent_for: float = 0) -> int:
    return int(
        await stage.value(
            "insert into procrastinate_workers (last_heartbeat) values (now() - make_interval(secs => %s))"
            " returning id",
            silent_for,
        )
    )


async def job_of(stage: Stage, worker: int) -> int:
    """A job that the worker has fetched."""
    await stage.handed_in()
    return int(await stage.value("select id from procrastinate_fetch_job_v2(null, %s)", worker))


async def status(stage: Stage, job: int) -> str:
    return str(await stage.value("select status::text from procrastinate_jobs where id = %s", job))


async def test_a_job_of_a_silent_worker_is_free_again(stage: Stage, rescue: Rescue) -> None:
    dead, living = await new_worker(stage, silent_for=DEAD_AFTER + 1), await new_worker(stage, silent_for=1)
    lost, kept = await job_of(stage, dead), await job_of(stage, living)
    await rescue.round()
    assert (await status(stage, lost), await status(stage, kept)) == ("todo", "doing")
    assert await stage.value("select count(*) from procrastinate_workers where id = %s", dead) == 0


async def test_a_job_of_a_worker_killed_on_this_machine_is_free_at_once(stage: Stage, rescue: Rescue) -> None:
    worker = await new_worker(stage)
    neighbour = Scratch(stage.settings.scratch_folder)
    neighbour.note_worker(worker)
    job = await job_of(stage, worker)
    with neighbour.job_folder("run"):
        await rescue.round()
        assert await status(stage, job) == "doing"
        assert neighbour.folder.exists()
        os.close(neighbour._lock)  # as its death does
        await rescue.round()
        assert await status(stage, job) == "todo"
        assert not neighbour.folder.exists()


async def test_a_job_that_does_not_really_run_here_is_free_after_two_rounds(
    stage: Stage, rescue: Rescue, running: set[int]
) -> None:
    worker = await new_worker(stage)
    rescue.note_worker(worker)
    job, lost = await job_of(stage, worker), await job_of(stage, worker)
    running.add(job)
    await rescue.round()
    assert await status(stage, lost) == "doing"
    await rescue.round()
    assert (await status(stage, job), await status(stage, lost)) == ("doing", "todo")


async def test_a_work_that_lost_its_job_gets_another(stage: Stage, rescue: Rescue) -> None:
    lost, deleted, waiting = await stage.handed_in(), await stage.handed_in(), await stage.sent()
    await stage.intake.finish(stage.caller, waiting)
    await stage.intake.delete(stage.caller, [deleted])
    await stage.execute("delete from procrastinate_jobs")
    for _ in range(2):
        await rescue.round()
    assert await stage.job_count(lost) == 1
    assert await stage.value("select count(*) from procrastinate_jobs") == 1


async def test_a_second_wish_brings_a_waiting_job_forward(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.execute("update procrastinate_jobs set scheduled_at = now() + interval '1 hour'")
    await stage.operations.rerun(file_id)
    assert await stage.job_count(file_id) == 1
    assert await stage.value("select scheduled_at from procrastinate_jobs") is None


# --- other machines -----------------------------------------------------------------------------------------------
async def test_a_file_on_another_machine_is_left_to_it(stage: Stage, scratch: Scratch, rescue: Rescue) -> None:
    file_id = await stage.handed_in()
    staging = stage.uploads.staging_path(file_id)
    content = staging.read_bytes()
    staging.unlink()
    await stage.execute("update upload set node = 'http://another:8080'")
    pipeline = Pipeline(
        stage.settings,
        stage.database,
        stage.store,
        scratch,
        staging_path=stage.uploads.staging_path,
        tools=FakeTools().tools,
    )
    with pytest.raises(Later) as later:
        await pipeline.run(file_id)
    assert later.value.node == "http://another:8080"
    assert "http://another:8080" in (await stage.work(file_id)).last_fault

    queue = node_queue(later.value.node)
    await stage.execute("update procrastinate_jobs set queue_name = %s, scheduled_at = now()", queue)
    await rescue.round()
    assert await stage.value("select queue_name from procrastinate_jobs") == queue
    await stage.execute(
        "update procrastinate_jobs set scheduled_at = now() - make_interval(secs => %s)", NODE_PATIENCE + 1
    )
    await rescue.round()
    assert await stage.value("select queue_name from procrastinate_jobs") == MEDIA_QUEUE

    await stage.execute("update work set tries = %s", MOST_TRIES)
    await pipeline.run(file_id)
    work = await stage.work(file_id)
    assert work.state == "failed"
    assert "http://another:8080" in work.reason
    staging.write_bytes(content)
    await stage.operations.rerun(file_id)
    await pipeline.run(file_id)
    assert await stage.state(file_id) == "published"


# --- the queue's connection ---------------------------------------------------------------------------------------
class Moody:
    """Fails as a database that is away does, so many times."""

    def __init__(self, faults: int, cause: Exception) -> None:
        self.faults = faults
        self.cause = cause

    async def __call__(self) -> str:
        if self.faults:
            self.faults -= 1
            raise exceptions.ConnectorException from self.cause
        return "done"


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch) -> PatientConnector:
    monkeypatch.setattr(jobs_module, "_PAUSE", 0.001)
    return PatientConnector("")


async def test_an_outage_is_waited_out(connector: PatientConnector) -> None:
    assert await connector._patiently(Moody(5, psycopg.OperationalError())) == "done"


async def test_a_refused_statement_is_not_repeated(connector: PatientConnector) -> None:
    with pytest.raises(exceptions.ConnectorException):
        await connector._patiently(Moody(1, psycopg.errors.ForeignKeyViolation()))


async def test_a_worker_that_is_to_end_does_not_wait(connector: PatientConnector) -> None:
    connector.hurried = True
    with pytest.raises(exceptions.ConnectorException):
        await connector._patiently(Moody(1, psycopg.OperationalError()))


async def test_each_outage_has_its_own_patience(connector: PatientConnector, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(jobs_module, "monotonic", lambda: now)
    moody = Moody(3, psycopg.OperationalError())

    async def lasting() -> Any:
        nonlocal now
        now += 10_000
        await asyncio.sleep(0)
        return await moody()

    assert await connector._patiently(lasting) == "done"
    moody.faults = 1000

    async def short() -> Any:
        nonlocal now
        now += 1
        return await moody()

    with pytest.raises(exceptions.ConnectorException):
        await connector._patiently(short)
    assert moody.faults > 800
