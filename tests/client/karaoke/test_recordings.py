"""Recordings from upload to deletion against a real server, and what happens when answers get lost."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from openstage.client import (
    AsyncKaraoke,
    FileChangedError,
    Karaoke,
    KaraokeUser,
    OutcomeUnknownError,
    Tokens,
    UnreachableError,
)
from openstage.client.karaoke import (
    Access,
    AddressError,
    FileError,
    InvalidInputError,
    KaraokeError,
    NotPublishedError,
    Performance,
    Progress,
    ScopeMissingError,
    ServerError,
    TokenInvalidError,
    UnknownCallError,
    User,
    UserTokenNeededError,
    WorkNotFoundError,
    callback_secret,
)
from openstage.demo.receiver import Receiver, receiving
from tests.client.karaoke.conftest import FAST
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer

PERFORMANCE = Performance(
    song_id="0025ARRr0HqJLg",
    song_name="七里香",
    song_type=1,
    score=1234,
    score_rank=2,
    content="我用全民k歌唱了一首歌",
    sentence_count=60,
)
SECONDS = 2


@pytest.fixture(scope="session")
def recording() -> Path:
    """A short recording."""
    return make_clip("mp3", None, "mp3", duration=SECONDS)


@pytest.fixture
def receiver(credentials: tuple[str, str]) -> Iterator[Receiver]:
    """The app's own server."""
    with receiving(callback_secret(credentials[1])) as receiver:
        yield receiver


def test_a_recording_from_upload_to_deletion(singer: KaraokeUser, recording: Path) -> None:
    steps: list[Progress] = []
    sent = singer.upload(recording, PERFORMANCE, on_progress=steps.append)
    assert (sent.ugc_id, sent.share_id, sent.file_id, sent.vid).count("") == 0
    assert steps[-1] == Progress(recording.stat().st_size, recording.stat().st_size)
    assert [step.sent for step in steps] == sorted(step.sent for step in steps)
    states: list[str] = []
    work = singer.wait(sent.ugc_id, timeout=60, on_change=lambda work: states.append(work.state))
    assert states[-1] == "published"
    assert (work.song_name, work.content, work.score) == ("七里香", PERFORMANCE.content, 1234)
    assert (work.ugc_id, work.share_id, work.is_own) == (sent.ugc_id, sent.share_id, True)
    assert work.duration == SECONDS
    assert work.created_at is not None
    assert singer.work(share_id=sent.share_id).ugc_id == sent.ugc_id
    assert httpx.get(sent.play_url, follow_redirects=True).status_code == 200
    assert httpx.get(work.share_url).status_code == 200

    singer.set_access(sent.ugc_id, Access.PRIVATE)
    assert singer.work(sent.ugc_id).access is Access.PRIVATE
    assert httpx.get(sent.play_url).status_code == 404
    assert httpx.get(singer.play_address(sent.ugc_id), follow_redirects=True).status_code == 200

    singer.delete(sent.ugc_id)
    with pytest.raises(WorkNotFoundError):
        singer.work(sent.ugc_id)
    with pytest.raises(WorkNotFoundError):
        singer.delete(sent.ugc_id)


async def test_the_same_in_tasks_with_lists_of_several_pages(
    openstage: OpenstageServer, credentials: tuple[str, str], singer: KaraokeUser, recording: Path
) -> None:
    before = {work.ugc_id for work in singer.works()}
    async with AsyncKaraoke(*credentials, openstage.address, retry=FAST) as karaoke:
        user = karaoke.user(User(singer.openid, singer.tokens()))
        sent = [(await user.upload(recording, PERFORMANCE)).ugc_id for _ in range(3)]
        newest = [work.ugc_id async for work in user.works()][:3]
        assert newest == sent[::-1]
        page = await user.page(num=2)
        assert (len(page), page.has_more) == (2, True)
        rest = await user.page(page.passback, num=2)
        assert [work.ugc_id for work in (*page, *rest)][:3] == newest
        info = await user.info()
        assert info.openid == user.openid
        assert info.work_count == len(before) + 3
        await user.wait(sent[0], timeout=60)
        assert sent[0] in {work.ugc_id async for work in user.recommended("0025ARRr0HqJLg")}
        assert [work async for work in user.friends_works()] == []
        assert "七里香" in {song.song_name for song in await user.feature_songs(5)}
        for ugc_id in sent:
            await user.delete(ugc_id)


def test_a_recording_by_link_is_announced_by_a_signed_callback(
    singer: KaraokeUser, recording: Path, receiver: Receiver
) -> None:
    sent = singer.upload_link(receiver.offer(recording), PERFORMANCE, callback_url=receiver.callback_url)
    event = receiver.wait(sent.ugc_id, {"ugc.published", "ugc.failed"}, 60)
    assert (event.type, event.data["share_id"]) == ("ugc.published", sent.share_id)
    assert singer.work(sent.ugc_id).duration == SECONDS
    singer.delete(sent.ugc_id)
    deleted = receiver.wait(sent.ugc_id, {"ugc.deleted"}, 60)
    assert deleted.sequence > event.sequence > 0


def test_what_is_refused_has_a_name(
    singer: KaraokeUser, karaoke: Karaoke, tmp_path: Path, recording: Path, receiver: Receiver
) -> None:
    before = [work.ugc_id for work in singer.works()]
    (tmp_path / "song.mp3").write_text("no sound at all\n" * 500)
    with pytest.raises(FileError):
        singer.upload(tmp_path / "song.mp3")
    with pytest.raises(InvalidInputError, match="segment"):
        singer.upload(recording, Performance(is_segment=True, segment_start=5, segment_end=4))
    with pytest.raises(AddressError):
        singer.upload_link("http://169.254.169.254/latest/meta-data")
    stranger = karaoke.user(User("", karaoke.app_tokens()))
    with pytest.raises(UserTokenNeededError):
        stranger.page()
    assert [work.ugc_id for work in singer.works()] == before  # nothing of it is kept
    missing = singer.upload_link(f"{receiver.address}/nothing.mp3")
    with pytest.raises(NotPublishedError, match="404"):
        singer.wait(missing.ugc_id, timeout=60)


