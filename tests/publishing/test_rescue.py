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
from openstage.publishing.jobs import EARLY_QUEUE, FIRST_QUEUE, PatientConnector, node_queue
from openstage.publishing.production import Production
from openstage.publishing.rescue import DEAD_AFTER, NODE_PATIENCE, Rescue
from openstage.publishing.scratch import Scratch
from openstage.publishing.tasks import MOST_TRIES, NewTask
from tests.publishing.stage import TITLE, Stage


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
    return Rescue(stage.database, stage.tasks, scratch, running, node=stage.settings.base("upload"))


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


async def test_tasks_that_lost_their_jobs_get_others(stage: Stage, rescue: Rescue) -> None:
    lost, deleted, waiting = await stage.handed_in(), await stage.handed_in(), await stage.sent()
    await stage.intake.finish(stage.caller, waiting)
    await stage.intake.delete(stage.caller, [deleted])
    ladder = [NewTask("chunk", number) for number in range(3)]
    await stage.produce(lost, then=[*ladder, NewTask("sound"), NewTask("join")])
    await stage.end(await stage.claim(lost, "chunk", 1))
    assert await stage.claim(lost, "chunk", 2) is not None  # by a worker that is gone
    await stage.execute("delete from procrastinate_jobs")
    for _ in range(2):
        await rescue.round()
    assert sorted(await stage.jobs(lost)) == ["chunk", "chunk", "sound"]
    assert await stage.value("select count(*) from procrastinate_jobs") == 3


async def test_a_work_that_an_older_version_was_producing_begins_anew(stage: Stage, rescue: Rescue) -> None:
    file_id = await stage.handed_in()
    await stage.execute("update work set claim = ''")
    await stage.execute("delete from production_run")
    await stage.execute("delete from procrastinate_jobs")
    await rescue.round()
    assert await stage.jobs(file_id) == ["first"]
    await stage.produce(file_id)
    assert await stage.state(file_id) == "published"


async def test_an_early_task_whose_worker_died_leaves_the_early_queue_with_its_upload(
    stage: Stage, rescue: Rescue
) -> None:
    await rescue.register()
    node, worker = stage.settings.base("upload"), await new_worker(stage, silent_for=DEAD_AFTER + 1)
    file_id = await stage.sent()
    assert await stage.tasks.begin_early(file_id)
    await stage.value("select id from procrastinate_fetch_job_v2(null, %s)", worker)
    assert await stage.claim(file_id, "first") is not None
    await stage.intake.describe(stage.caller, file_id, TITLE)
    await stage.intake.finish(stage.caller, file_id)
    queue = "select string_agg(queue_name, ' ') from procrastinate_jobs"
    assert await stage.value(queue) == node_queue(EARLY_QUEUE, node)
    await rescue.round()
    assert await stage.value(queue) == node_queue(FIRST_QUEUE, node)


# --- other machines -----------------------------------------------------------------------------------------------
async def test_a_file_on_another_machine_is_left_to_it(stage: Stage, scratch: Scratch, rescue: Rescue) -> None:
    file_id = await stage.handed_in()
    staging = stage.uploads.staging_path(file_id)
    content = staging.read_bytes()
    staging.unlink()
    await stage.execute("update upload set node = 'http://another:8080'")
    production = Production(
        stage.settings, stage.database, stage.store, scratch, stage.tasks, staging_path=stage.uploads.staging_path
    )
    task_id = await stage.value("select id from production_task where kind = 'first'")
    with pytest.raises(Later) as later:
        await production.run(task_id)
    assert later.value.node == "http://another:8080"
    assert "http://another:8080" in (await stage.work(file_id)).last_fault

    queue = node_queue(FIRST_QUEUE, later.value.node)
    queues = "select queue_name from procrastinate_jobs"
    await stage.execute("update procrastinate_jobs set queue_name = %s, scheduled_at = now()", queue)
    await rescue.round()
    assert await stage.value(queues) == queue
    long_ago = "update procrastinate_jobs set scheduled_at = now() - make_interval(secs => %s)"
    await stage.execute(long_ago, NODE_PATIENCE + 1)
    await stage.execute("insert into worker_node values ('http://another:8080', now())")
    await rescue.round()
    assert await stage.value(queues) == queue  # its workers are busy, but there
    await stage.execute("update worker_node set seen_at = now() - make_interval(secs => %s)", NODE_PATIENCE + 1)
    await rescue.round()
    assert await stage.value(queues) == FIRST_QUEUE

    await stage.execute("update production_task set tries = %s", MOST_TRIES)
    await production.run(task_id)
    work = await stage.work(file_id)
    assert work.state == "failed"
    assert "http://another:8080" in work.reason
    staging.write_bytes(content)
    await stage.operations.rerun(file_id)
    await stage.produce(file_id)
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
