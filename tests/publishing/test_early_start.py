"""What is made of an upload while its bytes arrive, and on which machine."""

import asyncio

import pytest

from openstage.publishing.jobs import EARLY_QUEUE, FIRST_QUEUE, LADDER_QUEUE, node_queue
from openstage.publishing.rescue import Rescue
from openstage.publishing.scratch import Scratch
from openstage.publishing.tasks import NewTask
from openstage.uploads.service import MUCH_TO_COME
from openstage.works import products
from tests.publishing.stage import TITLE, Stage
from tests.support.waiting import wait_until

BEGINNING = b"x" * 1000


async def worker_here(stage: Stage) -> None:
    """A worker has said that it runs on this machine."""
    scratch = Scratch(stage.settings.scratch_folder)
    await Rescue(stage.database, stage.tasks, scratch, set(), node=stage.settings.base("upload")).register()
    scratch.close()


async def coming_in(stage: Stage) -> str:
    """An upload whose beginning has been received, and of which much is to come."""
    file_id = (await stage.intake.open(stage.caller, size=len(BEGINNING) + MUCH_TO_COME)).file_id
    await stage.send(file_id, BEGINNING)
    await stage.early.close()
    return file_id


async def send_the_rest(stage: Stage, file_id: str) -> None:
    await stage.send(file_id, b"y" * MUCH_TO_COME, start=len(BEGINNING))


async def queue_of(stage: Stage, file_id: str) -> list[str]:
    async with stage.database.connection() as connection:
        rows = await (
            await connection.execute(
                """
                select queue_name from procrastinate_jobs j join production_task t on j.lock = 'task:' || t.id
                join work on work.id = work_id where file_id = %s and t.kind = 'first' and j.status = 'todo'
                """,
                (file_id,),
            )
        ).fetchall()
    return [row[0] for row in rows]


async def test_work_begins_with_the_first_bytes_and_is_offered_at_finish(stage: Stage) -> None:
    await worker_here(stage)
    node = stage.settings.base("upload")
    file_id = await coming_in(stage)
    assert await queue_of(stage, file_id) == [node_queue(EARLY_QUEUE, node)]
    first = await stage.fetch(node_queue(EARLY_QUEUE, node))
    assert first is not None
    assert first.work.state == "uploading"
    async with stage.database.transaction() as connection:
        await stage.tasks.hold(connection, first)
        growing = await stage.store_rendition(first, complete=False)
        await products.add_rendition(connection, first.work_id, first.run, growing)
        assert not await stage.tasks.offer(connection, first)
    assert await stage.state(file_id) == "uploading"
    assert (await stage.work(file_id)).percent == 0
    await send_the_rest(stage, file_id)
    await stage.intake.finish(stage.caller, file_id)
    assert await stage.state(file_id) == "waiting"
    await stage.intake.describe(stage.caller, file_id, TITLE)
    work = await stage.work(file_id)
    assert (work.state, work.run, work.pending) == ("published", first.run, True)
    assert await stage.jobs(file_id) == ["first"]  # it goes on where it is
    assert await stage.fetch() is None
    await stage.end(first)
    assert await stage.fetch(node_queue(FIRST_QUEUE, node), FIRST_QUEUE) is not None  # `plan`


async def test_a_first_task_that_waits_for_a_slow_upload_goes_before_with_its_end(stage: Stage) -> None:
    await worker_here(stage)
    file_id = await coming_in(stage)
    await send_the_rest(stage, file_id)
    await stage.intake.describe(stage.caller, file_id, TITLE)
    await stage.intake.finish(stage.caller, file_id)
    assert await queue_of(stage, file_id) == [node_queue(FIRST_QUEUE, stage.settings.base("upload"))]


async def test_a_stalled_upload_gives_its_slot_up_until_it_is_finished(stage: Stage) -> None:
    await worker_here(stage)
    file_id = await coming_in(stage)
    first = await stage.fetch()
    assert first is not None
    await stage.tasks.rest(first)
    await stage.execute("delete from procrastinate_jobs")  # its end
    await send_the_rest(stage, file_id)
    await stage.intake.describe(stage.caller, file_id, TITLE)
    await stage.intake.finish(stage.caller, file_id)
    assert await stage.jobs(file_id) == ["first"]


