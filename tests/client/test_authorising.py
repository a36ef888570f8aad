"""The client gets tokens, keeps them good, and shows them to nobody."""

import asyncio
import logging
import math
import pickle
import stat
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openstage.client import (
    ApiError,
    App,
    AsyncVideoCloud,
    BadClientError,
    Enterprise,
    FileTokenStore,
    InvalidGrantError,
    Partner,
    Person,
    TokenExpiredError,
    TokenInvalidError,
    Tokens,
    VideoCloud,
)
from openstage.client.video.credentials import Grant
from tests.client.conftest import async_client, client
from tests.client.fake_cloud import FakeCloud


@pytest.mark.parametrize(
    ("grant", "user"),
    [
        (App(), "iqiyi:"),
        (Enterprise(), "enterprise:"),
        (Person("爱丽丝 & co"), "person:爱丽丝 & co"),
        (Partner("42", nick="小明"), "baidu:42小明"),
    ],
)
def test_an_app_speaks_for_itself_or_for_others(grant: Grant, user: str, fake: FakeCloud) -> None:
    with client(fake, grant=grant) as cloud:
        tokens = cloud.authorise()
    assert fake.tokens[tokens.access_token][1] == user


def test_one_token_serves_all_calls(fake: FakeCloud) -> None:
    with client(fake) as cloud:
        for _ in range(3):
            cloud.count()
    assert fake.calls() == {"authorize": 1, "count": 3}


def test_a_token_is_refreshed_before_it_ends(fake: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with client(fake) as cloud:
        cloud.count()
        now = time.time()
        monkeypatch.setattr("openstage.client.tokens.time.time", lambda: now + fake.life - 30)
        cloud.count()
    assert fake.calls() == {"authorize": 1, "count": 2, "token": 1}


def test_an_expired_token_is_refreshed_and_the_call_made_again(fake: FakeCloud) -> None:
    with client(fake) as cloud:
        cloud.count()
        fake.expire_tokens()
        assert cloud.count() == 0
    assert fake.calls() == {"authorize": 1, "count": 3, "token": 1}


def test_an_app_authorises_anew_when_nothing_is_left_to_refresh(fake: FakeCloud) -> None:
    with client(fake) as cloud:
        cloud.count()
        fake.tokens.clear()
        fake.refresh_tokens.clear()
        cloud.count()
    assert fake.calls() == {"authorize": 2, "count": 3, "token": 1}


def test_a_token_that_is_refused_twice_is_an_error(fake: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "issue", lambda user: {"access_token": "2.0", "expires_in": 60, "refresh_token": "r"})
    with client(fake) as cloud, pytest.raises(TokenInvalidError, match="A21332"):
        cloud.count()
    assert fake.calls()["count"] == 2


def test_many_threads_renew_once(fake: FakeCloud) -> None:
    with client(fake) as cloud, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cloud.count(), range(16)))
        fake.expire_tokens()
        list(pool.map(lambda _: cloud.count(), range(16)))
    assert (fake.calls()["authorize"], fake.calls()["token"]) == (1, 1)


async def test_many_tasks_renew_once(fake: FakeCloud) -> None:
    async with async_client(fake) as cloud:
        await asyncio.gather(*(cloud.count() for _ in range(16)))
        fake.expire_tokens()
        await asyncio.gather(*(cloud.count() for _ in range(16)))
    assert (fake.calls()["authorize"], fake.calls()["token"]) == (1, 1)


def test_tokens_can_be_given(fake: FakeCloud) -> None:
    given = fake.issue("iqiyi:somebody")
    tokens = Tokens(given["access_token"], given["refresh_token"])
    with VideoCloud("app", base_url=fake.address, tokens=tokens) as cloud:
        cloud.count()
        assert fake.calls() == {"count": 1}
        fake.expire_tokens()
        cloud.count()
        fake.expire_tokens()
        fake.refresh_tokens.clear()
        with pytest.raises(InvalidGrantError):
            cloud.count()


def test_a_lone_access_token_ends_with_a_clear_error(fake: FakeCloud) -> None:
    tokens = Tokens(fake.issue("iqiyi:somebody")["access_token"])
    with VideoCloud(base_url=fake.address, tokens=tokens) as cloud:
        cloud.count()
        fake.expire_tokens()
        with pytest.raises(TokenExpiredError, match="no client_secret"):
            cloud.count()


