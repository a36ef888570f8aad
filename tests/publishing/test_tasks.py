"""Tasks of a run: done once whoever does them, each retried alone, and what follows from the last of them."""

import asyncio

import pytest

from openstage.publishing.errors import Superseded
from openstage.publishing.tasks import NewTask, Task, Tasks
from openstage.works import products
from openstage.works.models import Completed, Segment
from tests.publishing.stage import Stage

LADDER = (
    NewTask("pictures", weight=4),
    NewTask("sound", weight=4),
    NewTask("chunk", 0, weight=40),
    NewTask("chunk", 1, weight=40),
    NewTask("join"),
)


async def percent(stage: Stage, file_id: str) -> float:
    return float(await stage.value("select percent from work where file_id = %s", file_id))


async def taken(stage: Stage, file_id: str, kind: str, number: int = 0) -> Task:
    task = await stage.claim(file_id, kind, number)
    assert task is not None
    return task


# --- a run --------------------------------------------------------------------------------------------------------
async def test_a_run_from_the_first_segment_to_its_completion(stage: Stage) -> None:
    file_id = await stage.handed_in()
    first = await taken(stage, file_id, "first")
    growing = await stage.store_rendition(first, complete=False)
    async with stage.database.transaction() as connection:
        await stage.tasks.hold(connection, first)
        await products.add_rendition(connection, first.work_id, first.run, growing)
        assert await stage.works.renditions(first.work_id) == []
        assert await stage.tasks.offer(connection, first)
    work = await stage.work(file_id)
    assert (work.state, work.pending, work.run, work.claim) == ("published", True, first.run, first.run)
    assert [(r.quality, r.complete) for r in await stage.works.renditions(work.id)] == [("96", False)]

    plan = await taken(stage, file_id, "plan")
    await stage.end(plan, then=LADDER)
    assert sorted(await stage.jobs(file_id)) == ["chunk", "chunk", "first", "pictures", "sound"]
    async with stage.database.transaction() as connection:
        await stage.tasks.hold(connection, first)
        more = Segment(1, 2_500_000, 7, "works/x/1.m4s")
        for _ in range(2):  # what is repeated isn't counted twice
            await products.append_segments(connection, first.work_id, first.run, "96", [more])
        await products.complete_renditions(connection, first.work_id, first.run, [Completed("hls_video", "96", 90, 80)])
        await stage.tasks.done(connection, first)
    (rendition,) = await stage.works.renditions(work.id)
    assert (rendition.complete, rendition.duration_ms, rendition.byte_size) == (True, 6500, 18)
    assert (rendition.bandwidth, rendition.average_bandwidth) == (90, 80)

    for kind, number in (("pictures", 0), ("chunk", 1), ("sound", 0)):
        await stage.end(await taken(stage, file_id, kind, number))
        assert "join" not in await stage.jobs(file_id)
    chunk = await taken(stage, file_id, "chunk", 0)
    await stage.end(chunk)
    assert "join" in await stage.jobs(file_id)
    join = await taken(stage, file_id, "join")
    await stage.end(join, await stage.store_rendition(join, "1"))
    work = await stage.work(file_id)
    assert (work.state, work.pending, work.claim, work.percent, work.step) == ("published", False, "", 100, "")
    assert [r.quality for r in await stage.works.renditions(work.id)] == ["1", "96"]
    assert await stage.value("select count(*) from production_task") == 0


async def test_join_is_entered_once_however_the_last_tasks_end(stage: Stage) -> None:
    chunks = [NewTask("chunk", number) for number in range(8)]
    for _ in range(3):
        file_id = await stage.handed_in()
        await stage.produce(file_id, then=[*chunks, NewTask("sound"), NewTask("join")])
        tasks = [await taken(stage, file_id, "chunk", number) for number in range(8)]
        tasks.append(await taken(stage, file_id, "sound"))
        await asyncio.gather(*(stage.end(task) for task in tasks))
        assert (await stage.jobs(file_id)).count("join") == 1
        join = await taken(stage, file_id, "join")
        await stage.end(join, await stage.store_rendition(join, "1"))
        assert not (await stage.work(file_id)).pending


