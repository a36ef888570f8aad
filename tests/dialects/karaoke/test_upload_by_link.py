"""Recordings fetched from the address that a call names: from a real server, which may do anything."""

import asyncio
import dataclasses
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from openstage.publishing.errors import Later
from openstage.publishing.fetching import MOST_TRIES, Fetching
from openstage.works.errors import WrongState
from tests.dialects.karaoke.conftest import LINK, SAMPLE, Karaoke, Reply, Singer, recording, running_karaoke
from tests.events.courier import Receiver
from tests.publishing.process import worker_process
from tests.support.database import TestServer
from tests.support.fixtures import cover_picture, make_clip
from tests.support.raw_server import RawRequest, RawServer, reply
from tests.support.waiting import wait_until


@pytest.fixture
async def source() -> AsyncIterator[RawServer]:
    """A server elsewhere that has the recording."""

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, recording(), content_type="audio/mpeg"))

    async with RawServer(answer).listening() as listening:
        yield listening


def answering(source: RawServer, answer: bytes) -> None:
    async def write(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        source.note(request)
        writer.write(answer)

    source.answer = write


def dripping(source: RawServer) -> None:
    """Let the server begin with the recording and never come to its end."""

    async def write(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        source.note(request)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + recording())
        while not writer.is_closing():
            writer.write(b"\x55" * 10_000)
            await writer.drain()
            await asyncio.sleep(0.02)

    source.answer = write


async def ordered(karaoke: Karaoke, singer: Singer, url: str, **fields: Any) -> Reply:
    said = {name: value for name, value in SAMPLE.items() if name != "file_size"}
    return await karaoke.post(LINK, singer.headers, {**said, "file_url": url, **fields})


@dataclasses.dataclass
class Order:
    """An order, and a worker's part that fetches it when the test says so."""

    karaoke: Karaoke
    fetching: Fetching
    work_id: int
    data: dict[str, str]

    async def run(self) -> None:
        await self.fetching.run(self.work_id)

    async def work(self) -> tuple[str, str, int]:
        """State, reason and file size."""
        row = await self.karaoke.services.database.fetch_one(
            "select state, reason, file_size from work where id = %(id)s", {"id": self.work_id}
        )
        assert row is not None
        return row[0], row[1], row[2]

    async def fetch_row(self) -> tuple[Any, ...] | None:
        return await self.karaoke.services.database.fetch_one(
            "select claim, tries, last_fault from recording_fetch where work_id = %(id)s", {"id": self.work_id}
        )


async def order(karaoke: Karaoke, url: str, *, settings: dict[str, Any] | None = None, **fields: Any) -> Order:
    answer = await ordered(karaoke, await karaoke.singer("周小姐"), url, **fields)
    assert answer["code"] == 0, answer
    services, changed = karaoke.services, karaoke.settings.model_copy(update=settings or {})
    row = await services.database.fetch_one(
        "select id, state from work where file_id = %(file)s", {"file": answer["data"]["file_id"]}
    )
    assert row is not None
    assert row[1] == "uploading"
    fetching = Fetching(services.database, changed, services.uploads, services.recordings)
    return Order(karaoke, fetching, row[0], answer["data"])


async def left(karaoke: Karaoke) -> tuple[object, ...]:
    """What a fetch may leave behind beside its work."""
    staging = [path.name for path in karaoke.settings.staging_folder.iterdir()]
    return await karaoke.held(), sorted(staging)


async def test_an_address_becomes_a_recording_that_plays(stage: Karaoke, source: RawServer) -> None:
    sound = recording()
    answering(source, reply(200, sound, content_type="audio/mpeg"))
    answer = await ordered(
        stage,
        await stage.singer("周小姐"),
        source.url + "/七里香.mp3?signature=a%2Fb",
        file_sha=hashlib.sha256(sound).hexdigest(),
        file_size=len(sound),
        callback_url=source.url + "/callback",
    )
    data = answer["data"]
    assert set(data) == {"file_id", "paly_url", "share_id", "ugc_id", "vid"}
    early = await stage.http.get(data["paly_url"])
    assert early.status_code in {302, 503}
    await stage.reached(data["ugc_id"])
    playlist = await stage.http.get(data["paly_url"], params={"format": "m3u8"}, follow_redirects=True)
    assert playlist.text.startswith("#EXTM3U")
    row = await stage.services.database.fetch_one(
        "select file_size, (select count(*) from recording_fetch where work_id = work.id) from work"
        " join recording on work_id = work.id where ugc_id = %(id)s",
        {"id": data["ugc_id"]},
    )
    assert row == (len(sound), 0)


async def test_bad_orders_have_a_code_and_store_nothing(karaoke: Karaoke, source: RawServer) -> None:
    singer, before = await karaoke.singer("周小姐"), await karaoke.count()
    for url, code in (
        ("", 1001),
        ("file:///etc/passwd", 1401),
        ("ftp://127.0.0.1/a.mp3", 1401),
        ("javascript:alert(1)", 1401),
        ("http://user:password@127.0.0.1/a.mp3", 1401),
        ("http://10.0.0.1/a.mp3", 1402),
        ("http://169.254.169.254/latest/meta-data", 1402),
        ("http://[::1]/a.mp3", 1402),
        ("http://0x0a000001/", 1401),
    ):
        answer = await ordered(karaoke, singer, url)
        assert answer["code"] == code, (url, answer)
    for fields, code in (
        ({"callback_url": "http://192.168.0.1/"}, 1402),
        ({"file_sha": "nonsense"}, 1001),
        ({"file_size": 2**61}, 1204),
        ({"publish_type": 9}, 1001),
    ):
        answer = await ordered(karaoke, singer, source.url, **fields)
        assert answer["code"] == code, (fields, answer)
    for body, code in ((b"{", 1002), (b"[]", 1002), (b"{}" + b" " * 70_000, 1003), (b"", 1001)):
        assert (await karaoke.post(LINK, singer.headers, body))["code"] == code
    assert (await karaoke.post(LINK, await karaoke.app_headers(), {}))["code"] == 1106
    assert await karaoke.count() == before
    assert not source.peers


async def test_what_another_try_would_not_mend_is_a_failed_work_with_the_reason(
    karaoke: Karaoke, source: RawServer
) -> None:
    sound, before = recording(), await left(karaoke)
    film = make_clip(duration=2.0).read_bytes()
    unbounded = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + sound
    for answer, reason, fields in (
        (reply(404), "404", {}),
        (reply(403), "403", {}),
        (reply(302, location="http://10.0.0.1/x"), "may not be called", {}),
        (reply(302, location="file:///etc/passwd"), "http", {}),
        (reply(302, location=source.url + "/on"), "leads on", {}),
        (reply(200, b""), "empty", {}),
        (reply(200, cover_picture().read_bytes()), "picture", {}),
        (reply(200, b"<html>Sign in first</html>"), "text", {}),
        (reply(200, random.Random(1).randbytes(20_000)), "format that can be played", {}),
        (reply(200, make_clip(acodec=None, duration=1.0).read_bytes()), "no sound", {}),
        (reply(200, film[: len(film) // 2]), "cut off", {}),
        (reply(200, sound), "file_size", {"file_size": len(sound) + 1}),
        (reply(200, sound), "file_size", {"file_size": len(sound) - 1}),
        (unbounded, "file_size", {"file_size": len(sound) + 1}),
        (unbounded, "file_size", {"file_size": len(sound) - 1}),
        (reply(200, sound), "SHA1", {"file_sha": "0" * 40}),
        (reply(200, sound), "SHA256", {"file_sha": "0" * 64}),
        (reply(200, sound), "at most 5000", {"settings": {"max_recording": 5000}}),
        (unbounded, "5000", {"settings": {"max_recording": 5000}}),
    ):
        answering(source, answer)
        made = await order(karaoke, source.url + "/a.mp3", **fields)
        await made.run()
        state, told, size = await made.work()
        assert (state, size) == ("failed", 0), (reason, state)
        assert reason in told, (reason, told)
        assert await made.fetch_row() is None
        assert await left(karaoke) == before, reason
        assert (await karaoke.http.get(made.data["paly_url"])).status_code == 404
        await made.run()  # a job that comes once more finds nothing to do
        with pytest.raises(WrongState):
            await karaoke.services.operations.rerun(made.data["file_id"])


async def test_a_silent_film_is_told_as_failed_and_never_published(stage: Karaoke, source: RawServer) -> None:
    answering(source, reply(200, make_clip(acodec=None, duration=1.0).read_bytes()))
    receiver = Receiver(stage.credentials.client_secret)
    async with receiver.listening():
        answer = await ordered(
            stage, await stage.singer("周小姐"), source.url + "/film.mp4", callback_url=receiver.url + "/hear"
        )

        async def told() -> bool:
            return bool(receiver.told)

        await wait_until(told, within=30.0, what="the callback")
    (failed,) = receiver.told
    assert (failed["type"], failed["data"]["ugc_id"]) == ("ugc.failed", answer["data"]["ugc_id"])
    assert "no sound" in failed["data"]["reason"]
    assert await stage.state(answer["data"]["ugc_id"]) == "failed"


async def test_orders_that_do_not_fit_are_told_the_numbers_that_the_client_knows(
    karaoke: Karaoke, source: RawServer
) -> None:
    identity = karaoke.services.identity
    credentials = await identity.apps.create("An app with little room", quota=len(recording()))
    app = await identity.authenticate(credentials.client_id, credentials.client_secret)
    issued = await identity.authorise_app(app, realm="person", uid="somebody")
    small = Singer("somebody", karaoke.headers(issued.pair.access_token, "somebody", app=app))
    largest = karaoke.settings.max_recording
    for size, code, told in (
        (321_035, 1205, "321035 more do not fit"),
        (largest + 1, 1204, f"up to {largest} bytes, not {largest + 1} as file_size says"),
    ):
        answer = await ordered(karaoke, small, source.url, file_size=size)
        assert answer["code"] == code, answer
        assert told in answer["msg"]
    assert (await karaoke.upload(small, recording()))["code"] == 0
    for unknown in (None, 0):
        answer = await ordered(karaoke, small, source.url, file_size=unknown)
        assert answer["code"] == 1205, "there is no room for any file, however long"
        assert "used up" in answer["msg"]
        assert " 0 more" not in answer["msg"]
    assert not source.peers


async def test_what_may_pass_is_tried_again_and_not_for_ever(karaoke: Karaoke, source: RawServer) -> None:
    before, sound = await left(karaoke), recording()
    made = await order(karaoke, source.url + "/a.mp3", file_size=len(sound))
    half = reply(200, sound)[: -len(sound) // 2]
    for answer in (reply(500), reply(503), reply(429), b"", half):
        answering(source, answer)
        with pytest.raises(Later):
            await made.run()
        assert (await made.work())[0] == "uploading"
        assert await left(karaoke) == before
    row = await made.fetch_row()
    assert row is not None
    assert row[:2] == ("", 5)
    assert row[2]
    assert (await karaoke.http.get(made.data["paly_url"])).headers["retry-after"] == "30"
    other = await order(karaoke, source.url + "/b.mp3")
    for _ in range(MOST_TRIES - 1):
        with pytest.raises(Later):
            await other.run()
    await other.run()
    state, reason, _ = await other.work()
    assert state == "failed"
    assert "could not be fetched" in reason
    answering(source, reply(200, sound))
    await made.run()
    assert (await made.work())[::2] == ("publishing", len(sound))


async def test_time_is_limited(karaoke: Karaoke, source: RawServer) -> None:
    before = await left(karaoke)
    dripping(source)
    made = await order(karaoke, source.url + "/a.mp3", settings={"fetch_time": 1})
    with pytest.raises(Later):
        await made.run()
    assert await left(karaoke) == before


async def test_deleting_the_work_stops_its_fetch(karaoke: Karaoke, source: RawServer) -> None:
    before = await left(karaoke)
    dripping(source)
    made = await order(karaoke, source.url + "/a.mp3")
    running = asyncio.create_task(made.run())

    async def begun() -> bool:
        return bool(karaoke.incoming())

    await wait_until(begun, what="the first bytes")
    services, singer = karaoke.services, await karaoke.singer("周小姐")
    caller = await services.identity.resolve(singer.headers["X-Open-Access-Token"])
    assert await services.intake.delete(caller, [made.data["file_id"]]) == 1
    await asyncio.wait_for(running, 5)
    assert await left(karaoke) == before
    await made.fetching.resume_lost()
    assert await made.fetch_row() is None


async def test_who_was_thought_dead_changes_nothing(karaoke: Karaoke, source: RawServer) -> None:
    dripping(source)
    made = await order(karaoke, source.url + "/a.mp3")
    slow = asyncio.create_task(made.run())

    async def begun() -> bool:
        return bool(karaoke.incoming())

    await wait_until(begun, what="the first bytes")
    answering(source, reply(200, recording()))
    await made.run()  # another worker's
    await asyncio.wait_for(slow, 5)
    assert (await made.work())[0] == "publishing"
    assert not karaoke.incoming()


async def test_one_app_does_not_keep_the_others_waiting(karaoke: Karaoke, source: RawServer) -> None:
    dripping(source)
    settings = {"fetch_concurrency": 2}  # one of each app
    first = await order(karaoke, source.url + "/a.mp3", settings=settings)
    second = await order(karaoke, source.url + "/b.mp3", settings=settings)
    running = asyncio.create_task(first.run())

    async def begun() -> bool:
        return bool(karaoke.incoming())

    await wait_until(begun, what="the first bytes")
    with pytest.raises(Later):
        await second.run()
    assert (await second.fetch_row() or ())[:2] == ("", 0), "it doesn't count as a try"
    queued = await karaoke.services.database.fetch_one(
        "select count(distinct priority) from procrastinate_jobs where lock = any(%(locks)s)",
        {"locks": [f"fetch:{first.work_id}", f"fetch:{second.work_id}"]},
    )
    assert queued == (2,), "the second of an app comes after the first of any"
    answering(source, reply(200, recording()))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await first.fetch_row() or ())[:2] == ("", 0), "given back, for another worker"
    await second.run()
    assert (await second.work())[0] == "publishing"


async def test_lost_jobs_are_entered_again_and_old_leftovers_swept(karaoke: Karaoke, source: RawServer) -> None:
    made = await order(karaoke, source.url + "/a.mp3")
    database, lock = karaoke.services.database, f"fetch:{made.work_id}"
    async with database.connection() as connection:
        await connection.execute("delete from procrastinate_jobs where lock = %s", (lock,))
        await connection.execute("update recording_fetch set changed_at = now() - interval '2 minutes'")
    assert await made.fetching.resume_lost() >= 1
    count = "select count(*) from procrastinate_jobs where lock = %(lock)s"
    assert await database.fetch_one(count, {"lock": lock}) == (1,)
    await made.fetching.resume_lost()
    assert await database.fetch_one(count, {"lock": lock}) == (1,)
    old, new = (karaoke.settings.staging_folder / f"incoming-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    await karaoke.services.uploads.incoming.sweep()
    assert (old.exists(), new.exists()) == (False, True)
    new.unlink()


@pytest.mark.slow
async def test_a_killed_workers_fetch_is_taken_up_again(
    postgres: TestServer, tmp_path: Path, source: RawServer
) -> None:
    dripping(source)

    async def begun() -> bool:
        return bool(karaoke.incoming())

    with postgres.database() as database:
        async with running_karaoke(tmp_path / "data", database, worker=False) as karaoke:
            environment = {"OPENSTAGE_OUTBOUND_ALLOW": "127.0.0.1"}
            made = await order(karaoke, source.url + "/a.mp3")
            with worker_process(karaoke.settings, env=environment) as first:
                await wait_until(begun, what="the first bytes")
                first.process.send_signal(signal.SIGKILL)
                first.wait_for_death()
            answering(source, reply(200, recording()))
            with worker_process(karaoke.settings, env=environment):
                await karaoke.reached(made.data["ugc_id"], within=60)
