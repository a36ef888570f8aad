"""A worker that dies between any write and its commit: the next one goes on, redoes one task, and nothing is lost."""

from collections.abc import Iterator

import pytest

from openstage.publishing import crashpoints
from openstage.publishing.crashpoints import FIRST_POINTS, LATER_POINTS
from tests.publishing.producing import Died, Worker, assert_whole, dying_at, kinds_of, working
from tests.publishing.stage import Stage
from tests.publishing.tools import FakeTools


@pytest.fixture
def worker(stage: Stage) -> Iterator[Worker]:
    with working(stage, FakeTools()) as made:
        yield made


async def die_and_go_on(stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    monkeypatch.setattr(crashpoints, "reached", dying_at(point))
    with pytest.raises(Died):
        await worker.all()
    monkeypatch.undo()
    assert worker.left() == [], "a dead worker's folder goes with the worker; here the process lives on"


@pytest.mark.parametrize("point", [*FIRST_POINTS, *LATER_POINTS])
async def test_a_death_at_any_point_costs_one_task_at_most(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    file_id = await stage.handed_in(b"original")
    await die_and_go_on(stage, worker, monkeypatch, point)
    work = await stage.work(file_id)
    offered = point in FIRST_POINTS[FIRST_POINTS.index("offered") :] + LATER_POINTS
    if point != "grown":  # it may have been offered before it was whole
        assert work.visible == offered
    if not work.visible:
        assert await stage.works.renditions(work.id) == []
    elif point != "join-ended":
        # Nothing of the ladder shows before all of it is there.
        ladder = await kinds_of(stage, file_id) - {("hls_video", "3"), ("hls_audio", "a")}
        assert bool(ladder) == (point in LATER_POINTS[LATER_POINTS.index("joined") :])
    await worker.all()
    await assert_whole(stage, worker, file_id)
    assert await stage.store.get(f"works/{file_id}/original") == b"original"
    made = [worker.fake.calls.count(name) for name in ("chunk 0", "chunk 1", "sound")]
    assert sum(made) <= 4, "one of them is redone at most"
    assert len(worker.fake.grown) <= 8


async def test_the_first_rendition_goes_on_where_its_worker_died(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stage.handed_in()
    monkeypatch.setattr("openstage.publishing.production.growth._AHEAD", 1)
    monkeypatch.setattr(crashpoints, "reached", dying_at("offered"))
    with pytest.raises(Died):
        await worker.all()
    monkeypatch.undo()
    work = await stage.work(file_id)
    before = {r.quality: await stage.works.segments(r.id) for r in await stage.works.renditions(work.id)}
    assert before
    await worker.all()
    for rendition in await stage.works.renditions(work.id):
        kept = before.get(rendition.quality, [])
        assert (await stage.works.segments(rendition.id))[: len(kept)] == kept, "players have these already"
    await assert_whole(stage, worker, file_id)


@pytest.mark.parametrize(
    "point", ["growing", "grown", "plan-ending", "chunk-stored", "joining", "joined", "join-ended"]
)
async def test_a_death_during_a_rerun_does_not_touch_what_is_published(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    file_id = await stage.handed_in()
    await worker.all()
    first = await stage.work(file_id)
    renditions = await stage.works.renditions(first.id)
    await stage.operations.rerun(file_id)
    await die_and_go_on(stage, worker, monkeypatch, point)
    now = await stage.work(file_id)
    if point == "join-ended":
        assert now.run != first.run
    else:
        assert (now.run, now.visible) == (first.run, True)
        assert await stage.works.renditions(first.id) == renditions
    await worker.all()
    assert (await stage.work(file_id)).run != first.run
    await stage.execute("update production_run set superseded_at = superseded_at - interval '1 hour'")
    await stage.upkeep.run()
    await assert_whole(stage, worker, file_id)
