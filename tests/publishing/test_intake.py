"""From upload to production: both orders, everything repeated, everything at once."""

import asyncio

import pytest

from openstage.identity.errors import AppNotUsable, QuotaExceeded
from openstage.uploads.errors import BadSize, MissingRanges, UnknownUpload
from openstage.works import lifecycle
from openstage.works.errors import UnknownWork, WrongState
from openstage.works.models import Metadata
from tests.publishing.stage import TITLE, Stage

STARTED = ["first"]
"""What a run begins with; the rest waits for the first rendition."""


async def test_production_starts_when_metadata_came_before_finish(stage: Stage) -> None:
    file_id = await stage.sent()
    await stage.intake.describe(stage.caller, file_id, TITLE)
    assert await stage.state(file_id) == "uploading"
    await stage.intake.finish(stage.caller, file_id)
    assert await stage.state(file_id) == "publishing"
    assert await stage.jobs(file_id) == STARTED


async def test_production_starts_when_metadata_comes_after_finish(stage: Stage) -> None:
    file_id = await stage.sent()
    await stage.intake.finish(stage.caller, file_id)
    assert await stage.state(file_id) == "waiting"
    assert await stage.jobs(file_id) == []
    await stage.intake.describe(stage.caller, file_id, TITLE)
    assert await stage.state(file_id) == "publishing"
    assert await stage.jobs(file_id) == STARTED


async def test_repeating_everything_makes_no_second_job(stage: Stage) -> None:
    file_id = await stage.sent()
    for _ in range(3):
        await stage.intake.describe(stage.caller, file_id, TITLE)
        await stage.intake.finish(stage.caller, file_id)
    assert await stage.jobs(file_id) == STARTED
    assert (await stage.work(file_id)).title == TITLE.title


async def test_metadata_can_be_changed_at_any_time(stage: Stage) -> None:
    file_id = await stage.handed_in()
    first = (await stage.work(file_id)).described_at
    await stage.intake.describe(
        stage.caller, file_id, Metadata(title="Another", tags=("青春", "搞笑"), category=22, description="<b>")
    )
    work = await stage.work(file_id)
    assert (work.title, work.description, work.tags, work.category) == ("Another", "<b>", ["青春", "搞笑"], 22)
    assert work.described_at == first


async def test_finish_with_bytes_missing_loses_nothing(stage: Stage) -> None:
    file_id = (await stage.intake.open(stage.caller, size=10)).file_id
    await stage.intake.describe(stage.caller, file_id, TITLE)
    with pytest.raises(MissingRanges) as error:
        await stage.intake.finish(stage.caller, file_id)
    assert error.value.missing == [(0, 10)]
    assert await stage.state(file_id) == "uploading"
    assert await stage.quota() == (0, 10)
    await stage.send(file_id, b"0123456789")
    await stage.intake.finish(stage.caller, file_id)
    assert await stage.state(file_id) == "publishing"
    assert await stage.quota() == (10, 0)


async def test_quota_is_reserved_settled_and_given_back(stage: Stage) -> None:
    await stage.identity.apps.set_quota(stage.caller.client_id, 10)
    first = await stage.sent(b"123456")
    assert await stage.quota() == (0, 6)
    with pytest.raises(QuotaExceeded):
        await stage.intake.open(stage.caller, size=5)
    second = (await stage.intake.open(stage.caller, size=4)).file_id
    await stage.intake.cancel(stage.caller, second)
    assert await stage.quota() == (0, 6)
    await stage.intake.finish(stage.caller, first)
    assert await stage.quota() == (6, 0)


async def test_a_refused_open_leaves_nothing(stage: Stage) -> None:
    with pytest.raises(BadSize):
        await stage.intake.open(stage.caller, size=-1)
    assert await stage.value("select count(*) from work") == 0
    assert await stage.quota() == (0, 0)


@pytest.mark.parametrize("state", ["pending", "rejected", "frozen", "deleted"])
async def test_an_app_that_is_not_approved_opens_nothing(stage: Stage, state: str) -> None:
    await stage.execute("update app set state = %s", state)
    pair_owner = stage.caller
    caller = type(pair_owner)(
        app_id=pair_owner.app_id,
        user_id=pair_owner.user_id,
        app_state=state,  # type: ignore[arg-type]
        client_id=pair_owner.client_id,
        uid="",
    )
    with pytest.raises(AppNotUsable) as error:
        await stage.intake.open(caller, size=1)
    assert error.value.state == state


async def test_cancel_removes_the_bytes_and_may_be_repeated(stage: Stage) -> None:
    file_id = await stage.sent()
    staging = stage.uploads.staging_path(file_id)
    assert staging.exists()
    for _ in range(2):
        await stage.intake.cancel(stage.caller, file_id)
    assert await stage.state(file_id) == "cancelled"
    assert not staging.exists()
    assert await stage.quota() == (0, 0)
    with pytest.raises(UnknownUpload):
        await stage.intake.finish(stage.caller, file_id)
    with pytest.raises(WrongState):
        await stage.intake.describe(stage.caller, file_id, TITLE)
    with pytest.raises(UnknownUpload):
        await stage.send(file_id, b"bytes")


