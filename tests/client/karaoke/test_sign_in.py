"""Signing in by QR code against a real server, a person's phone included."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from openstage.client import AsyncKaraoke, FileTokenStore, Karaoke, KaraokeUser, Tokens, WaitTimeoutError
from openstage.client.karaoke import (
    BadClientError,
    CodeInvalidError,
    RefreshInvalidError,
    SignInError,
    TicketCancelledError,
    TicketRefusedError,
    TicketState,
    User,
)
from tests.client.karaoke.conftest import FAST
from tests.support.openstage_server import OpenstageServer
from tests.support.phone import Phone
from tests.support.waiting import wait_for


def test_a_device_hears_of_each_step_at_once(karaoke: Karaoke, phone: Phone) -> None:
    ticket = karaoke.ticket(device_name="Living room TV")
    assert ticket.qr_ticket not in ticket.qr_url
    assert ticket.qr_ticket not in repr(ticket)
    seen: list[tuple[TicketState, float]] = []
    acted: list[float] = []

    def person() -> None:
        wait_for(lambda: len(seen) == 1, what="the first state")
        page = phone.open(ticket.qr_url)
        acted.append(time.monotonic())
        assert "Living room TV" in page.text
        assert ticket.user_code in page.text
        wait_for(lambda: len(seen) == 2, what="the page's opening")
        phone.decide(ticket.qr_url)
        acted.append(time.monotonic())

    with ThreadPoolExecutor() as pool:
        deciding = pool.submit(person)
        user = karaoke.sign_in(ticket, timeout=30, on_change=lambda state: seen.append((state, time.monotonic())))
        deciding.result()
    assert [state for state, _ in seen] == [TicketState.WAITING, TicketState.SCANNED, TicketState.CONFIRMED]
    # Heard by long polls: a device that asks every two seconds would be later.
    assert all(heard - done < 1 for (_, heard), done in zip(seen[1:], acted, strict=True))
    assert user.openid
    assert user.unionid
    assert set(user.scope.split()) == {"profile", "works.read", "works.write"}


def test_who_refuses_is_not_signed_in(karaoke: Karaoke, phone: Phone) -> None:
    ticket = karaoke.ticket()
    phone.decide(ticket.qr_url, allow=False)
    with pytest.raises(TicketRefusedError):
        karaoke.wait(ticket, timeout=10)
    assert karaoke.ticket_status(ticket).state is TicketState.REFUSED


def test_waiting_ends_when_told_so(karaoke: Karaoke) -> None:
    ticket, given_up = karaoke.ticket(), threading.Event()
    with pytest.raises(WaitTimeoutError):
        karaoke.wait(ticket, timeout=0.2)
    with pytest.raises(TicketCancelledError):
        karaoke.wait(ticket, on_change=lambda _: given_up.set(), cancelled=given_up.is_set)


def test_a_code_works_once(karaoke: Karaoke, phone: Phone) -> None:
    ticket = karaoke.ticket()
    phone.decide(ticket.qr_url)
    code = karaoke.wait(ticket, timeout=10)
    karaoke.redeem(code)
    with pytest.raises(CodeInvalidError) as caught:
        karaoke.redeem(code)
    assert code not in str(caught.value)


async def test_a_device_needs_no_secret(
    openstage: OpenstageServer, credentials: tuple[str, str], karaoke: Karaoke, phone: Phone
) -> None:
    appid, _ = credentials
    app_tokens = karaoke.app_tokens()
    async with AsyncKaraoke(appid, "", openstage.address, app_tokens=app_tokens, retry=FAST) as device:
        ticket = await device.ticket()
        phone.decide(ticket.qr_url)
        code = await device.wait(ticket, timeout=10)
        tokens = karaoke.redeem(code).tokens()  # on the app's server
        with pytest.raises(SignInError, match="app's server"):
            await device.redeem(code)
        user = device.user(User("", Tokens(tokens.access_token, tokens.refresh_token, expires_at=0.0)))
        with pytest.raises(SignInError, match="secret"):
            await user.tokens()


def test_a_wrong_secret_has_a_name(openstage: OpenstageServer, credentials: tuple[str, str]) -> None:
    with Karaoke(credentials[0], "not-the-secret", openstage.address, retry=FAST) as karaoke:
        with pytest.raises(BadClientError) as caught:
            karaoke.ticket()
        assert "not-the-secret" not in f"{caught.value}{karaoke!r}"


def test_many_threads_refresh_an_ended_token_once(
    openstage: OpenstageServer, credentials: tuple[str, str], singer: KaraokeUser, tmp_path: Path
) -> None:
    calls: list[str] = []

    def note(request: httpx.Request) -> None:
        calls.append(request.url.path.rpartition("/")[2])

    store = FileTokenStore(tmp_path / "tokens.json")
    old = singer.tokens()
    with (
        httpx.Client(event_hooks={"request": [note]}, timeout=30) as http,
        Karaoke(*credentials, openstage.address, token_store=store, http=http, retry=FAST) as karaoke,
    ):
        ended = Tokens(old.access_token, old.refresh_token, expires_at=0.0)
        user = karaoke.user(User(singer.openid, ended))
        with ThreadPoolExecutor(8) as pool:
            renewed = {tokens.access_token for tokens in pool.map(lambda _: user.tokens(), range(8))}
        assert calls == ["refresh_token"]
        assert len(renewed) == 1
        assert renewed != {old.access_token}
        kept = store.load(next(iter(_entries(store))))
        assert kept is not None
        assert (kept.access_token, kept.refresh_token) == (*renewed, old.refresh_token)
        # A later run of the program knows the user by the openid alone.
        assert Karaoke(*credentials, openstage.address, token_store=store).user(singer.openid).tokens() == kept


def test_a_device_whose_clock_is_off_refreshes_by_the_servers(
    karaoke: Karaoke, singer: KaraokeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstage.client.clock.time", SimpleNamespace(time=lambda: time.time() - 7200))
    old = singer.tokens()
    user = karaoke.user(User(singer.openid, Tokens(old.access_token, old.refresh_token, expires_at=0.0)))
    assert user.tokens().access_token != old.access_token
    user.info()


def test_a_refresh_token_of_nobody_asks_to_sign_in_again(karaoke: Karaoke, singer: KaraokeUser) -> None:
    user = karaoke.user(User(singer.openid, Tokens("2.0", "no-such-token", expires_at=0.0)))
    with pytest.raises(RefreshInvalidError, match="sign in again"):
        user.tokens()
    with pytest.raises(SignInError, match="sign in again"):
        karaoke.user("somebody").tokens()


def _entries(store: FileTokenStore) -> Any:
    return store._entries()
