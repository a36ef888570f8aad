"""A real worker process on real media: published, killed at every point, stopped, taken over."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from openstage.publishing.crashpoints import FIRST_POINTS, LATER_POINTS, VARIABLE
from openstage.settings import Settings
from openstage.works import queries
from tests.publishing.process import WorkerProcess, tools_of, wait_until_no_tools, worker_process
from tests.publishing.stage import Stage
from tests.support.fixtures import make_clip
from tests.support.waiting import wait_until

QUICK = ("growing", "offering", "plan-ending", "storing", "joining")
"""Points that fast tests are content with: one of each kind."""


def small_clip() -> Path:
    return make_clip(size="160x90", duration=1.0)


def hevc_clip() -> Path:
    """Its first rendition has to be encoded."""
    return make_clip("mkv", vcodec="hevc", size="160x90", duration=2.0)


def short_sound() -> Path:
    """The quickest thing to publish."""
    return make_clip("m4a", vcodec=None, duration=0.4, channels=1)


def long_clip() -> Path:
    """Takes a while to transcode."""
    return make_clip(size="320x180", duration=4.0, pattern="noise")


async def settled(stage: Stage, file_id: str, state: str = "published", within: float = 120) -> None:
    """Wait until a work is in a state and nothing of its production is left to do."""

    async def done() -> bool:
        work = await stage.work(file_id)
        assert work.state in {"publishing", state}, work.reason
        return work.state == state and not work.pending

    await wait_until(done, within=within, what=state)


async def jobs_ended(stage: Stage) -> None:
    async def gone() -> bool:
        return not await stage.value("select count(*) from procrastinate_jobs where task_name = 'produce'")

    await wait_until(gone, what="the end of all jobs")


async def rendering(stage: Stage, worker: WorkerProcess) -> list[psutil.Process]:
    """Wait until tools are at work on the ladder; gives the processes."""

    async def under_way() -> list[psutil.Process]:
        assert worker.process.poll() is None, worker.text()
        busy = "select count(*) from production_task where state = 'doing' and kind not in ('first', 'plan')"
        return worker.tools() if await stage.value(busy) and tools_of(stage.settings) else []

    found = await wait_until(under_way, within=60, what="transcoding")
    assert tools_of(stage.settings), "tools_of must find what is running, or it proves nothing"
    return found


def scratch_of(settings: Settings) -> list[Path]:
    return [path for path in settings.scratch_folder.iterdir() if any(path.iterdir())]


async def assert_whole(stage: Stage, file_id: str, source: Path) -> None:
    """The original is what was sent, and the store holds what the rows name, no more and no less."""
    original = await stage.store.get(f"works/{file_id}/original")
    assert hashlib.md5(original).digest() == hashlib.md5(source.read_bytes()).digest()
    work = await stage.work(file_id)
    keys = {f"works/{file_id}/original", *(picture.key for picture in await stage.works.pictures(work.id))}
    async with stage.database.connection() as connection:
        keys |= {extra.key for extra in await queries.extras(connection, work.id)}
        rows = await (
            await connection.execute("select id, key, byte_size from rendition where work_id = %s", (work.id,))
        ).fetchall()
    for rendition_id, key_of_it, byte_size in rows:
        segments = await stage.works.segments(rendition_id)
        sizes = 0
        for key in (key_of_it, *(segment.key for segment in segments)):
            keys.add(key)
            sizes += (await stage.store.stat(key)).size
        assert sizes == byte_size
    assert set(await stage.store.list(f"works/{file_id}")) == keys


async def assert_nothing_half_visible(stage: Stage) -> None:
    """What rows name is in the store, and what is public plays."""
    async with stage.database.connection() as connection:
        rows = await (
            await connection.execute(
                "select key from rendition union all select key from segment union all select key from picture"
            )
        ).fetchall()
    assert {key for (key,) in rows} <= set(await stage.store.list("works"))
    playing = "exists (select from rendition r join segment on rendition_id = r.id where r.run = work.run)"
    assert await stage.value(f"select count(*) from work where state = 'published' and not {playing}") == 0


async def test_a_worker_publishes_what_is_handed_in(stage: Stage) -> None:
    with worker_process(stage.settings) as worker:
        film, text = await stage.handed_in(small_clip()), await stage.handed_in(b"This is no film.\n" * 100)
        await settled(stage, film)
        await settled(stage, text, "failed")
        await jobs_ended(stage)
        assert worker.process.poll() is None
    work = await stage.work(film)
    assert 900 <= (work.duration_ms or 0) <= 1100
    assert work.pictures == ["img", "original", "thumbnail"]
    await assert_whole(stage, film, small_clip())
    assert len((await stage.work(text)).reason) > 10
    wait_until_no_tools(stage.settings)
    assert scratch_of(stage.settings) == []
    assert {r.complete for r in await stage.works.renditions(work.id)} == {True}


async def killed_at(stage: Stage, points: Sequence[str]) -> None:
    """Films are published all the same by workers that are killed, each at one of these points."""
    clip, films = hevc_clip(), []
    for point in points:
        films.append(await stage.handed_in(clip))
        with worker_process(stage.settings, crash_at=point) as worker:
            assert worker.wait_for_death(within=120) == -signal.SIGKILL, f"{point}: {worker.text()}"
        wait_until_no_tools(stage.settings)
        await assert_nothing_half_visible(stage)
    with worker_process(stage.settings):
        for file_id in films:
            await settled(stage, file_id)
        await jobs_ended(stage)
    await stage.upkeep.run()
    for file_id in films:
        await assert_whole(stage, file_id, clip)
    assert scratch_of(stage.settings) == []
    assert await stage.value("select count(*) from production_run") == len(films)


async def test_workers_killed_in_the_middle_publish_all_the_same(stage: Stage) -> None:
    await killed_at(stage, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("point", [*FIRST_POINTS, *LATER_POINTS])
async def test_a_worker_killed_at_any_point_publishes_all_the_same(stage: Stage, point: str) -> None:
    await killed_at(stage, (point,))


async def test_a_worker_killed_while_it_writes_a_failure_down(stage: Stage) -> None:
    file_id = await stage.handed_in(b"This is no film.\n" * 100)
    with worker_process(stage.settings, crash_at="failing") as worker:
        assert worker.wait_for_death() == -signal.SIGKILL, worker.text()
    assert await stage.state(file_id) == "publishing"
    with worker_process(stage.settings):
        await settled(stage, file_id, "failed")


@pytest.mark.parametrize("point", ["superseding", "purging"])
async def test_upkeep_killed_while_it_removes_objects(stage: Stage, point: str) -> None:
    file_id = await stage.handed_in(short_sound())
    with worker_process(stage.settings):
        await settled(stage, file_id)
    if point == "purging":
        await stage.intake.delete(stage.caller, [file_id])
        await stage.execute("update work set deleted_at = deleted_at - interval '1 year'")
    else:
        await stage.store.put(f"works/{file_id}/old/x", b"x")
        await stage.execute("insert into production_run (name, work_id) select 'old', id from work")
    upkeep = subprocess.run(
        [sys.executable, "-m", "tests.publishing.upkeep"],
        env=os.environ
        | {
            "OPENSTAGE_DATA": str(stage.settings.folder),
            "OPENSTAGE_DATABASE_URL": stage.settings.database_url,
            VARIABLE: point,
        },
        check=False,
    )
    assert upkeep.returncode == -signal.SIGKILL
    await stage.upkeep.run()
    if point == "purging":
        assert await stage.store.list(f"works/{file_id}") == []
        assert await stage.quota() == (0, 0)
    else:
        await assert_whole(stage, file_id, short_sound())


async def test_a_new_work_plays_while_the_ladder_keeps_all_slots_busy(stage: Stage) -> None:
    with worker_process(stage.settings, env={"OPENSTAGE_WORKER_CONCURRENCY": "1"}) as worker:
        busy = await stage.handed_in(long_clip())
        await rendering(stage, worker)
        new = await stage.handed_in(short_sound())

        async def plays() -> bool:
            return (await stage.work(new)).visible

        await wait_until(plays, within=30, what="a new work")
        assert (await stage.work(busy)).pending


async def test_a_living_worker_takes_a_killed_ones_job_over(stage: Stage) -> None:
    file_id = await stage.handed_in(long_clip())
    with worker_process(stage.settings) as first:
        tools = await rendering(stage, first)
        with worker_process(stage.settings) as second:
            os.kill(first.pid, signal.SIGKILL)
            first.wait_for_death()
            await settled(stage, file_id)
            assert second.process.poll() is None
    assert not any(tool.is_running() and tool.status() != psutil.STATUS_ZOMBIE for tool in tools)
    wait_until_no_tools(stage.settings)
    await assert_whole(stage, file_id, long_clip())
    assert scratch_of(stage.settings) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_worker_gives_its_job_back_at_once(stage: Stage, number: signal.Signals) -> None:
    file_id = await stage.handed_in(long_clip())
    with worker_process(stage.settings) as worker:
        await rendering(stage, worker)
        worker.process.send_signal(number)
        assert worker.wait_for_death(within=10) == 0, worker.text()
    wait_until_no_tools(stage.settings)
    assert scratch_of(stage.settings) == []
    assert (await stage.work(file_id)).pending
    statuses = "select string_agg(distinct status::text, ' ') from procrastinate_jobs where task_name = 'produce'"
    assert await stage.value(statuses) == "todo"
    assert await stage.value("select sum(tries) from production_task where state <> 'done'") == 0
    assert await stage.value("select count(*) from procrastinate_workers") == 0


async def test_a_worker_bears_the_loss_of_every_database_connection(stage: Stage) -> None:
    file_id = await stage.handed_in(long_clip())
    with worker_process(stage.settings) as worker:
        tools = await rendering(stage, worker)
        await stage.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await settled(stage, file_id)
        assert worker.process.poll() is None
    assert tools
    with contextlib.suppress(psutil.NoSuchProcess):
        assert not psutil.pid_exists(worker.pid)


@pytest.mark.slow
async def test_a_worker_that_died_elsewhere_is_missed_within_seconds(stage: Stage) -> None:
    file_id = await stage.handed_in(long_clip())
    with worker_process(stage.settings) as first:
        await rendering(stage, first)
        # Another machine's scratch folder can't be seen: only its silence tells of its worker's death.
        (folder,) = stage.settings.scratch_folder.iterdir()
        (folder / "lock").unlink()
        with worker_process(stage.settings) as second:
            os.kill(first.pid, signal.SIGKILL)
            first.wait_for_death()
            await settled(stage, file_id)
            assert second.process.poll() is None


@pytest.mark.slow
async def test_a_worker_that_was_only_asleep_does_no_harm(stage: Stage) -> None:
    file_id = await stage.handed_in(long_clip())
    with worker_process(stage.settings) as sleeper:
        await rendering(stage, sleeper)
        os.kill(sleeper.pid, signal.SIGSTOP)
        try:
            with worker_process(stage.settings):
                await settled(stage, file_id, within=40)
            in_force = await stage.work(file_id)
        finally:
            os.kill(sleeper.pid, signal.SIGCONT)
        second = await stage.handed_in(small_clip())
        await settled(stage, second, within=40)
        assert await stage.work(file_id) == in_force
        assert sleeper.process.poll() is None, sleeper.text()
    await assert_whole(stage, file_id, long_clip())
    await assert_whole(stage, second, small_clip())
    assert scratch_of(stage.settings) == []