async def test_progress_is_of_the_whole_and_never_goes_back(stage: Stage) -> None:
    file_id = await stage.handed_in()
    seen = []

    async def look() -> None:
        work = await stage.work(file_id)
        seen.append((work.step, round(work.percent)))

    first, plan = await taken(stage, file_id, "first"), await taken(stage, file_id, "plan")
    assert await stage.tasks.progress(first, 50)
    await look()
    await stage.end(plan, then=LADDER)
    await look()
    chunk = await taken(stage, file_id, "chunk", 0)
    await stage.tasks.progress(chunk, 50)
    await look()
    await stage.tasks.progress(chunk, 10)
    await look()
    await stage.end(first, await stage.store_rendition(first), offer=True)
    await stage.end(chunk)
    await look()
    assert seen == [("first", 5), ("first", 7), ("first", 27), ("first", 27), ("chunk", 51)]


# --- claims -------------------------------------------------------------------------------------------------------
async def test_who_was_thought_dead_can_do_no_harm(stage: Stage) -> None:
    file_id = await stage.handed_in()
    dead, alive = await taken(stage, file_id, "first"), await taken(stage, file_id, "first")
    assert alive.tries == 1
    assert not await stage.tasks.progress(dead, 50)
    async with stage.database.transaction() as connection:
        with pytest.raises(Superseded):
            await stage.tasks.hold(connection, dead)
        assert not await stage.tasks.done(connection, dead)
    await stage.tasks.give_back(dead, "late", counts=True)
    assert not await stage.tasks.fail(dead, "late")
    assert await stage.tasks.progress(alive, 60)
    await stage.end(alive, await stage.store_rendition(alive), offer=True)
    assert await stage.claim(file_id, "first") is None
    work = await stage.work(file_id)
    assert (work.state, work.last_fault) == ("published", "")


