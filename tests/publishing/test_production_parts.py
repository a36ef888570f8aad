"""Parts of production: when an offer keeps a player from waiting, following an upload, where originals are found."""

import asyncio
import os
from itertools import pairwise
from pathlib import Path

import pytest

from openstage.publishing.errors import Elsewhere, OriginalLost, Superseded, UploadStalled
from openstage.publishing.originals import Originals, original_key
from openstage.publishing.production.feed import growing_upload
from openstage.publishing.production.pace import MARGIN, seconds_to_wait, slow_notice
from openstage.publishing.progress import end, together
from openstage.storage.objects import store_at
from tests.publishing.stage import Stage


# --- when to offer ----------------------------------------------------------------------------------------------------
def cells(duration: float) -> list[float]:
    """Ends of the segments of an encoded first rendition: cells of 1, 1, 2, then 4 seconds."""
    ends = [1.0, 2.0, 4.0]
    while ends[-1] < duration:
        ends.append(ends[-1] + 4)
    return [*(end for end in ends if end < duration), duration]


def stalls(duration: float, speed: float, ready: float, wait: float) -> bool:
    """Whether a player stalls that begins after `wait`, where `ready` seconds were there at first."""
    for begins, ends in pairwise([0.0, *cells(duration)]):
        made = max(0.0, (ends - ready) / speed)
        if made > wait + begins + 1e-9:
            return True
    return False


@pytest.mark.parametrize("duration", [1.5, 3, 5, 30, 600, 7200])
@pytest.mark.parametrize("speed", [0.05, 0.3, 0.9, 1.0, 1.1, 1.3, 4])
def test_a_player_that_waits_as_told_never_waits_again(duration: float, speed: float) -> None:
    for ready in cells(duration)[:6]:
        wait = seconds_to_wait(ready, duration, speed)
        assert not stalls(duration, speed / MARGIN, ready, wait)
        if wait:
            assert stalls(duration, speed / MARGIN / MARGIN, ready, 0.0), "no reason to wait"


def test_fast_making_is_offered_with_its_first_segment() -> None:
    assert seconds_to_wait(1, 600, 2.1) == 0
    assert 1 < seconds_to_wait(1, 600, 1.3) < 3
    assert seconds_to_wait(8, 600, 1.3) == 0
    assert seconds_to_wait(600, 600, 0.01) == 0
    assert seconds_to_wait(0, 600, 100) == float("inf")
    assert seconds_to_wait(4, 600, 0) == float("inf")


def test_notices_tell_times_as_people_do() -> None:
    assert slow_notice(12.3).endswith("in about 12 s.")
    assert slow_notice(600).endswith("in about 10 min.")
    assert "can't be told" in slow_notice(float("inf"))


# --- following an upload --------------------------------------------------------------------------------------------
DATA = bytes(range(250)) * 4


async def opened(stage: Stage, *pieces: tuple[int, int]) -> str:
    file_id = (await stage.intake.open(stage.caller, size=len(DATA))).file_id
    for start, stop in pieces:
        await stage.send(file_id, DATA[start:stop], start=start)
    return file_id


async def test_a_prefix_grows_only_without_gaps(stage: Stage) -> None:
    file_id = await opened(stage, (0, 100), (500, 600))
    path = stage.uploads.staging_path(file_id)
    async with growing_upload(stage.database, file_id, path, len(DATA)) as feed:
        assert await feed.received(0) == 100
        assert await feed.until_received((550, 560)) == ((0, 100), (500, 600))
        waiting = asyncio.create_task(feed.received(100))
        end_there = asyncio.create_task(feed.until_received((900, 1000)))
        await stage.send(file_id, DATA[600:1000], start=600)
        await asyncio.wait_for(end_there, 5)
        assert not waiting.done()
        await stage.send(file_id, DATA[100:500], start=100)
        assert await asyncio.wait_for(waiting, 5) == len(DATA)
        await feed.until_whole()
        assert await feed.received(10**9) == len(DATA)
        assert os.pread(feed.fd, len(DATA), 0) == DATA
        assert not feed.finished.is_set()
        await stage.intake.finish(stage.caller, file_id)
        await asyncio.wait_for(feed.finished.wait(), 5)


