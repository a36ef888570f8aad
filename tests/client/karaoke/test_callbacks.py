"""Callbacks as receivers check them, signed by the server's own code."""

import datetime as dt
import json
import time

import pytest
from standardwebhooks import Webhook

from openstage.client.karaoke import CallbackError, SignatureError, StaleError, callback_secret, verify_callback
from openstage.events import signing

APP_SECRET = "0123456789abcdef0123456789abcdef"
SECRET = callback_secret(APP_SECRET)
DATA = {"ugc_id": "67959b", "sequence": 3, "song_name": "七里香"}
BODY = json.dumps({"type": "ugc.published", "timestamp": "2026-11-21T16:30:00Z", "data": DATA}, ensure_ascii=False)
NOW = dt.datetime(2026, 11, 21, 16, 30, 1, tzinfo=dt.UTC)


def signed(*secrets: str, body: str = BODY, at: dt.datetime = NOW) -> dict[str, str]:
    """Headers of a delivery as the server makes them."""
    return signing.headers("evt_1", body, at, secrets or (SECRET,))


def test_the_secret_is_the_servers() -> None:
    assert callback_secret(APP_SECRET) == signing.callback_secret(APP_SECRET)


def test_what_the_server_signs_is_an_event() -> None:
    event = verify_callback(SECRET, signed(), BODY.encode(), now=NOW.timestamp())
    assert (event.id, event.type, event.ugc_id, event.sequence) == ("evt_1", "ugc.published", "67959b", 3)
    assert event.time == dt.datetime(2026, 11, 21, 16, 30, tzinfo=dt.UTC)
    assert event.data == DATA
    shouted = {name.upper(): value for name, value in signed().items()}
    assert verify_callback(SECRET, shouted, BODY, now=NOW.timestamp()) == event


def test_while_a_secret_is_replaced_either_one_verifies() -> None:
    old, new = callback_secret("old"), callback_secret("new")
    headers = signed(old, new)
    for secret in (old, new):
        assert verify_callback(secret, headers, BODY, now=NOW.timestamp()).id == "evt_1"
    headers["webhook-signature"] += " v1a,AAAA v1,% v2"
    assert verify_callback(new, headers, BODY, now=NOW.timestamp()).id == "evt_1"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "evt_2"},
        {"webhook-timestamp": "1795278602"},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1," + "A" * 43 + "="},
        {"webhook-id": None},
        {"webhook-timestamp": None},
        {"webhook-signature": None},
    ],
)
def test_changed_or_missing_headers_are_refused(change: dict[str, str | None]) -> None:
    headers = {name: value for name, value in {**signed(), **change}.items() if value is not None}
    with pytest.raises(SignatureError):
        verify_callback(SECRET, headers, BODY, now=NOW.timestamp())


def test_another_body_or_secret_is_refused() -> None:
    for secret, body in ((SECRET, BODY.replace("published", "deleted")), (callback_secret("other"), BODY)):
        with pytest.raises(SignatureError):
            verify_callback(secret, signed(), body, now=NOW.timestamp())


@pytest.mark.parametrize(("off", "stale"), [(-301, True), (-299, False), (299, False), (301, True)])
def test_what_is_too_old_or_from_the_future_is_refused(off: float, stale: bool) -> None:
    now = NOW.timestamp() + off
    if stale:
        with pytest.raises(StaleError):
            verify_callback(SECRET, signed(), BODY, now=now)
    verify_callback(SECRET, signed(), BODY, now=now, tolerance=302)
    if not stale:
        assert verify_callback(SECRET, signed(), BODY, now=now).id == "evt_1"


def test_the_clock_is_this_machines_unless_told() -> None:
    at = dt.datetime.now(dt.UTC)
    assert verify_callback(SECRET, signed(at=at), BODY).id == "evt_1"
    with pytest.raises(StaleError):
        verify_callback(SECRET, signed(at=at - dt.timedelta(hours=1)), BODY)


@pytest.mark.parametrize("body", ["", "[]", "{", '{"type": 1, "data": {}}', '{"type": "x", "data": []}', '"x"'])
def test_signed_nonsense_is_no_event(body: str) -> None:
    stamp = dt.datetime.fromtimestamp(int(time.time()), dt.UTC)
    headers = {
        "webhook-id": "e",
        "webhook-timestamp": str(int(stamp.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("e", stamp, body),
    }
    with pytest.raises(CallbackError):
        verify_callback(SECRET, headers, body)


def test_a_secret_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_callback("whsec_%%%", signed(), BODY)