@pytest.mark.parametrize("order", ["finish first", "rest first", "at once"])
async def test_a_rest_and_a_finish_at_the_same_moment_leave_a_job(stage: Stage, order: str) -> None:
    await worker_here(stage)
    file_id = await coming_in(stage)
    first = await stage.fetch()
    assert first is not None
    await send_the_rest(stage, file_id)
    await stage.intake.describe(stage.caller, file_id, TITLE)
    calls = [stage.intake.finish(stage.caller, file_id), stage.tasks.rest(first)]
    if order == "at once":
        await asyncio.gather(*calls)
    else:
        for call in calls if order == "finish first" else reversed(calls):
            await call
    await stage.execute("delete from procrastinate_jobs where status = 'doing'")
    assert await stage.jobs(file_id) == ["first"]


async def test_pieces_cost_one_early_start_and_small_files_none(stage: Stage) -> None:
    await worker_here(stage)
    file_id = await coming_in(stage)
    for _ in range(3):
        await stage.send(file_id, BEGINNING)
    await stage.send(file_id, b"y" * 5, start=len(BEGINNING))
    small = await stage.sent(b"z" * 1000)
    await stage.early.close()
    assert await stage.value("select count(*) from production_run") == 1
    assert (await stage.work(small)).claim == ""


async def test_nothing_begins_early_without_a_worker_on_the_machine(stage: Stage) -> None:
    file_id = await coming_in(stage)
    assert (await stage.work(file_id)).claim == ""


@pytest.mark.parametrize("end", ["cancel", "expire", "delete"])
async def test_what_was_made_of_an_upload_that_never_ends_is_removed(stage: Stage, end: str) -> None:
    await worker_here(stage)
    file_id = await coming_in(stage)
    first = await stage.fetch()
    assert first is not None
    made = await stage.store_rendition(first, complete=False)
    async with stage.database.transaction() as connection:
        await stage.tasks.hold(connection, first)
        await products.add_rendition(connection, first.work_id, first.run, made)
    if end == "cancel":
        await stage.intake.cancel(stage.caller, file_id)
    elif end == "delete":
        await stage.intake.delete(stage.caller, [file_id])
    else:
        await stage.execute("update upload set last_piece_at = now() - interval '1 year'")
        await stage.upkeep.expire_uploads()
    assert not await stage.tasks.progress(first, 50)
    await stage.upkeep.remove_leftovers()
    assert await stage.store.list(f"works/{file_id}") == []
    assert await stage.value("select count(*) from rendition") == 0


async def test_early_work_that_fails_is_done_again_with_the_whole_file(stage: Stage) -> None:
    await worker_here(stage)
    file_id = await coming_in(stage)
    first = await stage.fetch()
    assert first is not None
    await stage.tasks.fail(first, "It looks like nothing.")
    await stage.execute("delete from procrastinate_jobs")  # its end
    assert await stage.state(file_id) == "uploading"
    await send_the_rest(stage, file_id)
    await stage.intake.describe(stage.caller, file_id, TITLE)
    await stage.intake.finish(stage.caller, file_id)
    work = await stage.work(file_id)
    assert (work.state, work.claim != first.run) == ("publishing", True)
    assert await stage.jobs(file_id) == ["first"]


async def test_the_early_start_does_not_hold_up_the_piece(stage: Stage) -> None:
    await worker_here(stage)
    file_id = (await stage.intake.open(stage.caller, size=len(BEGINNING) + MUCH_TO_COME)).file_id
    async with stage.database.transaction() as connection:
        await connection.execute("select from work where file_id = %s for update", (file_id,))
        await stage.send(file_id, BEGINNING)  # answered although the work is locked

    async def waits_no_more() -> bool:
        return not stage.early._begins

    await wait_until(waits_no_more, within=5, what="the end of the early start")


# --- queues -------------------------------------------------------------------------------------------------------
async def test_what_lies_on_one_machine_is_entered_for_it(stage: Stage) -> None:
    far = await stage.handed_in()
    assert await queue_of(stage, far) == [FIRST_QUEUE]  # nothing is known of a worker there
    await worker_here(stage)
    near = await stage.handed_in()
    assert await queue_of(stage, near) == [node_queue(FIRST_QUEUE, stage.settings.base("upload"))]
    await stage.produce(near, then=[NewTask("chunk", 0, weight=40), NewTask("join")])
    assert (
        await stage.value(
            "select string_agg(distinct queue_name, ',') from procrastinate_jobs j"
            " join production_task t on j.lock = 'task:' || t.id where t.kind = 'chunk'"
        )
        == LADDER_QUEUE
    )