async def test_of_two_that_end_the_same_task_one_does(stage: Stage) -> None:
    file_id = await stage.handed_in()
    task = await taken(stage, file_id, "first")
    made = await stage.store_rendition(task)
    ends = await asyncio.gather(*(stage.end(task, made) for _ in range(4)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "Superseded", "Superseded", "Superseded"]


async def test_each_task_has_tries_of_its_own(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.produce(file_id, then=LADDER)
    for _ in range(3):
        await stage.tasks.give_back(await taken(stage, file_id, "chunk", 0), "out of luck", counts=True)
    await stage.tasks.give_back(await taken(stage, file_id, "chunk", 1), "told to stop", counts=False)
    assert [(await taken(stage, file_id, "chunk", number)).tries for number in (0, 1)] == [3, 0]
    assert (await taken(stage, file_id, "chunk", 0)).last_fault == "out of luck"
    work = await stage.work(file_id)
    assert (work.state, work.last_fault) == ("published", "told to stop")


# --- deleting and reviewing at any moment -----------------------------------------------------------------------
async def test_a_deleted_work_stops_its_tasks_and_a_restored_one_goes_on_where_it_was(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.produce(file_id, then=LADDER)
    chunk = await taken(stage, file_id, "chunk", 0)
    await stage.end(await taken(stage, file_id, "chunk", 1))
    await stage.operations.delete(file_id)
    assert not await stage.tasks.progress(chunk, 50)
    with pytest.raises(Superseded):
        await stage.end(chunk)
    await stage.tasks.give_back(chunk, counts=False)
    assert await stage.claim(file_id, "sound") is None
    await stage.execute("delete from procrastinate_jobs")  # they have run, and found nothing to do
    await stage.operations.restore(file_id)
    assert sorted(await stage.jobs(file_id)) == ["chunk", "pictures", "sound"]
    assert (await stage.work(file_id)).state == "published"


@pytest.mark.parametrize("judge", ["approve", "refuse"])
async def test_a_review_while_the_ladder_is_being_made(stage: Stage, judge: str) -> None:
    stage.tasks = Tasks(stage.database, stage.settings.model_copy(update={"review": "before"}))
    file_id = await stage.handed_in()
    await stage.produce(file_id, then=[NewTask("pictures")])
    assert (await stage.work(file_id)).state == "reviewing"
    after = await (stage.works.approve(file_id) if judge == "approve" else stage.works.refuse(file_id, "no"))
    assert (after.state, after.pending) == ("published" if judge == "approve" else "refused", True)
    await stage.end(await taken(stage, file_id, "pictures"))
    work = await stage.work(file_id)
    assert (work.state, work.pending) == (after.state, False)


# --- failing --------------------------------------------------------------------------------------------------------
async def test_a_run_that_fails_before_it_plays_is_a_failed_work(stage: Stage) -> None:
    file_id = await stage.handed_in()
    assert await stage.tasks.fail(await taken(stage, file_id, "first"), "It is no film.")
    work = await stage.work(file_id)
    assert (work.state, work.reason, work.pending, work.claim) == ("failed", "It is no film.", False, "")
    assert await stage.claim(file_id, "plan") is None
    await stage.operations.rerun(file_id)
    assert (await stage.work(file_id)).state == "publishing"
    await stage.produce(file_id)
    assert (await stage.work(file_id)).state == "published"


async def test_what_is_whole_stays_when_the_ladder_fails(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.produce(file_id, then=LADDER)
    join = await taken(stage, file_id, "chunk", 0)
    async with stage.database.transaction() as connection:
        growing = await stage.store_rendition(join, "1", complete=False)
        await products.add_rendition(connection, join.work_id, join.run, growing)
    await stage.tasks.fail(join, "The encoder crashes.")
    work = await stage.work(file_id)
    assert (work.state, work.reason, work.last_fault) == ("published", "", "The encoder crashes.")
    assert not work.pending
    assert [(r.kind, r.quality) for r in await stage.works.renditions(work.id)] == [("hls_video", "96"), ("mp4", "1")]


async def test_a_work_of_which_nothing_is_whole_fails_after_all(stage: Stage) -> None:
    file_id = await stage.handed_in()
    first = await taken(stage, file_id, "first")
    async with stage.database.transaction() as connection:
        growing = await stage.store_rendition(first, complete=False)
        await products.add_rendition(connection, first.work_id, first.run, growing)
        await stage.tasks.offer(connection, first)
    assert (await stage.work(file_id)).state == "published"
    await stage.tasks.fail(first, "Its end is damaged.")
    work = await stage.work(file_id)
    assert (work.state, work.reason, work.run) == ("failed", "Its end is damaged.", "")
    assert await stage.store.list(f"works/{file_id}/{first.run}") != []  # players may have begun
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    await stage.upkeep.remove_leftovers()
    assert await stage.store.list(f"works/{file_id}/{first.run}") == []


# --- reruns -----------------------------------------------------------------------------------------------------------
async def test_a_rerun_takes_force_when_it_is_complete_and_not_before(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.produce(file_id)
    before = await stage.work(file_id)
    await stage.operations.rerun(file_id)
    await stage.produce(file_id, then=LADDER[:1])
    during = await stage.work(file_id)
    assert (during.state, during.run, during.pending) == ("published", before.run, True)
    assert {before.run in rendition.key for rendition in await stage.works.renditions(before.id)} == {True}
    pictures = await taken(stage, file_id, "pictures")
    assert pictures.run != before.run
    await stage.end(pictures)
    after = await stage.work(file_id)
    assert (after.state, after.run, after.pending) == ("published", pictures.run, False)
    assert {after.run in rendition.key for rendition in await stage.works.renditions(before.id)} == {True}
    assert await stage.store.list(f"works/{file_id}/{before.run}") != []
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    await stage.upkeep.remove_leftovers()
    assert await stage.store.list(f"works/{file_id}/{before.run}") == []
    assert len(await stage.store.list(f"works/{file_id}/{after.run}")) == 2


async def test_a_rerun_that_fails_changes_nothing(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.produce(file_id)
    before = await stage.works.renditions((await stage.work(file_id)).id)
    await stage.operations.rerun(file_id)
    await stage.produce(file_id, then=LADDER)
    chunk = await taken(stage, file_id, "chunk", 0)
    await stage.tasks.fail(chunk, "The encoder crashes.")
    work = await stage.work(file_id)
    assert (work.state, work.reason, work.last_fault) == ("published", "", "The encoder crashes.")
    assert await stage.works.renditions(work.id) == before
    await stage.upkeep.remove_leftovers()
    assert await stage.store.list(f"works/{file_id}/{chunk.run}") == []


async def test_a_second_wish_hurries_the_run_under_way(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.tasks.give_back(await taken(stage, file_id, "first"), "The store is away.", counts=True)
    await stage.execute("update procrastinate_jobs set scheduled_at = now() + interval '1 hour'")
    await stage.operations.rerun(file_id)
    assert await stage.jobs(file_id) == ["first"]
    assert await stage.value("select count(*) from procrastinate_jobs where scheduled_at is not null") == 0
    assert await stage.value("select count(*) from production_run") == 1
    assert (await taken(stage, file_id, "first")).tries == 0


async def test_all_renditions_are_waited_for_where_the_setting_says_so(stage: Stage) -> None:
    stage.tasks = Tasks(stage.database, stage.settings.model_copy(update={"wait_for_all": True}))
    file_id = await stage.handed_in()
    await stage.produce(file_id, then=[NewTask("pictures")])
    assert await stage.state(file_id) == "publishing"
    await stage.end(await taken(stage, file_id, "pictures"))
    assert await stage.state(file_id) == "published"
