"""Production of works: what is in force after each task, what is left over, what happens when something goes wrong."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from openstage.errors import Unavailable
from openstage.media.errors import ChunksDontJoin, EncoderLost, ScratchFull, TookTooLong, Unplayable
from openstage.publishing.errors import Later
from openstage.publishing.production import runner
from openstage.publishing.tasks import MOST_TRIES, retry_delay
from openstage.storage.errors import StorageFull, StorageUnavailable
from openstage.works import lifecycle, queries
from tests.publishing.producing import Worker, named_objects, stored_objects, working
from tests.publishing.stage import TITLE, Stage
from tests.publishing.tools import FakeTools
from tests.support.waiting import wait_until

FILM = {("hls_video", "96"), ("hls_video", "2"), ("hls_video", "3"), ("hls_audio", "a"), ("mp4", "1")}
SOUND = {("hls_audio", "a"), ("mp4", "1"), ("mp3", "1")}


@pytest.fixture
def fake() -> FakeTools:
    return FakeTools()


@pytest.fixture
def worker(stage: Stage, fake: FakeTools, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr("openstage.publishing.progress._INTERVAL", 0.01)
    with working(stage, fake) as made:
        yield made


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


# --- a run --------------------------------------------------------------------------------------------------------
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


# --- the first rendition ------------------------------------------------------------------------------------------
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


async def test_a_first_rendition_plays_while_it_grows(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    fake.copy = False
    file_id = await stage.handed_in()
    first = await held(worker, "segment 1")

    async def offered() -> bool:
        return await growing(stage, file_id) == {"3": 1, "a": 1}

    await wait_until(offered, what="an offer with one segment of each track")
    assert (await stage.work(file_id)).visible
    # What is encoded takes a while: the rest is planned meanwhile.
    assert await stage.jobs(file_id) == ["first", "plan"]
    let_go(worker)
    await first
    assert await growing(stage, file_id) == {}
    await worker.all()
    await assert_whole(stage, worker, file_id)


async def test_an_offer_is_held_back_where_encoding_is_slower_than_playing(
    stage: Stage, worker: Worker, fake: FakeTools
) -> None:
    fake.copy, fake.speed = False, 0.2
    file_id = await stage.handed_in()
    first = await held(worker, "segment 1")

    async def notice() -> str:
        return (await stage.work(file_id)).notice

    assert "slower than the work plays" not in await stage.state(file_id)
    told = await wait_until(notice, what="a notice")
    assert "more slowly than the work plays: it can be played in about" in told
    assert await stage.state(file_id) == "publishing"
    let_go(worker)
    await first
    work = await stage.work(file_id)
    assert (work.state, work.notice) == ("published", "")


async def test_what_can_not_be_copied_is_encoded(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    fake.at, fake.fault, fake.once = "segment 1", Unplayable("A packet without a time."), True
    await worker.one()
    assert await kinds_of(stage, file_id) == {("hls_video", "2"), ("hls_audio", "a")}
    await worker.all()
    assert await kinds_of(stage, file_id) == FILM - {("hls_video", "3")}
    assert (await stage.work(file_id)).visible


async def test_all_renditions_are_waited_for_if_that_is_set(stage: Stage, fake: FakeTools) -> None:
    file_id = await stage.handed_in()
    with working(stage, fake, wait_for_all=True) as worker:
        while await worker.one() != "join":
            assert await stage.state(file_id) == "publishing"
        await assert_whole(stage, worker, file_id)


async def test_nothing_is_offered_before_the_whole_file_is_judged(
    stage: Stage, worker: Worker, fake: FakeTools
) -> None:
    file_id = await stage.handed_in()
    first = await held(worker, "probe")

    async def made() -> bool:
        return bool(await stage.value("select count(*) from rendition where complete"))

    await wait_until(made, what="the first rendition")
    assert await stage.state(file_id) == "publishing"
    fake.fault = Unplayable("The film is too long.")
    let_go(worker)
    await first
    work = await stage.work(file_id)
    assert (work.state, work.reason) == ("failed", "The film is too long.")


# --- while the upload comes in --------------------------------------------------------------------------------------
DATA = bytes(range(256)) * 8


async def begun(stage: Stage, *, described: bool = True) -> str:
    """A work of which half has arrived, and a worker has been told."""
    await stage.execute("insert into worker_node (node, seen_at) values (%s, now())", stage.settings.base("upload"))
    file_id = (await stage.intake.open(stage.caller, size=len(DATA))).file_id
    await stage.send(file_id, DATA[:1024])
    if described:
        await stage.intake.describe(stage.caller, file_id, TITLE)
    assert await stage.tasks.begin_early(file_id)
    return file_id


async def rows(stage: Stage) -> list[int]:
    return sorted(
        await stage.value("select array_agg(n) from (select count(*) n from segment group by rendition_id) x") or []
    )


async def test_segments_are_made_while_the_upload_comes_in(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    file_id = await begun(stage)
    first = asyncio.create_task(worker.one())

    async def grown() -> bool:
        return await rows(stage) == [1, 1]

    await wait_until(grown, what="the first segments")
    work = await stage.work(file_id)
    assert (work.state, work.pending, work.visible) == ("uploading", False, False)
    assert await stage.works.renditions(work.id) == []
    assert fake.seen == []
    await stage.send(file_id, DATA[1024:], start=1024)
    await stage.intake.finish(stage.caller, file_id)
    assert await first == "first"
    assert fake.seen == [DATA]
    assert (await stage.work(file_id)).visible
    await worker.all()
    await assert_whole(stage, worker, file_id)
    assert fake.grown == [("video", 0), ("sound", 0), ("video", 1), ("sound", 1)]


async def test_what_can_not_be_fed_begins_with_the_last_byte(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    fake.can_feed = False
    file_id = await begun(stage)
    first = asyncio.create_task(worker.one())
    await stage.send(file_id, DATA[1024:], start=1024)
    await first
    work = await stage.work(file_id)
    assert (work.state, work.visible, await rows(stage), fake.seen) == ("uploading", False, [2, 2], [DATA])
    await stage.intake.finish(stage.caller, file_id)
    assert (await stage.work(file_id)).visible, "it plays with the reply to finish"
    await worker.all()
    await assert_whole(stage, worker, file_id)


async def test_a_work_that_is_described_after_finish_plays_at_once(stage: Stage, worker: Worker) -> None:
    file_id = await begun(stage, described=False)
    first = asyncio.create_task(worker.one())
    await stage.send(file_id, DATA[1024:], start=1024)
    await stage.intake.finish(stage.caller, file_id)
    await first
    assert (await stage.state(file_id), await worker.all()) == ("waiting", [])
    await stage.intake.describe(stage.caller, file_id, TITLE)
    assert (await stage.work(file_id)).visible
    await worker.all()
    await assert_whole(stage, worker, file_id)


async def test_an_upload_that_stalls_is_gone_on_with_at_finish(
    stage: Stage, worker: Worker, fake: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstage.publishing.production.first.IDLE_SECONDS", 0.3)
    file_id = await begun(stage)
    assert await worker.one() == "first"
    assert (await stage.jobs(file_id), await rows(stage)) == ([], [1, 1])
    await stage.send(file_id, DATA[1024:], start=1024)
    await stage.intake.finish(stage.caller, file_id)
    await worker.all()
    await assert_whole(stage, worker, file_id)
    assert fake.grown == [("video", 0), ("sound", 0), ("video", 1), ("sound", 1)], "nothing is made twice"


async def test_a_cancelled_upload_is_let_go_of(stage: Stage, worker: Worker) -> None:
    file_id = await begun(stage)
    first = asyncio.create_task(worker.one())

    async def grown() -> bool:
        return await rows(stage) == [1, 1]

    await wait_until(grown, what="the first segments")
    await stage.intake.cancel(stage.caller, file_id)
    await first
    assert worker.left() == []
    await stage.upkeep.run()
    assert await stored_objects(stage, file_id) == set()
    assert await stage.value("select count(*) from rendition") == 0
    assert await stage.jobs(file_id) == []


@pytest.mark.parametrize(("step", "sent"), [("segment 0", 1024), ("head", 1024), ("probe", len(DATA))])
async def test_a_fault_before_finish_is_no_verdict(
    stage: Stage, worker: Worker, fake: FakeTools, step: str, sent: int
) -> None:
    file_id = await begun(stage)
    fake.at, fake.fault = step, Unplayable("It seems damaged.")
    first = asyncio.create_task(worker.one())
    if sent > 1024:
        await stage.send(file_id, DATA[1024:sent], start=1024)
    await first
    work = await stage.work(file_id)
    assert (work.state, work.reason, await stage.jobs(file_id)) == ("uploading", "", [])
    assert sent == len(DATA) or await rows(stage) == []
    assert stage.uploads.staging_path(file_id).exists()
    fake.at = ""
    if sent < len(DATA):
        await stage.send(file_id, DATA[sent:], start=sent)
    await stage.intake.finish(stage.caller, file_id)
    await worker.all()
    await assert_whole(stage, worker, file_id)


# --- faults -------------------------------------------------------------------------------------------------------
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


# --- more than one run ----------------------------------------------------------------------------------------------
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
