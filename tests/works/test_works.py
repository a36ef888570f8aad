"""Reading, deleting, reviewing and counting works."""

import asyncio
import datetime as dt

import pytest

from openstage.works.errors import BadMetadata, Purged, UnknownWork, WrongState
from openstage.works.models import Metadata, Page
from tests.publishing.stage import TITLE, Stage

READY = ["reviewing", "published", "refused"]
UNREADY = ["uploading", "waiting", "publishing", "failed", "cancelled", "expired"]


async def published(stage: Stage, count: int = 1) -> list[str]:
    made = []
    for _ in range(count):
        file_id = await stage.sent()
        await stage.force(file_id, "published")
        made.append(file_id)
    return made


def ids(page: Page) -> list[str]:
    return [work.file_id for work in page.items]


# --- text ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../../etc/passwd",
        "<script>alert('x')</script>",
        "🎬🎞️ 视频 \u202etxt.exe",
        "é" * 4000,
        "🎬" * 4000,
        "%s {0} $1",
        " ",
    ],
)
async def test_text_is_stored_as_given(stage: Stage, text: str) -> None:
    file_id = await stage.sent()
    await stage.intake.describe(stage.caller, file_id, Metadata(title=text, description=text))
    work = await stage.works.get(stage.caller, file_id)
    assert (work.title, work.description) == (text, text)


async def test_what_postgresql_can_not_store_becomes_a_replacement_character(stage: Stage) -> None:
    file_id = await stage.sent()
    metadata = Metadata(title="a\0b", description="\ud83d!", tags=("x\0", " ", "y"))
    await stage.intake.describe(stage.caller, file_id, metadata)
    work = await stage.works.get(stage.caller, file_id)
    assert (work.title, work.description, work.tags) == ("a\ufffdb", "\ufffd!", ["x\ufffd", "y"])


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (Metadata(title="x" * 4001), "title has 4001 characters"),
        (Metadata(title="", description="x" * 4001), "description has 4001 characters"),
        (Metadata(title="", tags=("x",) * 101), "101 tags"),
        (Metadata(title="", tags=("x" * 201,)), "200 characters"),
        (Metadata(title="", category=2**31), "category"),
        (Metadata(title="", category=-1), "category"),
    ],
)
async def test_what_is_too_long_is_refused_with_a_reason(stage: Stage, metadata: Metadata, says: str) -> None:
    file_id = await stage.sent()
    with pytest.raises(BadMetadata, match=says):
        await stage.intake.describe(stage.caller, file_id, metadata)
    assert (await stage.works.get(stage.caller, file_id)).described_at is None


# --- listing ------------------------------------------------------------------------------------------------------
async def test_the_latest_works_of_all_can_be_paged_to_the_oldest(stage: Stage) -> None:
    made = await published(stage, 7)
    for state in (*UNREADY, "reviewing", "refused"):
        await stage.force(await stage.sent(), state)
    # Three at a time at the same moment.
    await stage.execute("update work set published_at = now() - id / 3 * interval '1 minute'")
    await stage.operations.delete(made.pop())
    seen: list[str] = []
    after = None
    while page := await stage.works.latest(2, after=after):
        seen += [work.file_id for work in page]
        after = page[-1].slug
    assert sorted(seen) == sorted(made)
    moments = [str((await stage.work(file_id)).published_at) for file_id in seen]
    assert moments == sorted(moments, reverse=True)
    assert await stage.works.latest(after="\0nothing") == []


async def test_a_listing_holds_the_callers_published_works_newest_first(stage: Stage) -> None:
    mine = await published(stage, 3)
    for state in (*UNREADY, "reviewing", "refused"):
        await stage.force(await stage.sent(), state)
    page = await stage.works.list(stage.caller)
    assert ids(page) == mine[::-1]
    assert page.count == await stage.works.count(stage.caller) == 3
    stranger = await stage.another_user("stranger")
    assert await stage.works.list(stranger) == Page(items=[], count=0)
    assert await stage.works.count(stranger) == 0


async def test_pages_and_the_count_of_all_that_match(stage: Stage) -> None:
    made = (await published(stage, 7))[::-1]
    seen = []
    for number in (1, 2, 3, 4):
        page = await stage.works.list(stage.caller, page=number, page_size=3)
        assert page.count == 7
        seen += ids(page)
    assert seen == made
    some = await stage.works.list(stage.caller, file_ids=[made[0], made[4], "f" * 32, "\0"], page_size=1)
    assert (ids(some), some.count) == (made[:1], 2)
    assert ids(await stage.works.list(stage.caller, file_ids=[])) == made


@pytest.mark.parametrize(("page", "page_size", "found"), [(0, 0, 1), (-5, -5, 1), (1, 10**9, 2), (10**30, 100, 0)])
async def test_odd_pages_are_moved_to_the_limits(stage: Stage, page: int, page_size: int, found: int) -> None:
    await published(stage, 2)
    assert len((await stage.works.list(stage.caller, page=page, page_size=page_size)).items) == found


