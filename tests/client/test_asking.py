"""Status, waiting, lists, addresses, deleting: typed, and one class of error per code."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from openstage.client import (
    Addresses,
    ApiError,
    AppDeletedError,
    AppFrozenError,
    AppPendingError,
    AppRejectedError,
    FailedError,
    InvalidInputError,
    PublishingFailedError,
    QuotaExceededError,
    ReviewRefusedError,
    ServerFailureError,
    State,
    Status,
    TokenExpiredError,
    UnknownFileError,
    UploadCancelledError,
    Video,
    VideoNotFoundError,
    WaitTimeoutError,
)
from openstage.client.video import errors as all_errors
from openstage.client.video.errors import error_for
from openstage.client.video.ranges import cut, missing
from tests.client.conftest import async_client, client
from tests.client.fake_cloud import FakeCloud


@pytest.fixture
def file_id(fake: FakeCloud, film: Path) -> str:
    """A finished upload."""
    with client(fake) as cloud:
        return cloud.upload(film, title="Film").file_id


def test_a_status_is_typed(fake: FakeCloud, file_id: str) -> None:
    fake.publishing = ["A00000"]
    with client(fake) as cloud:
        assert cloud.status(file_id) == Status(
            file_id,
            State.PUBLISHED,
            "A00000",
            image="http://pic/i.jpg",
            thumbnail="http://pic/t.jpg",
            player_url="http://play/",
            addresses=Addresses(
                m3u8={"96": "http://meta/96.m3u8", "2": "http://meta/2.m3u8"}, mp4={"1": "http://data/1.mp4"}
            ),
        )


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("A00000", State.PUBLISHED),
        ("A00001", State.PUBLISHING),
        ("A00002", State.REFUSED),
        ("A00003", State.GONE),
        ("A00004", State.UPLOADING),
        ("A00006", State.CANCELLED),
        ("A00007", State.FAILED),
    ],
)
def test_every_code_of_a_status_is_a_state(code: str, state: State, fake: FakeCloud, file_id: str) -> None:
    fake.publishing = [code]
    with client(fake) as cloud:
        status = cloud.status(file_id)
    assert (status.state, status.code) == (state, code)


def test_other_codes_of_a_status_are_errors(fake: FakeCloud, file_id: str) -> None:
    fake.publishing = ["Q00001"]
    with client(fake) as cloud, pytest.raises(FailedError, match="fullStatus: Q00001"):
        cloud.status(file_id)


def test_waiting_tells_of_each_change(fake: FakeCloud, file_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openstage.client.video.cloud.FIRST_POLL", 0.001)
    heard: list[State] = []
    with client(fake) as cloud:
        status = cloud.wait(file_id, on_change=lambda status: heard.append(status.state))
    assert heard == [State.PUBLISHING, State.PUBLISHED]
    assert status.state is State.PUBLISHED


async def test_waiting_in_a_task(fake: FakeCloud, file_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openstage.client.video.cloud.FIRST_POLL", 0.001)
    async with async_client(fake) as cloud:
        assert (await cloud.wait(file_id, "published")).addresses.best_m3u8 == "http://meta/2.m3u8"


@pytest.mark.parametrize(
    ("code", "kind"),
    [("A00007", PublishingFailedError), ("A00002", ReviewRefusedError), ("A00003", VideoNotFoundError)],
)
def test_waiting_ends_when_it_will_not_come_true(
    code: str, kind: type[ApiError], fake: FakeCloud, file_id: str
) -> None:
    fake.publishing = [code]
    with client(fake) as cloud, pytest.raises(kind) as caught:
        cloud.wait(file_id, timeout=5)
    if code == "A00007":
        assert "no picture in it" in str(caught.value)


def test_waiting_for_a_failure_is_possible(fake: FakeCloud, file_id: str) -> None:
    fake.publishing = ["A00007"]
    with client(fake) as cloud:
        assert cloud.wait(file_id, "failed").message == "no picture in it"


def test_waiting_has_an_end(fake: FakeCloud, file_id: str) -> None:
    fake.publishing = ["A00001"]
    with client(fake) as cloud, pytest.raises(WaitTimeoutError, match=r"is publishing after 0.1 s") as caught:
        cloud.wait(file_id, timeout=0.1)
    assert isinstance(caught.value, TimeoutError)


def test_a_video_is_typed(fake: FakeCloud, file_id: str) -> None:
    with client(fake) as cloud:
        assert cloud.video(file_id) == Video(
            file_id,
            title="Film",
            state=State.PUBLISHED,
            size=51234,
            duration=10,
            play_count=24,
            created_at=dt.datetime(2013, 3, 25, 5, 58, 44, tzinfo=dt.UTC),
            image="http://pic7/v492995.jpg",
            page_url="http://page/",
        )
        with pytest.raises(VideoNotFoundError, match="A00003"):
            cloud.video("0" * 32)


def upload_many(fake: FakeCloud, folder: Path, count: int) -> list[str]:
    path = folder / "small.bin"
    path.write_bytes(b"x")
    with client(fake) as cloud:
        return [cloud.upload(path, title=f"Video {number}").file_id for number in range(count)]


def test_videos_are_listed_page_by_page(fake: FakeCloud, tmp_path: Path) -> None:
    ids = upload_many(fake, tmp_path, 7)
    with client(fake) as cloud:
        page = cloud.list(page=2, page_size=3)
        assert [video.file_id for video in page] == ids[3:6]
        assert (len(page), page.total, page.number) == (3, 7, 2)
        assert cloud.count() == 7
        assert [video.file_id for video in cloud.list(file_ids=ids[:2])] == ids[:2]
        assert [video.title for video in cloud.videos(ids[4])] == ["Video 4"]


def test_iterating_fetches_pages_as_it_goes(fake: FakeCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = upload_many(fake, tmp_path, 5)
    real = fake.do_videoListForExternal
    monkeypatch.setattr(fake, "do_videoListForExternal", lambda query, *rest: real({**query, "page_size": "2"}, *rest))
    fake.seen.clear()
    with client(fake) as cloud:
        videos = cloud.videos()
        assert next(videos).file_id == ids[0]
        assert fake.calls()["videoListForExternal"] == 1
        assert [video.file_id for video in videos] == ids[1:]
    assert fake.calls()["videoListForExternal"] == 3


async def test_iterating_in_a_task(fake: FakeCloud, tmp_path: Path) -> None:
    ids = upload_many(fake, tmp_path, 3)
    async with async_client(fake) as cloud:
        assert [video.file_id async for video in cloud.videos()] == ids


def test_addresses(fake: FakeCloud, file_id: str) -> None:
    with client(fake) as cloud:
        addresses = cloud.addresses(file_id)
        assert addresses.best_m3u8 == "http://meta/5.m3u8"
        assert addresses.mp4 == {"2": "http://data/2.mp4"}
        assert cloud.download_address(file_id) == "http://data/2.mp4"
    assert Addresses().best_m3u8 is None


def test_deleting_takes_only_what_is_named(fake: FakeCloud, tmp_path: Path) -> None:
    ids = upload_many(fake, tmp_path, 4)
    with client(fake) as cloud:
        cloud.delete(ids[0])
        cloud.delete(ids[1:3])
        assert [video.file_id for video in cloud.videos()] == ids[3:]
        cloud.delete([])
        assert cloud.count() == 1


def test_many_ids_go_in_several_calls(fake: FakeCloud) -> None:
    with client(fake) as cloud:
        cloud.delete(f"{number:032x}" for number in range(250))
    calls = [each.query["file_ids"].count(",") + 1 for each in fake.seen if each.call == "delete"]
    assert calls == [100, 100, 50]


def test_deleting_everything_must_be_meant(fake: FakeCloud, tmp_path: Path) -> None:
    upload_many(fake, tmp_path, 2)
    with client(fake) as cloud:
        for meant in (False, 1, "yes"):
            with pytest.raises(ValueError, match="confirm=True"):
                cloud.delete_all(confirm=meant)  # type: ignore[arg-type]
        assert cloud.count() == 2
        cloud.delete_all(confirm=True)
        assert cloud.count() == 0


def test_an_upload_can_be_cancelled(fake: FakeCloud, film: Path) -> None:
    with client(fake) as cloud:
        fake.fail("uploadfinish", "Q00001", 3)
        with pytest.raises(FailedError):
            cloud.upload(film)
        [file_id] = fake.files
        assert cloud.status(file_id).state is State.UPLOADING
        cloud.cancel(file_id)
        assert cloud.status(file_id).state is State.CANCELLED
        with pytest.raises(UploadCancelledError):
            cloud.wait(file_id)
        with pytest.raises(UnknownFileError):
            cloud.cancel("0" * 32)


# --- codes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "code", "kind"),
    [
        ("openupload", "A00005", AppPendingError),
        ("openupload", "A00007", AppRejectedError),
        ("openupload", "A00008", AppFrozenError),
        ("openupload", "A00009", AppDeletedError),
        ("openupload", "A00010", InvalidInputError),
        ("openupload", "A00018", QuotaExceededError),
        ("upload", "A00005", UnknownFileError),
        ("upload", "A00010", InvalidInputError),
        ("uploadfinish", "A00005", UnknownFileError),
        ("authorize", "A00007", ServerFailureError),
        ("fullStatus", "A00007", PublishingFailedError),
        ("urllist", "A00003", VideoNotFoundError),
        ("videoListForExternal", "A21327", TokenExpiredError),
        ("delete", "Q00001", FailedError),
        ("delete", "X12345", ApiError),
    ],
)
def test_a_code_means_what_its_call_means(call: str, code: str, kind: type[ApiError]) -> None:
    error = error_for(code, call=call, message="why")
    assert type(error) is kind
    assert (error.code, error.call, error.message) == (code, call, "why")
    assert str(error).startswith(f"{call}: {code}, ")
    assert "why" in str(error)


def test_every_error_class_is_exported_and_means_something() -> None:
    import openstage.client as package  # noqa: PLC0415

    kinds = [kind for kind in vars(all_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 30
    for kind in kinds:
        assert getattr(package, kind.__name__) is kind
        assert kind.__name__ in package.__all__
        assert kind.__doc__
    meanings = [kind.meaning for kind in kinds if issubclass(kind, ApiError) and not kind.__subclasses__()]
    assert len(set(meanings)) == len(meanings)


def test_replies_of_a_server_that_tells_less_than_it_should() -> None:
    for reply in ({"code": "A00000"}, {"code": "A00000", "data": []}, {"code": "A00000", "data": {"urllist": 5}}):
        assert Status.parse("f", reply).state is State.PUBLISHED
    entries: list[dict[str, Any]] = [{}, {"createTime": "soon", "fileStatus": None, "duration": []}, {"fileStatus": 99}]
    for entry in entries:
        assert Video.parse(entry).state is State.UNKNOWN


def test_the_documents_own_example_is_read() -> None:
    entry: dict[str, Any] = json.loads(
        """{"fileId": "903875148f0c420481ec09f757b23599", "fileName": "meipai001", "createTime": 1364191124,
        "description": "百度美拍上传的第一个视频", "fileSize": 0, "fileStatus": 2, "playCount": 24, "duration": 10,
        "img": " http://pic7.qiyipic.com/thumb/20130426/v492995.jpg",
        "originalImg": "http://img5.qiyipic.com/image/openapi/openapi_4901611c0c588501efe9b0fed050f1ed_352x256.jpg",
        "thumbnail": "", "pageUrl": "http://www.iqiyi.com/common/qplay.html?cnid=23&tvid=537215"}"""
    )
    video = Video.parse(entry)
    assert (video.title, video.play_count, video.duration) == ("meipai001", 24, 10)
    assert video.image == "http://pic7.qiyipic.com/thumb/20130426/v492995.jpg"


def test_ranges() -> None:
    assert missing([], 10) == [(0, 10)]
    assert missing([(2, 4), (3, 6), (8, 20)], 10) == [(0, 2), (6, 8)]
    assert missing([(0, 10)], 10) == []
    assert list(cut([(0, 5), (7, 8)], 2)) == [(0, 2), (2, 4), (4, 5), (7, 8)]
