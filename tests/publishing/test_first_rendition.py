"""The first rendition: when it is offered, how it grows, what is made of an upload that still comes in."""

import asyncio

import pytest

from openstage.media.errors import Unplayable
from tests.publishing.producing import (
    FILM,
    Worker,
    assert_whole,
    growing,
    held,
    kinds_of,
    let_go,
    stored_objects,
    working,
)
from tests.publishing.stage import TITLE, Stage
from tests.publishing.tools import FakeTools
from tests.support.waiting import wait_until


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
    fake.copy, fake.speed, fake.segments = False, 0.2, 3
    file_id = await stage.handed_in()
    first = await held(worker, "segment 2")

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


async def test_nothing_is_said_of_an_encoder_whose_speed_is_not_known_yet(
    stage: Stage, worker: Worker, fake: FakeTools
) -> None:
    fake.copy, fake.speed = False, 0.2  # of the first segment, which the start-up is part of
    file_id = await stage.handed_in()
    first = await held(worker, "segment 1")

    async def entered() -> bool:
        return bool(await stage.value("select count(*) from segment"))

    await wait_until(entered, what="the first segment")
    work = await stage.work(file_id)
    assert (work.state, work.notice) == ("publishing", "")
    let_go(worker)
    await first


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


@pytest.mark.parametrize("sure", [True, False])
async def test_a_header_that_tells_all_is_verdict_enough(
    stage: Stage, worker: Worker, fake: FakeTools, sure: bool
) -> None:
    fake.sure, fake.long = sure, True
    file_id = await stage.handed_in()
    assert await worker.one() == "first"
    assert await stage.state(file_id) == "published"
    assert (await stage.work(file_id)).duration_ms == 8000
    assert len(fake.seen) == (0 if sure else 1)
    # What is made later goes by the whole probe, which was left for it.
    assert await worker.one() == "plan"
    assert len(fake.seen) == (1 if sure else 2)
    await worker.all()
    await assert_whole(stage, worker, file_id)


async def test_what_a_quick_look_missed_keeps_what_plays(stage: Stage, worker: Worker, fake: FakeTools) -> None:
    fake.sure = True
    file_id = await stage.handed_in()
    assert await worker.one() == "first"
    fake.at, fake.fault = "probe", Unplayable("The file is damaged.")
    assert await worker.one() == "plan"
    work = await stage.work(file_id)
    assert (work.state, work.pending, work.last_fault) == ("published", False, "The file is damaged.")


# --- while the upload comes in ---
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
