"""Who may call: each check that fails says which it was; what was signed is what is done, and done once."""

import asyncio
import json
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.licensing.shelf import Item
from tests.support.music import App, MusicServer, code_of, data_of, failure_of, signed, with_sign
from tests.support.waiting import wait_until

VECTORS = json.loads((Path(__file__).parents[3] / "docs" / "signing-vectors.json").read_text())["cases"]


@pytest.fixture(scope="module")
async def item(music: MusicServer) -> Item:
    return await music.item()


async def test_an_unknown_client_is_told(music: MusicServer, app: App) -> None:
    now = int(time.time())
    for query in ("", "client_id=", f"client_id=nobody&nonce_str={now}&sign=x", "client_id=%00&sign=x"):
        assert code_of(await app.send("/plus/audio/categories", query)) == 1101
    assert (await app.reply("categories")).json()["result"] is True
    await music.shop.apps.set_state(app.customer.client_id, "deleted")
    assert await app.code("my-purchases") == 1101
    await refused(app, 1101)


@pytest.mark.parametrize("off", [-590, 590])
async def test_clocks_may_differ_by_ten_minutes(app: App, off: int) -> None:
    assert (await app.reply("categories", nonce=int(time.time()) + off)).json()["result"] is True


@pytest.mark.parametrize(("off", "told"), [(-3600, "behind the server's clock"), (1000, "ahead of the server's clock")])
async def test_a_clock_that_is_off_is_told_by_how_much(app: App, off: int, told: str) -> None:
    now = int(time.time())
    failure = failure_of(await app.reply("categories", nonce=now + off))
    assert failure["code"] == 1102
    assert told in failure["message"]
    assert any(str(abs(off) + slip) in failure["message"] for slip in (-1, 0, 1, 2))
    assert any(str(now + slip) in failure["message"] for slip in range(5)), "the server's time"


@pytest.mark.parametrize("nonce", ["", "abc", "1e9", "-5", "17321", "1732204800000", "9" * 40, "１７３２２０４８００"])
async def test_a_nonce_that_is_no_time_is_told(app: App, nonce: str) -> None:
    query = signed({}, app.customer.client_id, app.secret, nonce=nonce)
    assert code_of(await app.send("/plus/audio/categories", query)) == 1102


async def test_a_wrong_signature_is_told_with_the_string_that_the_server_signed(app: App) -> None:
    now, client = int(time.time()), app.customer.client_id
    query = f"keyword=%E4%BA%91+%E5%8D%97&client_id={client}&nonce_str={now}&mood_id="
    failure = failure_of(await app.send("/plus/audio/search", f"{query}&sign=0123"))
    assert failure["code"] == 1103
    string = f"client_id={client}&keyword=%E4%BA%91+%E5%8D%97&mood_id=&nonce_str={now}&client_secret="
    assert string in failure["message"]
    assert app.secret not in failure["message"]
    assert "'0123'" in failure["message"]
    right = with_sign(string.removesuffix("&client_secret="), app.secret)[-37:]
    assert data_of(await app.send("/plus/audio/categories", f"{query}&{right}"))
    assert "sign is missing" in failure_of(await app.send("/plus/audio/search", query))["message"]


async def test_a_signature_over_other_parameters_than_those_sent_is_refused(app: App, item: Item) -> None:
    fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": "A"}
    query = signed(fields, app.customer.client_id, app.secret)
    for change in (
        ("warrant_name=A", "warrant_name=B"),
        ("warrant_name=A", "warrant_name=A&request_id=1"),
        ("&warrant_name=A", ""),
    ):
        assert code_of(await app.send("/plus/audio/purchase", query.replace(*change), method="POST")) == 1103
    assert await app.purchases() == 0


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
async def test_every_reading_is_taken_over_the_wire(app: App, case: dict[str, dict[str, str]]) -> None:
    extra = {name: value for name, value in case["parameters"].items() if name not in {"client_id", "nonce_str"}}
    fields = {**extra, "client_id": app.customer.client_id, "nonce_str": str(int(time.time()))}
    sent = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in fields.items())
    encoders = {"form": quote_plus, "address": lambda text: quote(text, safe=""), "raw": str}
    for encode in encoders.values():
        string = "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(fields.items()))  # type: ignore[operator]
        sign = with_sign(string, app.secret)[-32:]
        reply = await app.send("/plus/audio/categories", f"{sent}&sign={sign}")
        assert reply.json()["result"] is True, reply.text