def test_a_store_keeps_tokens_between_runs(fake: FakeCloud, tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "new folder" / "tokens.json")
    for _ in range(2):
        with client(fake, token_store=store) as cloud:
            cloud.count()
    with client(fake, token_store=store, grant=Person("alice")) as cloud:
        cloud.count()
    assert fake.calls() == {"authorize": 2, "count": 3}
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    store.path.write_text('{"torn')
    with client(fake, token_store=store) as cloud:
        cloud.count()


def test_processes_that_share_a_store_do_not_use_a_refresh_token_twice(fake: FakeCloud, tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "tokens.json")
    with client(fake, token_store=store) as one, client(fake, token_store=store) as other:
        one.count()
        other.count()
        fake.expire_tokens()
        one.count()
        other.count()
    assert (fake.calls()["authorize"], fake.calls()["token"]) == (1, 1)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://host", "http://", "https:///path"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        VideoCloud("a", "b", url)


def test_without_credentials_there_is_no_client() -> None:
    for given in ((), ("id",), ("", "secret")):
        with pytest.raises(ValueError, match="needed"):
            VideoCloud(*given)


def test_roles_can_have_hosts_of_their_own(fake: FakeCloud, fake_with_status: FakeCloud, film: Path) -> None:
    fake.files = fake_with_status.files
    fake.tokens = fake_with_status.tokens
    api, upload = fake.address + "/", fake_with_status.address
    with VideoCloud("app", "s3cret-of-app", "http://127.0.0.1:9", api_url=api, upload_url=upload) as cloud:
        cloud.upload(film)
    assert set(fake.calls()) == {"authorize", "info"}
    assert set(fake_with_status.calls()) == {"openupload", "upload", "uploadfinish"}


def test_the_documented_hosts_are_a_preset() -> None:
    for kind in (VideoCloud, AsyncVideoCloud):
        shown = repr(kind.documented("id", "hidden"))
        assert shown == f"{kind.__name__}('id' at https://openapi.iqiyi.com, http://upload.iqiyi.com)"


# --- secrets ------------------------------------------------------------------------------------------------------


def test_secrets_are_in_no_log(fake: FakeCloud, film: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpx")  # commands that other tests have run in this process turn it down
    with client(fake) as cloud:
        cloud.upload(film)
        fake.expire_tokens()
        cloud.count()
    assert "HTTP Request: GET" in caplog.text  # httpx has logged the addresses
    assert "access_token=REDACTED" in caplog.text
    for secret in ["s3cret-of-app", *fake.tokens, *fake.refresh_tokens]:
        assert secret not in caplog.text


def test_secrets_are_in_no_error(fake: FakeCloud) -> None:
    with VideoCloud("app", "wr0ng-secret", fake.address) as cloud, pytest.raises(BadClientError) as caught:
        cloud.count()
    assert "wrong secret REDACTED" in str(caught.value)  # the server had said it aloud
    given = Tokens("2.stolen", "refresh-stolen")
    with VideoCloud("app", "s3cret-of-app", fake.address, tokens=given) as cloud:
        fake.apps.clear()
        with pytest.raises(BadClientError) as refused:
            cloud.count()
    for error in (caught.value, refused.value):
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert not any(secret in shown for secret in ("wr0ng-secret", "s3cret-of-app", "2.stolen", "refresh-stolen"))


def test_secrets_are_in_no_repr() -> None:
    tokens = Tokens("2.hidden", "hidden too", 5.0)
    cloud: Any = VideoCloud("id", "hidden", tokens=tokens)
    for thing in (cloud, tokens, cloud._inner, cloud._inner._api.credentials):
        assert "hidden" not in repr(thing)
    assert repr(tokens) == "Tokens(expires_at=5.0)"
    assert Tokens("x").expires_at == math.inf


def test_errors_cross_processes(fake: FakeCloud) -> None:
    with VideoCloud("app", "wrong", fake.address) as cloud, pytest.raises(ApiError) as caught:
        cloud.count()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.code) == (BadClientError, str(caught.value), "A21324")
