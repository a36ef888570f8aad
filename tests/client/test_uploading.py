"""Files arrive whole, whatever happens on the way."""

import asyncio
import io
import itertools
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openstage.client import (
    ApiError,
    DigestMismatchError,
    FileChangedError,
    InvalidInputError,
    Person,
    Progress,
    ProtocolError,
    State,
    UnreachableError,
    UploadBusyError,
    Video,
    VideoCloudError,
)
from tests.client.conftest import PIECE, async_client, client
from tests.client.fake_cloud import FakeCloud, Fault

Upload = Callable[..., Video]


@pytest.fixture(params=["threads", "asyncio"])
def upload(request: pytest.FixtureRequest) -> Upload:
    """Upload with either client: what holds for one holds for the other."""

    def by_threads(fake: FakeCloud, file: Any, *, options: dict[str, Any] | None = None, **arguments: Any) -> Video:
        with client(fake, **(options or {})) as cloud:
            return cloud.upload(file, **{"piece_size": PIECE, **arguments})

    def by_asyncio(fake: FakeCloud, file: Any, *, options: dict[str, Any] | None = None, **arguments: Any) -> Video:
        async def work() -> Video:
            async with async_client(fake, **(options or {})) as cloud:
                return await cloud.upload(file, **{"piece_size": PIECE, **arguments})

        return asyncio.run(work())

    return by_threads if request.param == "threads" else by_asyncio


def test_a_file_arrives_with_its_metadata(fake: FakeCloud, film: Path, upload: Upload) -> None:
    video = upload(fake, film, title="假期 & 海", description="a=b", tags=["青春", "搞笑"], category=22)
    file = fake.the_file()
    assert file.whole() == film.read_bytes()
    assert file.state == "finished"
    assert file.file_type == "mp4"
    assert file.metadata is not None
    told = {name: file.metadata[name] for name in ("file_name", "description", "tags", "file_type")}
    assert told == {"file_name": "假期 & 海", "description": "a=b", "tags": "青春,搞笑", "file_type": "22"}
    assert video == Video(
        video.file_id, title="假期 & 海", description="a=b", state=State.PUBLISHING, size=film.stat().st_size
    )


def test_the_title_is_the_name_unless_said_otherwise(fake: FakeCloud, film: Path, upload: Upload) -> None:
    assert upload(fake, film).title == "假期 film (1)"


def test_pieces_are_raw_bodies_with_inclusive_ranges(fake: FakeCloud, film: Path, upload: Upload) -> None:
    upload(fake, film)
    pieces = [each for each in fake.seen if each.call == "upload"]
    assert sorted(each.headers["range"] for each in pieces) == sorted(
        ["0-9999", "10000-19999", "20000-29999", "30000-39999", "40000-49999", "50000-51233"]
    )
    assert {each.headers["file_size"] for each in pieces} == {"51234"}
    assert not any("access_token" in each.headers for each in pieces)
    assert fake.bytes_sent() == 51234


def test_pieces_can_be_forms_as_in_the_document(fake: FakeCloud, film: Path, upload: Upload) -> None:
    upload(fake, film, options={"framing": "multipart"})
    assert fake.the_file().whole() == film.read_bytes()
    assert fake.bytes_sent() > 51234


def test_pieces_are_sent_at_once(fake: FakeCloud, tmp_path: Path, upload: Upload) -> None:
    (tmp_path / "long").write_bytes(bytes(40 * 1024**2))
    upload(fake, tmp_path / "long", piece_size=4 * 1024**2, parallel=3)
    assert 2 <= fake.most_at_once <= 3


