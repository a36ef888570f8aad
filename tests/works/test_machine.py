"""The state machine: every transition that is allowed happens once, every other one is refused."""

import asyncio
from typing import get_args

import pytest

from openstage.works import lifecycle
from openstage.works.errors import WrongState
from openstage.works.machine import TRANSITIONS, allowed
from openstage.works.models import State
from tests.publishing.stage import Stage

STATES: tuple[State, ...] = get_args(State)
PAIRS = [(before, after) for before in STATES for after in STATES]
EXPECTED = {
    ("uploading", "waiting"),
    ("uploading", "publishing"),
    ("uploading", "cancelled"),
    ("uploading", "expired"),
    ("uploading", "failed"),
    ("waiting", "publishing"),
    ("publishing", "reviewing"),
    ("publishing", "published"),
    ("publishing", "refused"),
    ("publishing", "failed"),
    ("reviewing", "published"),
    ("reviewing", "refused"),
    ("reviewing", "failed"),
    ("published", "refused"),
    ("published", "failed"),
    ("refused", "published"),
    ("refused", "failed"),
    ("failed", "publishing"),
}


def test_the_table_is_the_documented_one() -> None:
    assert {(before, after) for before, afters in TRANSITIONS.items() for after in afters} == EXPECTED
    assert set(TRANSITIONS) == set(STATES)


async def test_every_pair_of_states(stage: Stage) -> None:
    file_id = await stage.sent()
    work_id = (await stage.work(file_id)).id
    for before, after in PAIRS:
        await stage.force(file_id, before)
        async with stage.database.transaction() as connection:
            if allowed(before, after):
                assert await lifecycle.move(connection, work_id, before, after)
            else:
                with pytest.raises(WrongState):
                    await lifecycle.move(connection, work_id, before, after)
        assert await stage.state(file_id) == (after if allowed(before, after) else before)


async def test_a_transition_from_another_state_changes_nothing(stage: Stage) -> None:
    file_id = await stage.sent()
    work_id = (await stage.work(file_id)).id
    for actual in STATES:
        for before, after in sorted(EXPECTED):
            if before == actual:
                continue
            await stage.force(file_id, actual)
            async with stage.database.transaction() as connection:
                assert not await lifecycle.move(connection, work_id, before, after)  # type: ignore[arg-type]
            assert await stage.state(file_id) == actual


async def test_of_many_at_once_one_makes_the_transition(stage: Stage) -> None:
    file_id = await stage.sent()
    work_id = (await stage.work(file_id)).id

    async def move(after: State) -> bool:
        async with stage.database.transaction() as connection:
            return await lifecycle.move(connection, work_id, "uploading", after)

    won = await asyncio.gather(*(move(after) for after in ("waiting", "publishing", "cancelled", "expired") * 3))
    assert won.count(True) == 1
