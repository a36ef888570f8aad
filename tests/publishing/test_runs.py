"""Runs of production: what is in force after each task, what a rerun replaces, what is left over."""

import asyncio
from typing import Any

import pytest

from openstage.errors import Unavailable
from openstage.media.errors import Unplayable
from openstage.publishing.tasks import MOST_TRIES
from openstage.storage.errors import StorageUnavailable
from openstage.works import lifecycle, queries
from tests.publishing.producing import (
    FILM,
    Worker,
    assert_whole,
    held,
    kinds_of,
    let_go,
    named_objects,
    stored_objects,
    tried,
    up_to,
    working,
)
from tests.publishing.stage import Stage
from tests.publishing.tools import FakeTools


async def test_a_film_plays_after_its_first_task_and_is_whole_after_the_last(stage: Stage, worker: Worker) -> None:
    file_id = await stage.handed_in(b"original")
    assert await worker.one() == "first"
    work = await stage.works.get(stage.caller, file_id)
    assert (work.state, work.pending, work.duration_ms, work.review) == ("published", True, 8000, "none")
    assert await kinds_of(stage, file_id) == {("hls_video", "3"), ("hls_audio", "a")}
    assert await worker.all() == ["plan", "pictures", "sound", "chunk", "chunk", "join"]
    await assert_whole(stage, worker, file_id)
    work = await stage.work(file_id)
    assert work.pictures == ["img"]
    assert await stage.store.get(f"works/{file_id}/original") == b"original"
    assert await stage.value("select stored from upload where file_id = %s", file_id)
    assert await stage.value("select media->>'container' from work") == "mov"
    assert await stage.value("select plan->'ladder'->'stands_for'->>'1' from production_run") == "96"
    async with stage.database.connection() as connection:
        board, loudness = await queries.storyboard(connection, work.id), await queries.loudness(connection, work.id)
        extras = [extra.name for extra in await queries.extras(connection, work.id)]
    assert board is not None
    assert (board.tiles, board.columns) == (8, 10)
    assert loudness is not None
    assert (loudness.integrated_lufs, loudness.range_lu) == (-23.0, None)
    assert extras == ["storyboard/0.jpg", "waveform.json", "waveform.png"]
    mp4 = next(r for r in await stage.works.renditions(work.id) if r.kind == "mp4")
    assert await stage.store.get(mp4.key) == b"part 0part 1track.m4a"
    for rung in await stage.works.renditions(work.id):
        segments = await stage.works.segments(rung.id)
        assert [segment.number for segment in segments] == list(range(len(segments)))
        if segments:
            stats = [await stage.store.stat(key) for key in (rung.key, *(segment.key for segment in segments))]
            assert sum(stat.size for stat in stats) == rung.byte_size


