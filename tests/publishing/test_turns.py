"""Whose turn it is: new works before better ones, and no app behind all that another has entered."""

import asyncio
from collections import Counter

from openstage.identity.models import Caller
from openstage.publishing import entry, turns
from openstage.publishing.jobs import FIRST_QUEUE, LADDER_QUEUE
from openstage.publishing.tasks import FIRST, NewTask, Task
from openstage.works import lifecycle
from tests.publishing.stage import TITLE, Stage

MANY = 300
CHUNKS = [NewTask("chunk", number) for number in range(6)]


async def handed_in_by(stage: Stage, caller: Caller) -> str:
    file_id = (await stage.intake.open(caller, size=0)).file_id
    await stage.intake.describe(caller, file_id, TITLE)
    await stage.intake.finish(caller, file_id)
    return file_id


async def many_works(stage: Stage, count: int) -> None:
    """Works of the stage's app that wait for their first task, entered all at once."""
    async with stage.database.transaction() as connection:
        await connection.execute(
            """
            insert into work (file_id, slug, app_id, user_id, state, pending)
            select md5(n::text), left(md5('s' || n), 16), %s, %s, 'publishing', true from generate_series(1, %s) n
            """,
            (stage.caller.app_id, stage.caller.user_id, count),
        )
        rows = await (await connection.execute("select id from work order by id")).fetchall()
        for number, (work_id,) in enumerate(rows):
            await lifecycle.begin(connection, work_id, f"run{number}")
            await entry.enter(connection, f"run{number}", [FIRST])


async def next_ones(stage: Stage, count: int, *queues: str) -> list[Task]:
    """The tasks of the next jobs, which are done on the spot."""
    found = []
    for _ in range(count):
        task = await stage.fetch(*queues)
        assert task is not None
        found.append(task)
        await stage.end(task)
    return found


async def test_one_work_of_an_app_does_not_wait_for_hundreds_of_another(stage: Stage) -> None:
    other = await stage.another_user("other")
    await many_works(stage, MANY)
    begun = await next_ones(stage, 5, FIRST_QUEUE)
    assert {task.work.app_id for task in begun} == {stage.caller.app_id}
    single = await handed_in_by(stage, other)
    (first,) = await next_ones(stage, 1, FIRST_QUEUE)
    assert first.work.file_id == single
    assert (await next_ones(stage, 1, FIRST_QUEUE))[0].work.app_id == stage.caller.app_id


async def test_chunks_of_apps_take_turns(stage: Stage) -> None:
    other = await stage.another_user("other")
    busy = [await handed_in_by(stage, stage.caller) for _ in range(3)]
    for file_id in busy:
        await stage.produce(file_id, then=CHUNKS)
    await next_ones(stage, 4, LADDER_QUEUE)
    late = await handed_in_by(stage, other)
    await stage.produce(late, then=CHUNKS)
    order = [task.work.file_id for task in await next_ones(stage, 14, LADDER_QUEUE)]
    assert Counter(order[:12])[late] == 6  # every second one
    assert order.index(late) < 2
    assert [file_id for file_id in order if file_id != late][:2] == [busy[0]] * 2  # an app's older works go first


async def test_what_makes_works_play_goes_before_what_makes_them_better(stage: Stage) -> None:
    old = await handed_in_by(stage, stage.caller)
    await stage.produce(old, then=[*CHUNKS[:1], NewTask("pictures"), NewTask("sound"), NewTask("join")])
    again = await handed_in_by(stage, stage.caller)
    await stage.produce(again)
    await stage.operations.rerun(again)
    await handed_in_by(stage, stage.caller)
    kinds = [(task.kind, task.work.rerunning) for task in await next_ones(stage, 8)]
    assert kinds == [
        ("first", False),
        ("plan", False),
        ("pictures", False),
        ("sound", False),
        ("chunk", False),
        ("join", False),
        ("first", True),
        ("plan", True),
    ]


async def test_joining_does_not_wait_for_the_chunks_of_later_works(stage: Stage) -> None:
    first, second = [await handed_in_by(stage, stage.caller) for _ in range(2)]
    for file_id in (first, second):
        await stage.produce(file_id, then=[*CHUNKS, NewTask("join")])
    order = [(task.kind, task.work.file_id) for task in await next_ones(stage, 14)]
    assert order.index(("join", first)) < order.index(("chunk", second))


async def test_apps_that_enter_at_the_same_time_get_turns_of_their_own(stage: Stage) -> None:
    others = [await stage.another_user(f"other {number}") for number in range(3)]

    async def take(caller: Caller) -> int:
        async with stage.database.transaction() as connection:
            return await turns.take(connection, "ladder", caller.app_id, 10)

    taken = await asyncio.gather(*(take(caller) for caller in others for _ in range(3)))
    assert sorted(taken) == [1, 1, 1, 11, 11, 11, 21, 21, 21]


def test_lanes_never_overlap_and_fit_into_the_queues_integers() -> None:
    last = turns.priority("rerun", 10**15)
    assert last > 0
    for lower, higher in zip(turns.LANES, turns.LANES[1:], strict=False):
        assert turns.priority(higher, 10**15) > turns.priority(lower, 1)
    assert turns.priority(turns.LANES[-1], 1) < 2**31
