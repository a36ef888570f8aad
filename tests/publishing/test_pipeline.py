"""Runs of the pipeline: what is in force afterwards, what is left over, what happens when something goes wrong."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openstage.errors import Unavailable
from openstage.media.errors import ScratchFull, TookTooLong, Unplayable
from openstage.publishing import pipeline as pipeline_module
from openstage.publishing.errors import Later
from openstage.publishing.pipeline import MOST_TRIES, Pipeline, retry_delay
from openstage.publishing.scratch import Scratch
from openstage.storage.errors import StorageFull, StorageUnavailable
from openstage.works import lifecycle
from tests.publishing.stage import Stage
from tests.publishing.tools import FakeTools


@pytest.fixture
def scratch(stage: Stage) -> Iterator[Scratch]:
    made = Scratch(stage.settings.scratch_folder)
    yield made
    made.close()


@pytest.fixture
def fake() -> FakeTools:
    return FakeTools()


@pytest.fixture
def pipeline(stage: Stage, scratch: Scratch, fake: FakeTools) -> Pipeline:
    return make_pipeline(stage, scratch, fake)


def make_pipeline(stage: Stage, scratch: Scratch, fake: FakeTools, **changes: Any) -> Pipeline:
    return Pipeline(
        stage.settings.model_copy(update=changes),
        stage.database,
        stage.store,
        scratch,
        staging_path=stage.uploads.staging_path,
        tools=fake.tools,
    )


async def objects_in_force(stage: Stage, file_id: str) -> set[str]:
    """The keys that the rows name, and the original's."""
    work = await stage.work(file_id)
    keys = {f"works/{file_id}/original"}
    for rendition in await stage.works.renditions(work.id):
        keys.add(rendition.key)
        keys |= {segment.key for segment in await stage.works.segments(rendition.id)}
    return keys | {picture.key for picture in await stage.works.pictures(work.id)}


async def objects_of(stage: Stage, file_id: str) -> set[str]:
    return set(await stage.store.list(f"works/{file_id}"))


def left_in_scratch(scratch: Scratch) -> list[Path]:
    return [path for path in scratch.folder.iterdir() if path.name != "lock"]


async def test_a_run_publishes(stage: Stage, pipeline: Pipeline, scratch: Scratch, fake: FakeTools) -> None:
    file_id = await stage.handed_in(b"original")
    await pipeline.run(file_id)
    work = await stage.works.get(stage.caller, file_id)
    assert (work.state, work.review, work.duration_ms, work.percent, work.step) == ("published", "none", 2000, 100, "")
    assert work.pictures == ["img"]
    assert not work.pending
    assert work.published_at is not None
    assert fake.seen == [b"original"]
    assert {(r.kind, r.quality) for r in await stage.works.renditions(work.id)} == {
        ("hls_video", "96"),
        ("hls_audio", "a"),
        ("mp4", "1"),
    }
    assert await objects_of(stage, file_id) == await objects_in_force(stage, file_id)
    assert all(work.run in key for key in await objects_of(stage, file_id) if not key.endswith("/original"))
    assert await stage.store.get(f"works/{file_id}/original") == b"original"
    assert not stage.uploads.staging_path(file_id).exists()
    assert await stage.value("select stored from upload where file_id = %s", file_id)
    assert left_in_scratch(scratch) == []
    assert await stage.value("select media->>'container' from work") == "mov"


async def test_a_second_run_of_a_published_work_does_nothing(stage: Stage, pipeline: Pipeline) -> None:
    file_id = await stage.handed_in()
    await pipeline.run(file_id)
    before = await stage.work(file_id)
    await pipeline.run(file_id)
    assert await stage.work(file_id) == before
    await pipeline.run("f" * 32)