async def test_sound_alone(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    fake.film = False
    file_id = await stage.handed_in()
    assert await worker.all() == ["first", "plan", "pictures", "sound"]
    await assert_whole(stage, worker, file_id)


async def test_a_source_too_fat_for_a_rung_is_listed_until_a_rung_is_whole(
    stage: Stage, worker: Worker, fake: FakeTools
) -> None:
    fake.quality = "s"
    file_id = await stage.handed_in()
    await worker.one()
    assert ("hls_video", "s") in await kinds_of(stage, file_id)
    await worker.all()
    assert await kinds_of(stage, file_id) == FILM - {("hls_video", "3")}


async def test_a_task_that_has_been_done_does_nothing(stage: Stage, worker: Worker) -> None:
    file_id = await stage.handed_in()
    task_id = await stage.value("select id from production_task where kind = 'first'")
    await worker.all()
    before = await stage.work(file_id)
    await worker.production.run(task_id)
    assert await stage.work(file_id) == before


@pytest.mark.parametrize(
    ("mode", "state", "review"),
    [("none", "published", "none"), ("before", "reviewing", "pending"), ("after", "published", "pending")],
)
async def test_the_review_mode_decides_what_an_offered_work_becomes(
    stage: Stage, fake: FakeTools, mode: str, state: str, review: str
) -> None:
    file_id = await stage.handed_in()
    with working(stage, fake, review=mode) as worker:
        for _ in range(2):
            work = await stage.work(file_id)
            assert work.state == "publishing" or (work.state, work.review, work.visible) == (
                *(state, review),
                state == "published",
            )
            await worker.one()
        work = await stage.work(file_id)
        assert (work.state, work.review) == (state, review)
        refused = await stage.works.refuse(file_id, "No")
        await worker.all()
    work = await stage.work(file_id)
    assert (refused.visible, work.visible, work.state, work.pending) == (False, False, "refused", False)
    assert await kinds_of(stage, file_id) == FILM


# --- more than one run ---
async def test_a_rerun_replaces_what_is_published_in_one_go(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    await worker.all()
    first, objects = await stage.work(file_id), await named_objects(stage, file_id)
    fake.content = b"another init"
    await stage.operations.rerun(first.slug)
    while await worker.one() != "join":
        now = await stage.work(file_id)
        assert (now.visible, now.run) == (True, first.run)
        assert await named_objects(stage, file_id) == objects
    second = await stage.work(file_id)
    assert (second.state, second.published_at, second.slug) == ("published", first.published_at, first.slug)
    assert second.run != first.run
    for key in objects:
        await stage.store.stat(key)  # for replies that are under way
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    assert await stage.upkeep.remove_leftovers() == 1
    await assert_whole(stage, worker, file_id)


@pytest.mark.parametrize("fault", [Unplayable("No."), StorageUnavailable("Away.")])
async def test_a_rerun_that_fails_leaves_what_is_published(
    stage: Stage, worker: Worker, fake: FakeTools, fault: Exception
) -> None:
    file_id = await stage.handed_in()
    await worker.all()
    first, objects = await stage.work(file_id), await stored_objects(stage, file_id)
    await stage.operations.rerun(file_id)
    await up_to(worker, "chunk")
    fake.at, fake.fault = "chunk", fault
    while (await stage.work(file_id)).pending:
        await tried(worker, "chunk")
    after = await stage.work(file_id)
    assert (after.state, after.reason, after.run) == ("published", "", first.run)
    assert str(fault) in after.last_fault
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    await stage.upkeep.run()
    assert await stored_objects(stage, file_id) == objects


@pytest.mark.parametrize("state", ["reviewing", "refused"])
async def test_a_rerun_keeps_the_review(stage: Stage, worker: Worker, state: str) -> None:
    file_id = await stage.handed_in()
    await worker.all()
    await stage.force(file_id, state)
    await stage.operations.rerun(file_id)
    await worker.all()
    assert await stage.state(file_id) == state


@pytest.mark.parametrize("step", ["segment 1", "chunk"])
async def test_a_task_that_was_taken_over_changes_nothing(
    stage: Stage, worker: Worker, fake: FakeTools, step: str
) -> None:
    file_id = await stage.handed_in()
    await up_to(worker, "chunk" if step == "chunk" else "first")
    slow = await held(worker, step)
    await stage.execute("update procrastinate_jobs set status = 'todo'")
    fake.at = ""
    await worker.all()
    in_force = await stage.work(file_id)
    let_go(worker)
    await slow
    assert await stage.work(file_id) == in_force
    assert await kinds_of(stage, file_id) == FILM
    assert await named_objects(stage, file_id) <= await stored_objects(stage, file_id)


@pytest.mark.parametrize("step", ["segment 0", "segment 1", "chunk"])
async def test_deleting_a_work_stops_what_is_under_way(stage: Stage, worker: Worker, step: str) -> None:
    file_id = await stage.handed_in()
    await up_to(worker, "chunk" if step == "chunk" else "first")
    task = await held(worker, step)
    await stage.intake.delete(stage.caller, [file_id])
    await asyncio.wait_for(task, 10)
    assert worker.left() == []
    worker.fake.at = ""
    await stage.operations.restore(file_id)
    await worker.all()
    await stage.upkeep.run()
    await assert_whole(stage, worker, file_id)


async def test_a_stopped_task_is_given_back_and_not_counted(stage: Stage, worker: Worker) -> None:
    file_id = await stage.handed_in()
    for _ in range(MOST_TRIES + 1):
        task = await held(worker, "segment 1")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert worker.left() == []
    worker.fake.at = ""
    await worker.all()
    await assert_whole(stage, worker, file_id)


async def test_progress_is_written_down_and_never_goes_back(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stage.handed_in()
    seen: list[float] = []
    while await worker.one():
        seen.append((await stage.work(file_id)).percent)
    assert seen == sorted(seen)
    assert seen[0] >= 10
    assert seen[-1] == 100
    assert len(set(seen)) == len(seen)


async def test_what_is_made_waits_for_the_database(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stage.handed_in()
    real, faults = lifecycle.offer, iter(range(2))

    async def moody(*args: Any, **options: Any) -> bool:
        if next(faults, None) is not None:
            raise Unavailable("Away.")
        return await real(*args, **options)

    monkeypatch.setattr(lifecycle, "offer", moody)
    monkeypatch.setattr("openstage.publishing.production.step.OUTAGE_PAUSE", 0.01)
    await worker.all()
    await assert_whole(stage, worker, file_id)
