"""Faults of files, of the machine and of ours while a work is produced."""

from typing import Any

import pytest

from openstage.errors import Unavailable
from openstage.media.errors import ChunksDontJoin, EncoderLost, ScratchFull, TookTooLong, Unplayable
from openstage.publishing.production import runner
from openstage.publishing.tasks import MOST_TRIES, retry_delay
from openstage.storage.errors import StorageFull, StorageUnavailable
from tests.publishing.producing import Worker, assert_whole, kinds_of, stored_objects, tried, up_to
from tests.publishing.stage import Stage
from tests.publishing.tools import FakeTools


@pytest.mark.parametrize("fault", [Unplayable("This is a text file."), TookTooLong("It took too long.")])
@pytest.mark.parametrize("step", ["probe", "segment 1"])
async def test_a_fault_of_the_file_fails_the_work_with_its_reason(
    stage: Stage, worker: Worker, fake: FakeTools, step: str, fault: Unplayable
) -> None:
    file_id = await stage.handed_in(b"original")
    fake.at, fake.fault = step, fault
    await worker.all()
    work = await stage.work(file_id)
    assert (work.state, work.reason, work.pending) == ("failed", fault.message, False)
    assert await stage.works.renditions(work.id) == []
    assert worker.left() == []
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    await stage.upkeep.run()
    assert await stored_objects(stage, file_id) == {f"works/{file_id}/original"}


async def test_a_failed_work_can_be_run_again(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    file_id = await stage.handed_in(b"original")
    fake.at, fake.fault = "probe", Unplayable("No.")
    await worker.all()
    fake.at = ""
    work = await stage.operations.rerun(file_id)
    assert (work.state, work.reason) == ("publishing", "")
    await worker.all()
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    await stage.upkeep.run()
    await assert_whole(stage, worker, file_id)
    assert fake.seen == [b"original"] * 2


async def test_what_plays_stays_where_a_rung_can_not_be_made(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    await up_to(worker, "chunk")
    fake.at, fake.fault = "chunk", Unplayable("The decoder crashes.")
    await worker.all()
    work = await stage.work(file_id)
    assert (work.state, work.pending, work.last_fault) == ("published", False, "The decoder crashes.")
    assert await kinds_of(stage, file_id) == {("hls_video", "3"), ("hls_audio", "a")}


async def test_a_work_goes_without_pictures_that_can_not_be_made(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    fake.at, fake.fault = "pictures", Unplayable("No picture.")
    await worker.all()
    await assert_whole(stage, worker, file_id)
    assert (await stage.work(file_id)).pictures == []


async def test_a_lost_original_fails_the_work(stage: Stage, worker: Worker) -> None:
    file_id = await stage.handed_in()
    stage.uploads.staging_path(file_id).unlink()
    await worker.all()
    work = await stage.work(file_id)
    assert (work.state, work.reason) == ("failed", "The uploaded file is no longer there; it must be uploaded anew.")


@pytest.mark.parametrize(
    ("step", "kind", "fault"),
    [
        ("segment 1", "first", StorageUnavailable("Away.")),
        ("sample", "plan", Unavailable("Away.")),
        ("chunk", "chunk", OSError(5, "I/O error")),
        ("mp4", "join", StorageUnavailable("Away.")),
    ],
)
async def test_what_may_pass_is_tried_again_then_fails(
    stage: Stage, worker: Worker, fake: FakeTools, step: str, kind: str, fault: Exception
) -> None:
    file_id = await stage.handed_in()
    await up_to(worker, kind)
    fake.at, fake.fault = step, fault
    for count in range(1, MOST_TRIES + 1):
        assert await tried(worker, kind) == retry_delay(count)
        assert (await stage.work(file_id)).last_fault
    assert await tried(worker, kind) is None
    work = await stage.work(file_id)
    assert not work.pending
    assert work.last_fault.startswith(f"Processing broke off {MOST_TRIES} times. ")
    assert work.state == ("failed" if kind == "first" else "published")


async def test_a_defect_of_ours_is_tried_again(
    stage: Stage, worker: Worker, fake: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner._log, "exception", lambda *_, **__: None)  # rendering it takes seconds here
    file_id = await stage.handed_in()
    fake.at, fake.fault = "grow", ValueError("a defect")
    assert await tried(worker, "first") == retry_delay(1)
    assert (await stage.work(file_id)).last_fault == "Internal error: ValueError."
    fake.fault = None
    await worker.all()
    await assert_whole(stage, worker, file_id)


@pytest.mark.parametrize("fault", [StorageFull("The disk is full."), ScratchFull("The disk is full.")])
async def test_a_full_disk_is_waited_for_as_long_as_it_takes(
    stage: Stage, worker: Worker, fake: FakeTools, fault: Exception
) -> None:
    file_id = await stage.handed_in()
    fake.at, fake.fault = "sound", fault
    await up_to(worker, "sound")
    for _ in range(MOST_TRIES + 3):
        assert await tried(worker, "sound") == 30
    assert (await stage.work(file_id)).last_fault == "The disk is full."
    fake.fault = None
    await worker.all()
    await assert_whole(stage, worker, file_id)


async def test_objects_are_stored_patiently(stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = await stage.handed_in()
    real, faults = stage.store.move_file, iter(range(3))

    async def moody(key: str, path: Any) -> None:
        if next(faults, None) is not None:
            raise StorageUnavailable("Away.")
        await real(key, path)

    monkeypatch.setattr(stage.store, "move_file", moody)
    monkeypatch.setattr("openstage.publishing.objects._PAUSES", (0.0, 0.0, 0.0))
    await worker.all()
    await assert_whole(stage, worker, file_id)


@pytest.mark.parametrize("fault", [EncoderLost("The card is gone."), ChunksDontJoin("They differ.")])
async def test_all_chunks_are_made_anew_once_where_they_would_not_fit(
    stage: Stage, worker: Worker, fake: FakeTools, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    file_id = await stage.handed_in()
    await up_to(worker, "chunk")
    await worker.one("chunk")
    if isinstance(fault, EncoderLost):
        fake.at, fake.fault = "chunk", fault
        await worker.one("chunk")
        fake.at = ""
    else:
        real, faults = worker.production._house.tools.join_renditions, iter([fault])

        def moody(*args: Any) -> Any:
            for error in faults:
                raise error
            return real(*args)

        object.__setattr__(worker.production._house.tools, "join_renditions", moody)
    await worker.all()
    await assert_whole(stage, worker, file_id)
    assert fake.calls.count("chunk 0") == 2