@pytest.mark.parametrize(
    ("mode", "state", "review"),
    [("none", "published", "none"), ("before", "reviewing", "pending"), ("after", "published", "pending")],
)
async def test_the_review_mode_decides_what_a_finished_run_becomes(
    stage: Stage, scratch: Scratch, fake: FakeTools, mode: str, state: str, review: str
) -> None:
    file_id = await stage.handed_in()
    await make_pipeline(stage, scratch, fake, review=mode).run(file_id)
    work = await stage.work(file_id)
    assert (work.state, work.review, work.visible) == (state, review, state == "published")
    assert [each.file_id for each in await stage.works.awaiting_review()] == ([file_id] if review == "pending" else [])
    approved = await stage.works.approve(file_id)
    assert approved.visible
    refused = await stage.works.refuse(file_id, "No")
    assert (refused.visible, refused.reason) == (False, "No")


# --- faults -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", ["probe", "renditions", "pictures"])
@pytest.mark.parametrize("fault", [Unplayable("This is a text file."), TookTooLong("It took too long.")])
async def test_a_fault_of_the_file_fails_the_work_with_its_reason(
    stage: Stage, pipeline: Pipeline, scratch: Scratch, fake: FakeTools, step: str, fault: Unplayable
) -> None:
    file_id = await stage.handed_in(b"original")
    fake.at, fake.fault = step, fault
    await pipeline.run(file_id)
    work = await stage.work(file_id)
    assert (work.state, work.reason, work.pending) == ("failed", fault.message, False)
    assert await objects_of(stage, file_id) == {f"works/{file_id}/original"}
    assert left_in_scratch(scratch) == []
    assert await stage.works.renditions(work.id) == []


async def test_a_failed_work_can_be_run_again(stage: Stage, pipeline: Pipeline, fake: FakeTools) -> None:
    file_id = await stage.handed_in(b"original")
    fake.at, fake.fault = "probe", Unplayable("No.")
    await pipeline.run(file_id)
    fake.at = ""
    await stage.execute("delete from procrastinate_jobs")
    work = await stage.operations.rerun(file_id)
    assert (work.state, work.reason) == ("publishing", "")
    assert await stage.job_count(file_id) == 1
    await pipeline.run(file_id)
    assert await stage.state(file_id) == "published"
    assert fake.seen == [b"original"] * 2


async def test_a_lost_original_fails_the_work(stage: Stage, pipeline: Pipeline) -> None:
    file_id = await stage.handed_in()
    stage.uploads.staging_path(file_id).unlink()
    await pipeline.run(file_id)
    work = await stage.work(file_id)
    assert (work.state, work.reason) == ("failed", "The uploaded file is no longer there; it must be uploaded anew.")


@pytest.mark.parametrize(
    "fault", [StorageUnavailable("Away."), Unavailable("Away."), OSError(5, "I/O error"), ValueError("a defect")]
)
async def test_what_may_pass_is_tried_again_then_fails(
    stage: Stage, pipeline: Pipeline, fake: FakeTools, fault: Exception
) -> None:
    file_id = await stage.handed_in()
    fake.at, fake.fault = "renditions", fault
    for count in range(1, MOST_TRIES + 1):
        with pytest.raises(Later) as later:
            await pipeline.run(file_id)
        assert later.value.delay == retry_delay(count)
        work = await stage.work(file_id)
        assert work.state == "publishing"
        assert work.last_fault
    await pipeline.run(file_id)
    work = await stage.work(file_id)
    assert work.state == "failed"
    assert work.reason.startswith(f"Processing broke off {MOST_TRIES} times. ")


@pytest.mark.parametrize("fault", [StorageFull("The disk is full."), ScratchFull("The disk is full.")])
async def test_a_full_disk_is_waited_for_as_long_as_it_takes(
    stage: Stage, pipeline: Pipeline, fake: FakeTools, fault: Exception
) -> None:
    file_id = await stage.handed_in()
    fake.at, fake.fault = "renditions", fault
    for _ in range(MOST_TRIES + 3):
        with pytest.raises(Later):
            await pipeline.run(file_id)
    work = await stage.work(file_id)
    assert (work.state, work.last_fault) == ("publishing", "The disk is full.")
    fake.fault = None
    await pipeline.run(file_id)
    assert await stage.state(file_id) == "published"
    assert (await stage.work(file_id)).last_fault == ""