@pytest.mark.parametrize("state", ["waiting", "publishing", "reviewing", "published", "refused", "failed", "expired"])
async def test_only_unfinished_uploads_can_be_cancelled(stage: Stage, state: str) -> None:
    file_id = await stage.sent()
    await stage.force(file_id, state)
    with pytest.raises(WrongState) as error:
        await stage.intake.cancel(stage.caller, file_id)
    assert error.value.state == state
    assert await stage.state(file_id) == state


async def test_other_users_see_nothing(stage: Stage) -> None:
    file_id = await stage.sent()
    stranger = await stage.another_user("stranger")
    for call in (
        stage.intake.describe(stranger, file_id, TITLE),
        stage.intake.finish(stranger, file_id),
        stage.intake.cancel(stranger, file_id),
        stage.works.get(stranger, file_id),
    ):
        with pytest.raises(UnknownWork):
            await call
    assert await stage.intake.delete(stranger, [file_id]) == 0
    assert await stage.intake.delete(stranger, None) == 0
    assert await stage.state(file_id) == "uploading"


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "\0", "\ud800", "g" * 32, "a" * 5000, "测试" * 16])
async def test_odd_file_ids_are_unknown_ones(stage: Stage, name: str) -> None:
    for call in (
        stage.intake.describe(stage.caller, name, TITLE),
        stage.intake.finish(stage.caller, name),
        stage.intake.cancel(stage.caller, name),
        stage.works.get(stage.caller, name),
    ):
        with pytest.raises(UnknownWork):
            await call
    assert await stage.intake.delete(stage.caller, [name]) == 0


async def test_of_racing_finishes_and_descriptions_one_starts_production(stage: Stage) -> None:
    for _ in range(5):
        file_id = await stage.sent()
        calls = [stage.intake.finish(stage.caller, file_id) for _ in range(4)]
        calls += [stage.intake.describe(stage.caller, file_id, TITLE) for _ in range(4)]
        await asyncio.gather(*calls)
        assert await stage.state(file_id) == "publishing"
        assert await stage.jobs(file_id) == STARTED
    assert await stage.quota() == (25, 0)


async def test_of_finish_and_cancel_exactly_one_wins(stage: Stage) -> None:
    outcomes = set()
    for turn in range(8):
        file_id = await stage.sent()
        await stage.intake.describe(stage.caller, file_id, TITLE)
        calls = [stage.intake.finish(stage.caller, file_id), stage.intake.cancel(stage.caller, file_id)]
        results = await asyncio.gather(*(calls if turn % 2 else reversed(calls)), return_exceptions=True)
        lost = [result for result in results if result is not None]
        assert len(lost) == 1
        assert isinstance(lost[0], UnknownUpload | WrongState)
        state = await stage.state(file_id)
        assert await stage.jobs(file_id) == (STARTED if state == "publishing" else [])
        assert stage.uploads.staging_path(file_id).exists() == (state == "publishing")
        outcomes.add(state)
    assert outcomes <= {"publishing", "cancelled"}
    stored, reserved = await stage.quota()
    assert reserved == 0
    assert stored == 5 * await stage.value("select count(*) from work where state = 'publishing'")


async def test_deleting_hides_at_once_and_cancels_what_is_unfinished(stage: Stage) -> None:
    finished, unfinished, kept = await stage.handed_in(), await stage.sent(), await stage.sent()
    assert await stage.intake.delete(stage.caller, [finished, unfinished, "f" * 32, finished]) == 2
    assert await stage.intake.delete(stage.caller, [finished, unfinished]) == 0
    for file_id in (finished, unfinished):
        with pytest.raises(UnknownWork):
            await stage.works.get(stage.caller, file_id)
    assert await stage.state(unfinished) == "cancelled"
    assert not stage.uploads.staging_path(unfinished).exists()
    assert await stage.quota() == (5, 5)
    assert await stage.intake.delete(stage.caller, []) == 0
    assert await stage.intake.delete(stage.caller, None) == 1
    with pytest.raises(UnknownWork):
        await stage.works.get(stage.caller, kept)


async def test_the_job_comes_and_goes_with_the_state_change(stage: Stage) -> None:
    file_id = await stage.sent()
    await stage.intake.describe(stage.caller, file_id, TITLE)
    work = await stage.work(file_id)

    async def changed_our_mind() -> None:
        async with stage.database.transaction() as connection:
            await lifecycle.move(connection, work.id, "uploading", "publishing")
            await stage.tasks.go_on(connection, work)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await changed_our_mind()
    assert await stage.jobs(file_id) == []