async def test_a_raw_string_that_could_stand_for_something_else_buys_nothing(app: App, item: Item) -> None:
    now = int(time.time())
    string = (
        f"audio_id={item.audio_id}&client_id={app.customer.client_id}&nonce_str={now}"
        f"&permission_id={item.offer_id}&warrant_name=甲&乙"
    )
    sign = with_sign(string, app.secret)[-32:]
    form = string.replace("甲&乙", quote("甲&乙", safe="")) + f"&sign={sign}"
    assert code_of(await app.send("/plus/audio/purchase", form, method="POST")) == 1104
    assert await app.purchases() == 0
    assert (await app.buy(item, "甲&乙"))["id"]  # encoded, it stands for one thing


@pytest.mark.parametrize("state", ["pending", "rejected", "frozen"])
async def test_an_app_that_is_not_approved_is_told_so_if_it_signs(music: MusicServer, app: App, state: str) -> None:
    await music.shop.apps.set_state(app.customer.client_id, state)  # type: ignore[arg-type]
    assert await app.code("categories") == 1105
    app.secret = "another"
    assert await app.code("categories") == 1103


async def test_a_frozen_app_buys_nothing_and_soon_sees_nothing(music: MusicServer, app: App, item: Item) -> None:
    assert (await app.reply("categories")).json()["result"] is True
    await music.shop.apps.set_state(app.customer.client_id, "frozen")
    fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": "A"}
    assert await app.code("purchase", method="POST", **fields) == 1105
    assert await app.code("my-purchases") == 1105
    await refused(app, 1105)


async def refused(app: App, code: int) -> None:
    """Wait until the catalogue is closed to an app: it may have been seen as it was for half a second."""

    async def is_refused() -> bool:
        reply = await app.reply("categories")
        return not reply.json()["result"] and code_of(reply) == code

    await wait_until(is_refused, within=5, what="the end of what was looked up before")


async def test_the_old_secret_signs_for_a_while_after_a_rotation(music: MusicServer, app: App) -> None:
    rotated = await music.shop.apps.rotate_secret(app.customer.client_id)
    assert (await app.reply("categories")).json()["result"] is True
    app.secret = rotated.client_secret
    assert (await app.reply("categories")).json()["result"] is True


async def test_a_replayed_purchase_answers_with_the_first_one(app: App, item: Item) -> None:
    fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": "A B+C"}
    query = signed(fields, app.customer.client_id, app.secret)
    replies = await asyncio.gather(
        *(app.send(path, query, method="POST") for path in ("/plus/audio/purchase", "/audio/purchase") * 4)
    )
    assert len({data_of(reply)["id"] for reply in replies}) == 1
    later = await app.buy(item, "A B+C")  # a fresh nonce, after a time-out
    assert later["id"] == data_of(replies[0])["id"]
    assert await app.purchases() == 1
    [bought] = (await app.get("my-purchases"))["list"]
    assert bought["warrant_name"] == "A B+C"


async def test_a_request_id_buys_once_for_good(app: App, item: Item) -> None:
    first = await app.buy(item, request_id="订单 1")
    assert (await app.buy(item, request_id="订单 1"))["id"] == first["id"]
    assert (await app.buy(item, request_id="订单 2"))["id"] != first["id"]
    reply = await app.reply(
        "purchase", method="POST", audio_id=item.audio_id, permission_id=item.offer_id, warrant_name="B",
        request_id="订单 1",
    )  # fmt: skip
    assert code_of(reply) == 1305
    assert await app.purchases() == 2