async def test_by_slug_finds_what_is_not_deleted(stage: Stage) -> None:
    (file_id,) = await published(stage)
    slug = (await stage.work(file_id)).slug
    assert len(slug) == 16
    assert slug.isalnum()
    assert (await stage.works.by_slug(slug)).visible
    await stage.force(file_id, "reviewing")
    assert not (await stage.works.by_slug(slug)).visible
    await stage.intake.delete(stage.caller, [file_id])
    for name in (slug, "nothing", "\0", file_id):
        with pytest.raises(UnknownWork):
            await stage.works.by_slug(name)


async def test_operators_find_works_of_everybody(stage: Stage) -> None:
    made = await published(stage, 3)
    await stage.operations.delete(made[0])
    assert [work.file_id for work in await stage.works.all()] == made[::-1]
    assert [work.file_id for work in await stage.works.all(deleted=True)] == made[:1]
    assert [work.file_id for work in await stage.works.all(deleted=False, limit=1)] == made[2:]
    newest = await stage.works.find(made[2])
    assert await stage.works.find(str(newest.id)) == newest
    for name in ("0", "9" * 15, "9" * 40, "٣", "-1", ""):
        with pytest.raises(UnknownWork):
            await stage.works.find(name)
    assert [work.file_id for work in await stage.works.all(before=newest.id)] == made[1::-1]
    assert await stage.works.all(state="failed") == []


# --- deleting -----------------------------------------------------------------------------------------------------
async def test_a_deleted_work_comes_back_as_it_was(stage: Stage) -> None:
    (file_id,) = await published(stage)
    before = await stage.work(file_id)
    hidden = await stage.operations.delete(before.slug)
    assert hidden.deleted_at is not None
    assert not hidden.visible
    assert (await stage.works.list(stage.caller)).count == 0
    assert (await stage.operations.delete(file_id)).deleted_at == hidden.deleted_at
    back = await stage.operations.restore(file_id)
    assert back.visible
    assert (await stage.works.list(stage.caller)).count == 1
    assert (await stage.operations.restore(file_id)).deleted_at is None


async def test_a_restored_work_whose_production_was_under_way_goes_on(stage: Stage) -> None:
    file_id = await stage.handed_in()
    await stage.operations.delete(file_id)
    await stage.execute("delete from procrastinate_jobs")
    await stage.operations.restore(file_id)
    assert await stage.jobs(file_id) == ["first"]


async def test_a_purged_work_does_not_come_back(stage: Stage) -> None:
    (file_id,) = await published(stage)
    await stage.operations.delete(file_id)
    await stage.execute("update work set purged_at = now()")
    with pytest.raises(Purged):
        await stage.operations.restore(file_id)


# --- review -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", READY)
async def test_a_ready_work_can_be_approved_and_refused_again_and_again(stage: Stage, state: str) -> None:
    file_id = await stage.sent()
    await stage.force(file_id, state)
    work = await stage.works.approve(file_id)
    assert (work.state, work.review, work.reason) == ("published", "approved", "")
    assert work.published_at is not None
    work = await stage.works.refuse(work.slug, "Not what it says")
    assert (work.state, work.review, work.reason) == ("refused", "refused", "Not what it says")
    again = await stage.works.approve(file_id)
    assert (again.state, again.reason, again.published_at) == ("published", "", work.published_at)
    assert (await stage.works.refuse(file_id)).reason == "Refused in review."


@pytest.mark.parametrize("state", UNREADY)
async def test_other_works_can_not_be_judged(stage: Stage, state: str) -> None:
    file_id = await stage.sent()
    await stage.force(file_id, state)
    for judge in (stage.works.approve, stage.works.refuse):
        with pytest.raises(WrongState, match=state):
            await judge(file_id)
    assert await stage.state(file_id) == state


async def test_unknown_and_deleted_works_can_not_be_judged(stage: Stage) -> None:
    (file_id,) = await published(stage)
    await stage.operations.delete(file_id)
    for name in (file_id, "nothing"):
        with pytest.raises(UnknownWork):
            await stage.works.approve(name)


async def test_the_works_awaiting_review_come_oldest_first(stage: Stage) -> None:
    made = await published(stage, 3)
    await stage.execute("update work set review = 'pending'")
    assert [work.file_id for work in await stage.works.awaiting_review()] == made
    await stage.works.approve(made[0])
    await stage.operations.delete(made[1])
    assert [work.file_id for work in await stage.works.awaiting_review()] == made[2:]


# --- playing ------------------------------------------------------------------------------------------------------
async def test_a_playback_counts_once_per_address(stage: Stage) -> None:
    (file_id,) = await published(stage)
    slug = (await stage.work(file_id)).slug
    counted = await asyncio.gather(*(stage.works.count_playback("nonce", slug) for _ in range(10)))
    assert counted.count(True) == 1
    assert await stage.works.count_playback("another", slug)
    assert not await stage.works.count_playback("nonce", "unknown")
    assert not await stage.works.count_playback("\0", "\0")
    assert (await stage.work(file_id)).play_count == 2


async def test_times_have_a_zone(stage: Stage) -> None:
    file_id = await stage.sent()
    await stage.intake.describe(stage.caller, file_id, TITLE)
    work = await stage.work(file_id)
    assert work.created_at.tzinfo is not None
    assert work.created_at <= dt.datetime.now(dt.UTC)