def test_a_file_that_changes_while_it_is_sent_is_not_stored(singer: KaraokeUser, tmp_path: Path) -> None:
    path = tmp_path / "growing.wav"
    path.write_bytes(make_clip("wav", None, "pcm", duration=20).read_bytes())
    before = [work.ugc_id for work in singer.works()]

    def scribble(progress: Progress) -> None:
        if progress.sent == 0:
            with path.open("r+b") as file:
                file.seek(-1000, 2)
                file.write(b"scribbled")

    with pytest.raises(FileChangedError):
        singer.upload(path, on_progress=scribble)
    assert [work.ugc_id for work in singer.works()] == before


def test_a_token_that_was_replaced_elsewhere_is_refreshed_in_the_middle(
    karaoke: Karaoke, singer: KaraokeUser, recording: Path
) -> None:
    tokens = singer.tokens()
    twin = karaoke.user(User(singer.openid, Tokens(tokens.access_token, tokens.refresh_token, expires_at=0.0)))
    assert twin.tokens().access_token != tokens.access_token  # which has ended by that
    sent = singer.upload(recording)
    singer.delete(sent.ugc_id)


# --- lost answers, against a transport that loses them ----------------------------------------------------------------


class Flaky:
    """Answers as a server does, but for what is in its script."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.calls: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.url.path.rpartition("/")[2])
        step = self.script.pop(0) if self.script else {"code": 0, "msg": "", "data": {"ugc_id": "u"}}
        if step == "connect":
            raise httpx.ConnectError("refused", request=request)
        request.read()
        if step == "lost":
            raise httpx.ReadError("reset", request=request)
        if isinstance(step, int):
            return httpx.Response(step, text="<html>")
        return httpx.Response(200, json=step)


def user_of(flaky: Flaky) -> KaraokeUser:
    http = httpx.Client(transport=httpx.MockTransport(flaky))
    karaoke = Karaoke("app", "s3cret", "http://k.example", http=http, retry=FAST)
    return karaoke.user(User("openid", Tokens("token-of-user", "refresh-of-user")))


def test_an_upload_is_sent_again_only_if_it_can_not_have_arrived(recording: Path) -> None:
    again = Flaky("connect", 503, 429)
    assert user_of(again).upload(recording).ugc_id == "u"
    assert len(again.calls) == 4
    for step in ("lost", 502, 500):
        lost = Flaky(step)
        with pytest.raises(OutcomeUnknownError):
            user_of(lost).upload(recording)
        assert len(lost.calls) == 1


def test_what_is_safe_to_repeat_is_repeated() -> None:
    lost = Flaky("lost", 502, "connect")
    user_of(lost).set_access("u", Access.FRIENDS)
    assert lost.calls == ["set_ugc_access"] * 4
    dead = Flaky(*["connect"] * 9)
    with pytest.raises(UnreachableError):
        user_of(dead).page()
    assert len(dead.calls) == FAST.attempts
    passing = Flaky({"code": 1901, "msg": "database away"}, {"code": 1901, "msg": "database away"})
    user_of(passing).delete("u")
    with pytest.raises(ServerError):
        user_of(Flaky({"code": 1901, "msg": ""})).upload_link("http://x.example/a.mp3")


def test_an_ended_token_is_refreshed_once_and_the_call_made_again() -> None:
    renewed = {"access_token": "new", "expires_in": 60, "error_code": 0, "error_msg": ""}
    flaky = Flaky({"code": 1103, "msg": "expired"}, renewed)
    user_of(flaky).delete("u")
    assert flaky.calls == ["del_user_work", "refresh_token", "del_user_work"]
    stubborn = Flaky({"code": 1102, "msg": "?"}, renewed, {"code": 1102, "msg": "?"})
    with pytest.raises(TokenInvalidError):
        user_of(stubborn).delete("u")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(1005, UnknownCallError), (1107, ScopeMissingError), (1299, FileError), (1499, AddressError), (77, KaraokeError)],
)
def test_codes_are_errors_that_show_no_secret(code: int, kind: type[KaraokeError]) -> None:
    with pytest.raises(kind) as caught:
        user_of(Flaky({"code": code, "msg": "no: token-of-user"})).page()
    assert caught.value.code == code
    assert type(caught.value) is kind
    assert "token-of-user" not in repr(caught.value) + str(caught.value)


def test_a_server_without_long_polls_is_asked_again() -> None:
    states = [0, 0, 1, 2]
    asked: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("light_qr"):
            return httpx.Response(
                200, json={"qr_ticket": "t", "qr_url": "http://q", "interval": 0.01, "expires_in": 9, "error_code": 0}
            )
        asked.append(json.loads(request.read()))
        return httpx.Response(200, json={"status": str(states[len(asked) - 1]), "code": "c", "error_code": "0"})

    karaoke = Karaoke("app", "s3cret", "http://k.example", http=httpx.Client(transport=httpx.MockTransport(server)))
    assert karaoke.wait(karaoke.ticket(), timeout=5, cancelled=threading.Event().is_set) == "c"
    assert len(asked) == 4
    assert "wait" not in asked[0]
