"""Whatever is sent: the documented envelope with a code, HTTP 200, and nothing bought."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openstage.dialects.music.errors import CODES, FAILED
from tests.licensing.shelf import Item
from tests.support.music import FORM, App, MusicServer, code_of, data_of, failure_of, signed

CALLS = {
    "categories": "GET",
    "search": "GET",
    "detail": "GET",
    "purchase": "POST",
    "my-purchases": "GET",
    "purchase-detail": "GET",
    "download-warrant": "GET",
    "purchase-download": "GET",
}
HUGE = "9" * 30


@pytest.fixture(scope="module")
async def item(music: MusicServer) -> Item:
    return await music.item()


@pytest.fixture(scope="module")
async def own(music: MusicServer) -> App:
    """An app that the tests of this module share: they buy nothing with it."""
    return await music.app()


@pytest.mark.parametrize("value", ["0", "-1", "1", "2.5", "abc", HUGE, "１２", "1 2", "0x10"])
@pytest.mark.parametrize(
    ("call", "name"),
    [("detail", "audio_id")]
    + [(c, "purchase_id") for c in ("purchase-detail", "download-warrant", "purchase-download")],
)
async def test_ids_that_nothing_has(own: App, call: str, name: str, value: str) -> None:
    assert await own.code(call, **{name: value}) in {1002, 1201, 1301}
    assert await own.code(call) == 1002
    assert await own.code(call, **{name: ""}) == 1002


@pytest.mark.parametrize("value", ["-1", "0", "abc", "1.5", HUGE, "NaN"])
@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize("call", ["search", "my-purchases"])
async def test_pages_that_cannot_be(own: App, call: str, name: str, value: str) -> None:
    assert await own.code(call, **{name: value}) == 1002


async def test_pages_that_lie_too_deep(own: App) -> None:
    assert await own.code("search", page=10**9) == 1203
    assert await own.code("my-purchases", page=10**9) == 1002
    assert (await own.get("my-purchases", page=10_000, per_page=10**6))["per_page"] == "100"


@pytest.mark.parametrize(
    "value",
    ["yesterday", "2017-13-01 00:00:00", "2017-02-30", "2017-01-01 25:00:00", "20170101", "01/02/2017",
     "2017-01-01 23:23:23 or 1=1", "２０１７-01-01", "2017-1-1", "-5", "1e9", "0000-00-00 00:00:00"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["begin_at", "end_at", "begin_updated_at", "end_updated_at"])
async def test_dates_in_wrong_forms(own: App, name: str, value: str) -> None:
    fields: dict[str, Any] = {name: value}
    failure = failure_of(await own.reply("my-purchases", **fields))
    assert failure["code"] == 1002
    assert name in failure["message"]
    assert "2017-01-01 23:23:23" in failure["message"]


@pytest.mark.parametrize(
    "fields",
    [{"is_download": 3}, {"is_download": "yes"}, {"status": 9}, {"audio_id": "x"},
     {"begin_at": "2018-01-01", "end_at": "2017-01-01"}],
)  # fmt: skip
async def test_filters_that_cannot_be(own: App, fields: dict[str, Any]) -> None:
    assert await own.code("my-purchases", **fields) == 1002


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"keyword": "(云南"}, 1202), ({"keyword": "a and"}, 1202), ({"keyword": "x" * 10_000}, 1202),
     ({"mood_id": "x"}, 1002), ({"bpm_id": "fast"}, 1002), ({"duration_from": -1}, 1002), ({"is_vhifun": 2}, 1002),
     ({"can_purchase": "true"}, 1002), ({"sort": "price"}, 1002), ({"level_type": HUGE}, 1002)],
)  # fmt: skip
async def test_searches_that_cannot_be(own: App, fields: dict[str, Any], code: int) -> None:
    assert await own.code("search", **fields) == code


@pytest.mark.parametrize("value", [2**31, 2**53 + 1, 2**63 - 1])
async def test_numbers_as_large_as_can_be_break_nothing(own: App, value: int) -> None:
    for name in ("genre_id", "mood_id", "instrument_id", "bpm_id", "duration_from", "duration_to", "level_type"):
        fields: dict[str, Any] = {name: value}
        reply = await own.reply("search", **fields)
        assert reply.json()["result"] or code_of(reply) == 1002, name
    assert await own.code("detail", audio_id=value) == 1201
    assert await own.code("purchase-detail", purchase_id=value) == 1301


@pytest.mark.parametrize(
    ("change", "code"),
    [({"audio_id": 1}, 1201), ({"audio_id": ""}, 1002), ({"audio_id": "1;2"}, 1002), ({"permission_id": 10**9}, 1302),
     ({"permission_id": "-1"}, 1002), ({"warrant_name": ""}, 1002), ({"warrant_name": "　 "}, 1002),
     ({"warrant_name": "x" * 201}, 1002), ({"third_user_id": "x" * 129}, 1002), ({"request_id": "x" * 129}, 1002)],
)  # fmt: skip
async def test_orders_that_cannot_be_made(own: App, item: Item, change: dict[str, Any], code: int) -> None:
    fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": "A", **change}
    assert await own.code("purchase", method="POST", **fields) == code
    assert await own.purchases() == 0


async def test_what_cannot_be_sold_or_paid_is_not_bought(music: MusicServer, app: App, item: Item) -> None:
    unheard, other = await music.item(with_file=False), await music.item(offer="Another offer")
    order: dict[str, Any] = {"warrant_name": "A", "permission_id": item.offer_id}
    assert await app.code("purchase", method="POST", audio_id=unheard.audio_id, **order) == 1303
    assert await app.code("purchase", method="POST", audio_id=other.audio_id, **order) == 1302
    await music.shop.billing.set_limit(app.customer.client_id, Decimal("20.99"))
    failure = failure_of(await app.reply("purchase", method="POST", audio_id=item.audio_id, **order))
    assert failure["code"] == 1304
    assert "0.00 of 20.99 CNY" in failure["message"]
    assert await app.purchases() == 0


async def test_purchases_of_another_app(music: MusicServer, app: App, item: Item) -> None:
    bought, stranger = await app.buy(item), await music.app()
    for call in ("purchase-detail", "download-warrant", "purchase-download"):
        assert await stranger.code(call, purchase_id=bought["id"]) == 1301
    assert (await stranger.get("my-purchases"))["total"] == 0


async def test_refunded_purchases_deliver_nothing_more(music: MusicServer, app: App, item: Item) -> None:
    bought = await app.buy(item, request_id="1")
    await music.shop.licensing.refund(bought["id"], "a mistake")
    assert await app.code("purchase-download", purchase_id=bought["id"]) == 1306
    assert await app.code("download-warrant", purchase_id=bought["id"]) == 1306
    assert await app.buy(item, request_id="1") == {"id": bought["id"], "url": ""}
    assert (await app.get("purchase-detail", purchase_id=bought["id"]))["purchase"]["refunded_at"]
    assert (await app.get("my-purchases", status=2))["total"] == 1
    assert (await app.get("my-purchases", status=1))["total"] == 0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_do_nothing(own: App, item: Item, call: str, method: str) -> None:
    if method == CALLS[call]:
        return
    fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": "A", "purchase_id": 1}
    query = signed(fields, own.customer.client_id, own.secret)
    http, path = own.server.http, f"/plus/audio/{call}"
    for target, content in ((f"{path}?{query}", ""), (path, query)):
        reply = await http.request(method, target, content=content, headers=FORM)
        if method == "HEAD":
            assert reply.status_code == 200
        else:
            assert code_of(reply) == 1004
    assert await own.purchases() == 0


async def test_parameters_in_the_wrong_place(app: App, item: Item) -> None:
    fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": "A"}
    query = signed(fields, app.customer.client_id, app.secret)
    http, path = app.server.http, "/plus/audio/purchase"
    assert code_of(await http.post(f"{path}?{query}")) == 1004
    assert code_of(await http.post(f"{path}?audio_id=1", content=query, headers=FORM)) == 1004
    for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
        assert code_of(await http.post(path, content=query, headers={"Content-Type": kind})) == 1004
    # A GET's body is nobody's business.
    assert code_of(await http.request("GET", "/plus/audio/categories", content=query, headers=FORM)) == 1101
    assert await app.purchases() == 0
    assert data_of(await http.post(f"{path}?utm_source=mail", content=query))["id"]  # no Content-Type: a form


@pytest.mark.parametrize("name", ["audio_id", "client_id", "sign", "nonce_str", "warrant_name"])
async def test_parameters_that_stand_twice(app: App, item: Item, name: str) -> None:
    fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": "A"}
    query = signed(fields, app.customer.client_id, app.secret)
    [value] = [part for part in query.split("&") if part.startswith(f"{name}=")]
    for twice in (f"{query}&{value}", f"{name}=&{query}"):
        assert code_of(await app.send("/plus/audio/purchase", twice, method="POST")) == 1003
    assert await app.purchases() == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [("keyword=%ff&client_id=x", 1002), ("&".join(f"a{n}=1" for n in range(300)), 1002), ("client_id=%E4%BA", 1002),
     ("=&&==", 1101), ("%00=%00", 1101)],
)  # fmt: skip
async def test_queries_that_are_none(own: App, query: str, code: int) -> None:
    assert code_of(await own.send("/plus/audio/search", query)) == code
    assert code_of(await own.send("/plus/audio/purchase", query, method="POST")) == code


async def test_bodies_without_end(own: App) -> None:
    assert code_of(await own.send("/plus/audio/purchase", "x" * 300_000, method="POST")) == 1002


@pytest.mark.parametrize("path", ["/plus", "/plus/", "/audio", "/plus/audio/", "/plus/image/search", "/audio/search/x"])
async def test_paths_that_are_no_call(own: App, path: str) -> None:
    for method in ("GET", "POST"):
        assert code_of(await own.server.http.request(method, path)) == 1005
    assert code_of(await own.server.http.get("/plus/audio/search/")) == 1101  # a slash at the end does no harm


def test_codes_are_told_apart_and_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "music-dialect.md").read_text()
    for code in {FAILED, *CODES.values()}:
        assert f"| {code} |" in text


NAMES = st.sampled_from(
    ["keyword", "page", "per_page", "audio_id", "purchase_id", "permission_id", "warrant_name", "begin_at", "end_at",
     "is_download", "genre_id", "bpm_id", "sort", "third_user_id", "request_id", "tags[]", "_"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1", HUGE, "\0", "' or 1=1 --", "(((", "not not", "2017-01-01", "云南", "🎬", "%", "+"]
    ),
    st.text(max_size=20),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(call=st.sampled_from(sorted(CALLS)), fields=st.dictionaries(NAMES, VALUES, max_size=5), sign=st.booleans())
async def test_whatever_is_sent_is_answered_in_the_envelope(
    own: App, call: str, fields: dict[str, str], sign: bool
) -> None:
    sendable = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    query = signed(sendable, own.customer.client_id, own.secret if sign else "another")
    reply = await own.send(f"/plus/audio/{call}", query, method=CALLS[call])
    if sign and reply.json()["result"]:
        assert call in {"categories", "search", "my-purchases"}
    else:
        assert code_of(reply) == 1103 or sign