@pytest.mark.parametrize("fault", ["reset", "reset-midway", "lost-reply", "503", "502-html", "wrong-md5"], ids=str)
def test_a_piece_is_sent_again_after(fault: Fault, fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("upload", fault, 2)
    upload(fake, film)
    assert fake.the_file().whole() == film.read_bytes()
    assert fake.calls()["openupload"] == 1


@pytest.mark.parametrize("call", ["authorize", "openupload", "info", "uploadfinish"])
@pytest.mark.parametrize("fault", ["reset", "lost-reply", "503"])
def test_other_calls_are_tried_again_too(call: str, fault: Fault, fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail(call, fault)
    upload(fake, film)
    assert any(file.state == "finished" and file.whole() == film.read_bytes() for file in fake.files.values())


def test_a_failure_that_may_pass_is_not_the_end(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("openupload", "Q00001")
    fake.fail("uploadfinish", "Q00001", 2)
    upload(fake, film)
    assert fake.the_file().state == "finished"


def test_a_server_that_stalls_is_left_and_tried_again(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("upload", "stall")
    upload(fake, film, options={"timeout": 0.3})
    assert fake.the_file().whole() == film.read_bytes()


def test_a_server_that_stays_away_is_an_error_with_the_reason(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("upload", "503", 20)
    with pytest.raises(UnreachableError, match=r"503.*no disk space") as caught:
        upload(fake, film)
    assert caught.value.status == 503


def test_a_foreign_network_is_named(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("authorize", "garbage")
    with pytest.raises(ProtocolError, match="is the address right"):
        upload(fake, film)


def test_a_proxy_that_takes_no_large_requests_is_named(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("upload", "413-html", 9)
    with pytest.raises(ProtocolError, match=r"no request of 10000 bytes; use a smaller piece_size"):
        upload(fake, film)


def test_nobody_there(fake: FakeCloud, film: Path) -> None:
    fake.address = "http://127.0.0.1:9"
    with client(fake) as cloud, pytest.raises(UnreachableError, match=r"authorize at http://127.0.0.1:9.*4 times"):
        cloud.upload(film)


def test_a_damaged_piece_that_cannot_be_replaced_starts_the_upload_anew(
    fake: FakeCloud, film: Path, upload: Upload
) -> None:
    fake.fail("upload", "damaged")
    upload(fake, film)
    assert fake.calls()["openupload"] == 2
    assert fake.calls()["cancelupload"] == 1
    assert fake.the_file().whole() == film.read_bytes()


def test_damage_that_stays_is_an_error(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("upload", "wrong-md5", 100)
    with pytest.raises(DigestMismatchError, match="damaged"):
        upload(fake, film)


def test_a_refusal_ends_the_upload(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("info", "Q00001")
    with pytest.raises(ApiError, match="database away") as caught:
        upload(fake, film)
    assert (caught.value.code, caught.value.call) == ("Q00001", "info")


def test_tokens_that_end_meanwhile_are_renewed(fake: FakeCloud, film: Path, upload: Upload) -> None:
    def expire(progress: Progress) -> None:
        if progress.acknowledged == progress.total:
            fake.expire_tokens()

    upload(fake, film, on_progress=expire)
    assert fake.the_file().state == "finished"
    assert fake.calls()["token"] == 1


def test_what_the_server_lost_is_sent_again(fake: FakeCloud, film: Path, upload: Upload) -> None:
    def lose(progress: Progress) -> None:
        if progress.acknowledged == progress.total and fake.calls()["upload"] == 6:
            fake.the_file().content.pop(20_000, None)

    upload(fake, film, on_progress=lose)
    assert fake.the_file().whole() == film.read_bytes()
    assert fake.calls()["upload"] == 7


def test_a_server_that_never_has_enough_is_an_error(
    fake: FakeCloud, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.client.fake_cloud.FakeFile.missing", lambda self: [[0, 9]])
    with pytest.raises(InvalidInputError, match="bytes are missing"):
        upload(fake, io.BytesIO(bytes(40)), piece_size=10)


def test_progress_rises_to_the_whole(fake: FakeCloud, film: Path, upload: Upload) -> None:
    heard: list[Progress] = []
    upload(fake, film, on_progress=heard.append)
    assert heard[0].sent == 0
    assert heard[-1].sent == heard[-1].acknowledged == 51234
    assert all(0 <= each.sent <= each.total == 51234 for each in heard)
    assert all(before.sent <= after.sent for before, after in itertools.pairwise(heard))
    assert heard[-1].fraction == 1.0


def test_progress_takes_back_what_was_lost(fake: FakeCloud, film: Path, upload: Upload) -> None:
    fake.fail("upload", "lost-reply")
    heard: list[int] = []
    upload(fake, film, parallel=1, on_progress=lambda progress: heard.append(progress.sent))
    assert heard[-1] == 51234
    assert max(heard) == 51234
    assert any(before > after for before, after in itertools.pairwise(heard))


def test_an_error_of_the_callback_ends_the_upload(fake: FakeCloud, film: Path, upload: Upload) -> None:
    def stop(progress: Progress) -> None:
        if progress.acknowledged:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        upload(fake, film, on_progress=stop)
    assert not any(thread.name == "openstage-upload" for thread in threading.enumerate())


def test_a_file_object_is_sent_from_where_it_stands(fake: FakeCloud, upload: Upload) -> None:
    file = io.BytesIO(b"header" + bytes(range(256)) * 100)
    file.seek(6)
    upload(fake, file, title="from memory")
    assert fake.the_file().whole() == bytes(range(256)) * 100
    assert not file.closed


@pytest.mark.parametrize("wrong", [b"", "text"])
def test_what_cannot_be_uploaded_is_refused_at_once(wrong: Any, fake: FakeCloud, upload: Upload) -> None:
    file = io.BytesIO(wrong) if isinstance(wrong, bytes) else io.StringIO(wrong)
    with pytest.raises(ValueError, match=r"empty|binary"):
        upload(fake, file)
    assert not fake.seen


def test_arguments_are_checked_before_anything_is_sent(fake: FakeCloud, film: Path, upload: Upload) -> None:
    for wrong in ({"parallel": 0}, {"piece_size": -1}, {"tags": ["a,b"]}):
        with pytest.raises(ValueError, match=r"at least 1|comma"):
            upload(fake, film, **wrong)
    with pytest.raises(FileNotFoundError):
        upload(fake, film.with_name("nothing"))
    assert not fake.seen


def test_a_file_that_is_written_to_meanwhile_is_not_published(fake: FakeCloud, film: Path, upload: Upload) -> None:
    def grow(progress: Progress) -> None:
        if progress.acknowledged == progress.total:
            with film.open("ab") as file:
                file.write(b"more")

    with pytest.raises(FileChangedError):
        upload(fake, film, on_progress=grow)
    assert [file.state for file in fake.files.values()] == ["cancelled"]


def test_any_cut_gives_the_file(fake: FakeCloud, film: Path) -> None:
    dice = random.Random(7)
    with client(fake) as cloud:
        for _ in range(5):
            piece_size, parallel = dice.randrange(1000, 60_000), dice.randrange(1, 6)
            video = cloud.upload(film, piece_size=piece_size, parallel=parallel)
            assert fake.files[video.file_id].whole() == film.read_bytes(), (piece_size, parallel)


# --- going on -----------------------------------------------------------------------------------------------------


class Enough(Exception):
    """The plug is pulled."""


def stop_after(count: int) -> Callable[[Progress], None]:
    def hear(progress: Progress) -> None:
        if progress.acknowledged >= count:
            raise Enough

    return hear


@pytest.fixture(params=["foreign", "own"])
def any_fake(request: pytest.FixtureRequest) -> FakeCloud:
    """A server without the status call, and one with it."""
    fake: FakeCloud = request.getfixturevalue("fake" if request.param == "foreign" else "fake_with_status")
    return fake


def begin(upload: Upload, fake: FakeCloud, film: Path, **arguments: Any) -> None:
    with pytest.raises(Enough):
        upload(fake, film, parallel=1, on_progress=stop_after(2 * PIECE), **arguments)
    fake.seen.clear()


def test_an_upload_goes_on_where_it_stopped(any_fake: FakeCloud, film: Path, upload: Upload) -> None:
    begin(upload, any_fake, film)
    heard: list[Progress] = []
    upload(any_fake, film, on_progress=heard.append)
    assert any_fake.calls()["openupload"] == 0
    assert any_fake.bytes_sent() == 51234 - 2 * PIECE
    assert heard[0].resumed == heard[0].acknowledged == 2 * PIECE
    assert any_fake.the_file().whole() == film.read_bytes()


def test_only_the_server_knows_what_arrived_when_a_reply_was_lost(
    fake_with_status: FakeCloud, film: Path, upload: Upload
) -> None:
    begin(upload, fake_with_status, film)
    file = fake_with_status.the_file()
    file.content[2 * PIECE] = film.read_bytes()[2 * PIECE : 3 * PIECE]  # arrived, but nobody heard of it
    upload(fake_with_status, film)
    assert fake_with_status.bytes_sent() == 51234 - 3 * PIECE


def test_nothing_is_remembered_after_the_end(
    any_fake: FakeCloud, film: Path, upload: Upload, state_folder: Path
) -> None:
    upload(any_fake, film)
    upload(any_fake, film)
    assert any_fake.calls()["openupload"] == 2
    assert list(state_folder.iterdir()) == []


def test_an_upload_that_was_finished_unheard_is_not_sent_twice(any_fake: FakeCloud, film: Path, upload: Upload) -> None:
    any_fake.fail("uploadfinish", "lost-reply", 4)
    with pytest.raises(UnreachableError):
        upload(any_fake, film)
    any_fake.seen.clear()
    video = upload(any_fake, film)
    assert any_fake.bytes_sent() == 0
    assert list(any_fake.files) == [video.file_id]


def test_a_changed_file_starts_anew(any_fake: FakeCloud, film: Path, upload: Upload) -> None:
    begin(upload, any_fake, film)
    film.write_bytes(film.read_bytes()[::-1])
    video = upload(any_fake, film)
    assert any_fake.calls()["openupload"] == 1
    assert any_fake.files[video.file_id].whole() == film.read_bytes()


@pytest.mark.parametrize("fate", ["forgotten", "cancelled"])
def test_an_upload_that_the_server_does_not_know_any_more_starts_anew(
    fate: str, any_fake: FakeCloud, film: Path, upload: Upload
) -> None:
    begin(upload, any_fake, film)
    if fate == "forgotten":
        any_fake.files.clear()
    else:
        any_fake.the_file().state = "cancelled"
    video = upload(any_fake, film)
    assert any_fake.files[video.file_id].whole() == film.read_bytes()
    assert any_fake.calls()["openupload"] == 1


def test_another_user_or_server_does_not_go_on_with_it(
    fake: FakeCloud, fake_with_status: FakeCloud, film: Path, upload: Upload
) -> None:
    begin(upload, fake, film)
    upload(fake_with_status, film)
    upload(fake, film, options={"grant": Person("alice")})
    assert fake_with_status.bytes_sent() == fake.bytes_sent() == 51234


def test_resuming_can_be_switched_off_and_moved(
    fake: FakeCloud, film: Path, upload: Upload, tmp_path: Path, state_folder: Path
) -> None:
    begin(upload, fake, film, resume=tmp_path / "records")
    assert len(list((tmp_path / "records").glob("*.json"))) == 1
    begin(upload, fake, film, resume=False)
    assert not state_folder.exists()
    upload(fake, film, resume=tmp_path / "records")
    assert fake.bytes_sent() == 51234 - 2 * PIECE


def test_a_record_holds_no_secret_and_belongs_to_its_owner(
    fake: FakeCloud, film: Path, upload: Upload, state_folder: Path
) -> None:
    begin(upload, fake, film)
    [record] = state_folder.glob("*.json")
    text = record.read_text()
    assert "s3cret" not in text
    assert not any(token in text for token in fake.tokens)
    assert record.stat().st_mode & 0o077 == 0
    assert json.loads(text)["received"] == [[0, 2 * PIECE]]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": 3}', '{"file_id": null, "received": [[1]]}'])
def test_a_torn_record_is_ignored(text: str, fake: FakeCloud, film: Path, upload: Upload, state_folder: Path) -> None:
    begin(upload, fake, film)
    [record] = state_folder.glob("*.json")
    record.write_text(text)
    upload(fake, film)
    assert fake.calls()["openupload"] == 1


def test_a_folder_that_cannot_be_written_costs_only_the_resuming(
    fake: FakeCloud, film: Path, upload: Upload, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    upload(fake, film, resume=tmp_path / "file" / "records")
    assert fake.the_file().state == "finished"


def test_two_at_once_on_the_same_file_do_not_mix(fake: FakeCloud, film: Path, upload: Upload) -> None:
    caught: list[Exception] = []

    def interfere(progress: Progress) -> None:
        if progress.acknowledged and not caught:
            try:
                client(fake).upload(film)
            except VideoCloudError as error:
                caught.append(error)

    upload(fake, film, on_progress=interfere)
    assert [type(error) for error in caught] == [UploadBusyError]
    assert len(fake.files) == 1


async def test_a_cancelled_task_stops_and_can_be_resumed(fake: FakeCloud, film: Path) -> None:
    async with async_client(fake) as cloud:
        reached = asyncio.Event()

        def hear(progress: Progress) -> None:
            if progress.acknowledged:
                reached.set()

        fake.fail("upload", "503", 2)
        task = asyncio.create_task(cloud.upload(film, piece_size=1000, parallel=2, on_progress=hear))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        video = await cloud.upload(film, piece_size=1000)
        assert list(fake.files) == [video.file_id]
        assert fake.the_file().whole() == film.read_bytes()


async def test_many_uploads_of_one_client(fake: FakeCloud, tmp_path: Path) -> None:
    paths = []
    for number in range(8):
        paths.append(tmp_path / f"{number}.mp4")
        paths[-1].write_bytes(bytes([number]) * (30_000 + number))
    async with async_client(fake) as cloud:
        videos = await asyncio.gather(*(cloud.upload(path, piece_size=PIECE) for path in paths))
    for path, video in zip(paths, videos, strict=True):
        assert fake.files[video.file_id].whole() == path.read_bytes()
    assert fake.calls()["authorize"] == 1