async def test_a_run_does_not_begin_without_room(stage: Stage, scratch: Scratch, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    with pytest.raises(Later):
        await make_pipeline(stage, scratch, fake, min_free=2**60).run(file_id)
    assert fake.seen == []
    assert "room" in (await stage.work(file_id)).last_fault


async def test_objects_are_stored_patiently(stage: Stage, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = await stage.handed_in()
    real, faults = stage.store.move_file, iter(range(5))

    async def moody(key: str, path: Path) -> None:
        if next(faults, None) is not None:
            raise StorageUnavailable("Away.")
        await real(key, path)

    monkeypatch.setattr(stage.store, "move_file", moody)
    monkeypatch.setattr("openstage.publishing.objects._PAUSES", (0.0, 0.0, 0.0))
    await pipeline.run(file_id)
    assert await stage.state(file_id) == "published"


async def test_what_a_broken_off_run_stored_is_removed(
    stage: Stage, pipeline: Pipeline, fake: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stage.handed_in()
    real = stage.store.move_file

    async def half(key: str, path: Path) -> None:
        if key.endswith("00001.m4s"):
            raise StorageUnavailable("Away.")
        await real(key, path)

    monkeypatch.setattr(stage.store, "move_file", half)
    monkeypatch.setattr("openstage.publishing.objects._PAUSES", ())
    with pytest.raises(Later):
        await pipeline.run(file_id)
    assert await objects_of(stage, file_id) == set()
    assert await stage.value("select count(*) from production_run") == 0


# --- more than one run ---------------------------------------------------------------------------------------------
async def test_a_rerun_replaces_what_is_published_in_one_go(stage: Stage, pipeline: Pipeline, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    await pipeline.run(file_id)
    first, objects = await stage.work(file_id), await objects_in_force(stage, file_id)
    fake.content = b"another init"
    await stage.operations.rerun(first.slug)
    assert (await stage.work(file_id)).visible
    assert await objects_in_force(stage, file_id) == objects
    await pipeline.run(file_id)
    second = await stage.work(file_id)
    assert (second.state, second.published_at, second.slug) == ("published", first.published_at, first.slug)
    assert second.run != first.run
    for key in objects:
        await stage.store.stat(key)  # for replies that are under way
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    assert await stage.upkeep.remove_leftovers() == 1
    assert await objects_of(stage, file_id) == await objects_in_force(stage, file_id)


@pytest.mark.parametrize("fault", [Unplayable("No."), StorageUnavailable("Away.")])
async def test_a_rerun_that_fails_leaves_what_is_published(
    stage: Stage, pipeline: Pipeline, fake: FakeTools, fault: Exception
) -> None:
    file_id = await stage.handed_in()
    await pipeline.run(file_id)
    first, objects = await stage.work(file_id), await objects_of(stage, file_id)
    fake.at, fake.fault = "pictures", fault
    await stage.operations.rerun(file_id)
    with contextlib.suppress(Later):
        await pipeline.run(file_id)
    after = await stage.work(file_id)
    assert (after.state, after.reason, after.run) == ("published", "", first.run)
    assert after.last_fault == str(fault)
    assert await objects_of(stage, file_id) == objects


@pytest.mark.parametrize("state", ["reviewing", "refused"])
async def test_a_rerun_keeps_the_review(stage: Stage, pipeline: Pipeline, state: str) -> None:
    file_id = await stage.handed_in()
    await pipeline.run(file_id)
    await stage.force(file_id, state)
    await stage.operations.rerun(file_id)
    await pipeline.run(file_id)
    assert await stage.state(file_id) == state


async def test_a_run_that_was_overtaken_changes_nothing(
    stage: Stage, pipeline: Pipeline, scratch: Scratch, fake: FakeTools
) -> None:
    file_id = await stage.handed_in()
    slow = FakeTools()
    slow.at, slow.hold = "pictures", asyncio.Event()
    overtaken = asyncio.create_task(make_pipeline(stage, scratch, slow).run(file_id))
    await slow.reached.wait()
    await pipeline.run(file_id)
    in_force = await stage.work(file_id)
    await stage.upkeep.remove_leftovers()
    slow.hold.set()
    await overtaken
    assert await stage.work(file_id) == in_force
    assert await objects_of(stage, file_id) == await objects_in_force(stage, file_id)


async def test_deleting_a_work_stops_its_run(
    stage: Stage, pipeline: Pipeline, fake: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstage.publishing.progress._INTERVAL", 0.01)
    file_id = await stage.handed_in()
    fake.at, fake.hold = "renditions", asyncio.Event()  # never set
    run = asyncio.create_task(pipeline.run(file_id))
    await fake.reached.wait()
    await stage.intake.delete(stage.caller, [file_id])
    await run
    work = await stage.work(file_id)
    assert (work.state, work.pending) == ("publishing", True)
    fake.at = ""
    await stage.operations.restore(file_id)
    await pipeline.run(file_id)
    assert await stage.state(file_id) == "published"


async def test_a_stopped_run_is_given_back(stage: Stage, pipeline: Pipeline, scratch: Scratch, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    fake.at, fake.hold = "renditions", asyncio.Event()
    for _ in range(MOST_TRIES + 1):
        fake.reached.clear()
        run = asyncio.create_task(pipeline.run(file_id))
        await fake.reached.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert left_in_scratch(scratch) == []
    fake.at = ""
    await pipeline.run(file_id)
    assert await stage.state(file_id) == "published"


async def test_progress_is_written_down(
    stage: Stage, pipeline: Pipeline, fake: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstage.publishing.progress._INTERVAL", 0.01)
    seen: list[tuple[str, float]] = []
    real = lifecycle.progress

    async def spy(*args: Any, step: str, percent: float) -> bool:
        seen.append((step, percent))
        return await real(*args, step=step, percent=percent)

    monkeypatch.setattr(lifecycle, "progress", spy)
    file_id = await stage.handed_in()
    await pipeline.run(file_id)
    assert [step for step, _ in seen if step] == sorted(
        [step for step, _ in seen], key=["probe", "renditions", "pictures", "store"].index
    )
    assert [percent for _, percent in seen] == sorted(percent for _, percent in seen)
    assert {step for step, _ in seen} == {"probe", "renditions", "pictures", "store"}


async def test_the_end_of_a_run_waits_for_the_database(
    stage: Stage, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stage.handed_in()
    real, faults = lifecycle.put_in_force, iter(range(2))

    async def moody(*args: Any, **options: Any) -> bool:
        if next(faults, None) is not None:
            raise Unavailable("Away.")
        return await real(*args, **options)

    monkeypatch.setattr(lifecycle, "put_in_force", moody)
    monkeypatch.setattr(pipeline_module, "OUTAGE_PAUSE", 0.01)
    await pipeline.run(file_id)
    assert await stage.state(file_id) == "published"


async def test_a_commit_whose_reply_was_lost_is_a_commit(
    stage: Stage, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stage.handed_in()
    real = pipeline._put_in_force
    calls = 0

    async def lossy(*args: Any) -> str:
        nonlocal calls
        calls += 1
        state = await real(*args)
        if calls == 1:
            raise Unavailable("The reply was lost.")
        return state

    monkeypatch.setattr(pipeline, "_put_in_force", lossy)
    monkeypatch.setattr(pipeline_module, "OUTAGE_PAUSE", 0.01)
    await pipeline.run(file_id)
    assert calls == 2
    assert await stage.state(file_id) == "published"
    assert await objects_of(stage, file_id) == await objects_in_force(stage, file_id)
