"""What becomes of a recording is told to its app, in the transaction in which it happens; other works tell nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openstage.database.engine import Connection
from openstage.events.models import EventFilter
from openstage.events.service import Events
from openstage.works import lifecycle, recordings
from openstage.works.errors import WrongState
from openstage.works.models import State
from openstage.works.recordings import About
from openstage.works.visibility import Visibility
from tests.publishing.stage import Stage
from tests.support.works import enter_work

URL = "https://app.example/heard"


class Told:
    """A recording, and what its app is told of it."""

    def __init__(self, stage: Stage, file_id: str, work_id: int) -> None:
        self.stage = stage
        self.file_id = file_id
        self.work_id = work_id

    async def events(self) -> list[dict[str, Any]]:
        """Kind and data of all events, the first first."""
        found = await Events(self.stage.database, self.stage.settings).list(EventFilter(work=self.file_id))
        assert [each.sequence for each in found] == list(range(len(found), 0, -1))
        return [{"kind": each.kind, **each.data} for each in reversed(found)]

    async def within(self, do: Callable[[Connection], Awaitable[Any]]) -> Any:
        async with self.stage.database.transaction() as connection:
            return await do(connection)


async def recorded(
    stage: Stage, state: State, *, url: str = URL, publish_type: int = 0, file_id: str | None = None
) -> Told:
    file_id = file_id or await enter_work(stage.database, (stage.caller.app_id, stage.caller.user_id), state=state)
    work_id = (await stage.work(file_id)).id
    about = About(song_id="s1", song_name="七里香", callback_url=url, publish_type=publish_type)
    async with stage.database.transaction() as connection:
        await recordings.create(connection, work_id, about)
    return Told(stage, file_id, work_id)


async def test_publication_is_told_with_everything_that_finds_the_recording(stage: Stage) -> None:
    told = await recorded(stage, "publishing")
    await told.within(lambda c: lifecycle.begin(c, told.work_id, "run"))
    assert await told.within(lambda c: lifecycle.offer(c, told.work_id, "run", review="none"))
    assert await told.within(lambda c: lifecycle.offer(c, told.work_id, "run", review="none"))  # again: nothing new
    (event,) = await told.events()
    share_id = await stage.value("select share_id from recording")
    assert event == {
        "kind": "ugc.published",
        "ugc_id": await stage.value("select ugc_id from recording"),
        "share_id": share_id,
        "file_id": told.file_id,
        "vid": (await stage.work(told.file_id)).slug,
        "openid": stage.caller.uid,
        "state": "published",
        "access": "public",
        "reason": "",
        "paly_url": f"{stage.settings.base('media')}/play/{share_id}",
        "share_url": f"{stage.settings.base()}/s/{share_id}",
        "song_id": "s1",
        "song_name": "七里香",
        "duration": 10,
    }
    assert await stage.value("select url from event") == URL


async def test_review_is_told_step_by_step_and_once_each(stage: Stage) -> None:
    told = await recorded(stage, "publishing")
    await told.within(lambda c: lifecycle.begin(c, told.work_id, "run"))
    await told.within(lambda c: lifecycle.offer(c, told.work_id, "run", review="before"))
    await stage.works.approve(told.file_id)
    await stage.works.approve(told.file_id)
    await stage.works.refuse(told.file_id, "Not ours to show")
    await stage.works.approve(told.file_id)
    events = await told.events()
    assert [(each["kind"], each.get("by"), each["reason"]) for each in events] == [
        ("ugc.reviewing", None, ""),
        ("ugc.published", "operator", ""),
        ("ugc.refused", "operator", "Not ours to show"),
        ("ugc.published", "operator", ""),
    ]
    assert [bool(each["paly_url"]) for each in events] == [False, True, False, True]


@pytest.mark.parametrize("state", ["publishing", "uploading"])
async def test_failure_is_told_with_its_reason(stage: Stage, state: State) -> None:
    told = await recorded(stage, state)
    if state == "publishing":
        await told.within(lambda c: lifecycle.begin(c, told.work_id, "run"))
        assert await told.within(lambda c: lifecycle.fail(c, told.work_id, "run", "It is no audio."))
        assert not await told.within(lambda c: lifecycle.fail(c, told.work_id, "run", "again"))
    else:  # its file was to be fetched
        assert await told.within(
            lambda c: lifecycle.move(c, told.work_id, "uploading", "failed", reason="It is no audio.")
        )
    (event,) = await told.events()
    assert (event["kind"], event["state"], event["reason"]) == ("ugc.failed", "failed", "It is no audio.")
    assert (event["paly_url"], event["share_url"]) == ("", "")


async def test_a_file_that_never_came_is_told_of(stage: Stage) -> None:
    told = await recorded(stage, "uploading", file_id=await stage.sent())
    await stage.execute("update upload set last_piece_at = '-infinity'")
    assert await stage.upkeep.expire_uploads() == 1
    await stage.upkeep.expire_uploads()
    (event,) = await told.events()
    assert (event["kind"], event["state"]) == ("ugc.failed", "expired")
    assert "never" in event["reason"]


async def test_a_rerun_that_fails_is_no_news(stage: Stage) -> None:
    told = await recorded(stage, "published")
    await stage.database.fetch_one("update work set run = 'old', pending = true, claim = 'new' returning id")
    assert await told.within(lambda c: lifecycle.fail(c, told.work_id, "new", "no"))
    assert await told.events() == []


async def test_deleting_and_restoring_say_who_did_it(stage: Stage) -> None:
    told = await recorded(stage, "published")
    await stage.operations.delete(told.file_id)
    await stage.operations.restore(told.file_id)
    await stage.operations.restore(told.file_id)
    await stage.intake.delete(stage.caller, [told.file_id])
    await stage.intake.delete(stage.caller, [told.file_id])
    assert [(each["kind"], each["by"], each["state"]) for each in await told.events()] == [
        ("ugc.deleted", "operator", "deleted"),
        ("ugc.restored", "operator", "published"),
        ("ugc.deleted", "app", "deleted"),
    ]


async def test_who_may_see_it_is_told_when_it_changes(stage: Stage) -> None:
    told = await recorded(stage, "published", publish_type=2)
    visibility = Visibility(stage.database)
    for access in ("private", "friends", "friends", "public"):
        assert await visibility.set_access(stage.caller, told.file_id, access)
    events = await told.events()
    assert [(each["kind"], each["access"], bool(each["paly_url"])) for each in events] == [
        ("ugc.access_changed", "friends", False),
        ("ugc.access_changed", "public", True),
    ]


async def test_nothing_is_told_of_what_is_rolled_back_or_asked_in_vain(stage: Stage) -> None:
    told = await recorded(stage, "published")

    async def undone(connection: Connection) -> None:
        await stage.works.delete(connection, stage.caller, [told.file_id])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await told.within(undone)
    assert not await told.within(lambda c: lifecycle.move(c, told.work_id, "publishing", "failed"))
    waiting = await recorded(stage, "uploading")
    with pytest.raises(WrongState):
        await stage.works.refuse(waiting.file_id)
    assert await told.events() == await waiting.events() == []


async def test_works_that_nobody_asked_about_tell_nothing(stage: Stage) -> None:
    silent = await recorded(stage, "published", url="")
    video = await enter_work(stage.database, (stage.caller.app_id, stage.caller.user_id))
    for file_id in (silent.file_id, video):
        await stage.works.refuse(file_id)
        await stage.operations.delete(file_id)
    assert await stage.value("select count(*) from event") == 0
    assert await stage.value("select count(*) from event_sequence") == 0