@pytest.mark.parametrize("what", ["stalled", "cancelled"])
async def test_an_upload_that_does_not_go_on_is_given_up(stage: Stage, what: str) -> None:
    file_id = await opened(stage, (0, 100))
    path = stage.uploads.staging_path(file_id)
    idle = 0.2 if what == "stalled" else 30.0
    async with growing_upload(stage.database, file_id, path, len(DATA), idle=idle) as feed:
        assert await feed.received(0) == 100
        if what == "cancelled":
            await stage.intake.cancel(stage.caller, file_id)
        with pytest.raises(UploadStalled if what == "stalled" else Superseded):
            await asyncio.wait_for(feed.received(100), 5)
        with pytest.raises(UploadStalled if what == "stalled" else Superseded):
            await asyncio.wait_for(feed.until_received((0, 1000)), 5)
        assert await feed.received(50) == 100, "what is there can still be read"


# --- originals --------------------------------------------------------------------------------------------------------
def originals(stage: Stage, folder: Path, **changes: object) -> Originals:
    return Originals(
        stage.database,
        changes.get("store", stage.store),  # type: ignore[arg-type]
        stage.uploads.staging_path,
        node=str(changes.get("node", stage.settings.base("upload"))),
        cache=folder / "cache",
        min_free=0,
    )


async def test_a_source_stays_whatever_becomes_of_the_file(stage: Stage, tmp_path: Path) -> None:
    file_id = await stage.handed_in(b"original")
    found = originals(stage, tmp_path)
    for name in ("staging", "stored"):
        folder = stage.settings.scratch_folder / name
        folder.mkdir(parents=True)
        source = await found.source(file_id, folder)
        assert source.parent == folder
        await found.keep(file_id)
        if name == "stored":
            await stage.store.delete([original_key(file_id)])
        assert source.read_bytes() == b"original"
        assert await found.source(file_id, folder) == source
    (tmp_path / "third").mkdir()
    with pytest.raises(OriginalLost):
        await found.source(file_id, tmp_path / "third")


async def test_an_original_of_another_place_is_fetched_once(stage: Stage, tmp_path: Path) -> None:
    store = store_at("memory://")
    found = originals(stage, tmp_path, store=store)
    fetched: list[str] = []
    real = store.download

    async def counted(key: str, path: Path) -> None:
        fetched.append(key)
        await real(key, path)

    store.download = counted  # type: ignore[method-assign]
    for name in "abc":
        file_id = await stage.handed_in(name.encode())
        await found.keep(file_id)
        assert not stage.uploads.staging_path(file_id).exists()
        folders = [tmp_path / f"{name}{number}" for number in range(3)]
        for folder in folders:
            folder.mkdir()
        sources = await asyncio.gather(*(found.source(file_id, folder) for folder in folders))
        assert [source.read_bytes() for source in sources] == [name.encode()] * 3
    assert len(fetched) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 2, "copies are bounded"
    assert (tmp_path / "a0" / "original").read_bytes() == b"a"


async def test_a_file_of_another_machine_is_told_from_a_lost_one(stage: Stage, tmp_path: Path) -> None:
    file_id = await stage.handed_in(b"x")
    stage.uploads.staging_path(file_id).unlink()
    with pytest.raises(OriginalLost):
        await originals(stage, tmp_path).source(file_id, tmp_path)
    with pytest.raises(Elsewhere) as elsewhere:
        await originals(stage, tmp_path, node="http://another:1").source(file_id, tmp_path)
    assert elsewhere.value.node == stage.settings.base("upload")


# --- ending together --------------------------------------------------------------------------------------------------
async def test_the_first_that_fails_ends_the_others() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("it")

    with pytest.raises(ValueError, match="it"):
        await together(endless(), failing())
    assert ended == ["endless"]


async def test_a_lost_cancellation_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openstage.publishing.progress._CANCEL_AGAIN", 0.01)

    async def deaf() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if _:
                    raise

    task = asyncio.ensure_future(deaf())
    await asyncio.sleep(0)
    await asyncio.wait_for(end(task), 5)
    assert task.cancelled()
