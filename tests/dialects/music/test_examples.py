"""Each reply example of the document, with the same things in the catalogue: field for field, value for value.

Addresses differ, of course; what we add stands behind the documented fields and is named here.
"""

import json
from typing import Any

import pytest

from tests.licensing.shelf import Item, add_item
from tests.support.music import App, MusicServer, code_of, data_of
from tests.support.waiting import wait_until

ADDRESS = "…"
"""Stands for any address of ours."""

TRACK = {
    "id": 505947,
    "title": "Beginner's Luck",
    "bpm": 95,
    "preview_mp3_url": ADDRESS,
    "waveform_url": ADDRESS,
    "origin_waveform_url": ADDRESS,
    "artist": "Z01803360",
    "duration": 28,
    "description": "",
    "genres": [],
    "moods": [],
    "instruments": [{"id": 80, "name": "小提琴"}, {"id": 81, "name": "大提琴"}],
}
AUDIO = {
    "type": "签约供应商",
    **TRACK,
    "instruments": [
        {"id": 80, "name": "小提琴"},
        {"id": 81, "name": "大提琴"},
        {"id": 612, "name": "巴松管"},
    ],
}
CATEGORIES = {
    "genres": [{"id": 1354, "name": "现代交响"}, {"id": 1356, "name": "中国民族"}],
    "moods": [{"id": 1350, "name": "宽广/磅礴"}, {"id": 1351, "name": "戏剧的"}],
    "instruments": [{"id": 1353, "name": "弦乐组"}, {"id": 1391, "name": "中国民族乐器"}],
    "bpms": [
        {"id": 1, "name": "非常慢(0-60 bpm)"},
        {"id": 2, "name": "缓慢(60-100 bpm)"},
        {"id": 3, "name": "适中(100-120 bpm)"},
        {"id": 4, "name": "充满活力(120-140 bpm)"},
        {"id": 5, "name": "快速(140-160 bpm)"},
        {"id": 6, "name": "非常快(160-400 bpm)"},
    ],
}
PERMISSION = {"id": 35, "name": "SSTK音乐-全媒体", "price": "21.00", "type": "all", "duration": "00:02:00", "bpm": 120}
PURCHASED = {
    "id": 178,
    "plus_user": {"id": 14949528, "name": "didi"},
    "real_plus_user": {"id": 14949528, "name": "didi"},
    "third_user_id": "",
    "plus_permission": {"id": 33, "name": "HD"},
    "able_id": 8126014,
    "able_type": "audio",
    "asset_type": "mp3",  # the document sells pictures too: `hd`
    "warrant_name": "广州汽车集团股份有限公司",
    "download_at": "2016-08-29 17:09:02",
    "created_at": "2016-08-29 16:41:47",
}
PURCHASE = {
    "id": 1,
    "permission_id": 27,
    "permission_name": "xxxxx",
    "plus_user_id": 14627888,
    "real_plus_user_id": 14627888,
    "price": "812.50",
    "asset_type": "mp3",  # the document's is of a picture
    "warrant_name": "测试",
    "fileSize": "11.5MB",
    "created_at": "2016-06-24 09:24:33",
}


def without_addresses(value: Any) -> Any:
    """The same, with `…` for each address; fields stay in their order."""
    if isinstance(value, dict):
        return {name: without_addresses(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_addresses(each) for each in value]
    return ADDRESS if isinstance(value, str) and value.startswith("http://127.0.0.1") else value


def expect(reply: dict[str, Any], example: dict[str, Any], *, ours: frozenset[str] | set[str] = frozenset()) -> None:
    """The reply is the example: the same fields in the same order, of the same values and types, and ours behind."""
    found = without_addresses(reply)
    assert set(found) - set(example) == ours
    documented = {name: value for name, value in found.items() if name in example}
    assert json.dumps(documented, ensure_ascii=False) == json.dumps(example, ensure_ascii=False)


@pytest.fixture(scope="module")
async def shelf(music: MusicServer) -> dict[str, Item]:
    """The catalogue of the examples."""
    database = music.shop.database
    kinds = {"genre": CATEGORIES["genres"], "mood": CATEGORIES["moods"], "instrument": CATEGORIES["instruments"]}
    kinds["instrument"] = [*AUDIO["instruments"], *kinds["instrument"]]  # type: ignore[misc]
    async with database.transaction() as connection:
        for kind, each in kinds.items():
            for category in each:
                await connection.execute(
                    "insert into category (id, kind, name, position) values (%s, %s, %s, %s)",
                    (category["id"], kind, category["name"], 1 if category["id"] in {80, 81, 612} else 0),
                )
        for number, name, price in ((35, "SSTK音乐-全媒体", 21), (33, "HD", 5), (27, "xxxxx", 812.5)):
            await connection.execute(
                "insert into offer (id, name, price) overriding system value values (%s, %s, %s)",
                (number, name, price),
            )
    listed: dict[str, Any] = {"audio_id": 505947, "title": "Beginner's Luck", "offer": "SSTK音乐-全媒体"}
    found = {"listed": await add_item(database, music.store, instruments=[80, 81], **listed)}
    found["bought"] = await add_item(
        database, music.store, audio_id=8126014, title="Bought", offer="HD", price="5.00", bpm=120
    )
    found["detail"] = await add_item(
        database, music.store, title="Detail", offer="xxxxx", price="812.50", content=b"\xff" * 12058624
    )
    await database.fetch_one(
        "update track set given_duration_ms = 120000 where id = %(id)s returning 1", {"id": found["bought"].audio_id}
    )
    return found


async def test_categories(shelf: dict[str, Item], app: App) -> None:
    data = await app.get("categories")
    data["instruments"] = [each for each in data["instruments"] if each["id"] not in {80, 81, 612}]
    expect(data, CATEGORIES, ours={"levels"})
    assert {"id": 100, "name": "Shutterstock 优选"} in data["levels"]


async def test_search(shelf: dict[str, Item], app: App) -> None:
    async def found() -> Any:
        reply = await app.reply("search", keyword="Beginner's Luck", per_page=100)
        if not reply.json()["result"]:
            assert code_of(reply) == 1001  # the index is being made
            return None
        # The index follows within a second: the file comes after the track here.
        return reply if any(track["preview_mp3_url"] for track in reply.json()["data"]["list"]) else None

    data = data_of(await wait_until(found, what="the track in the index, with its file"))
    expect(data, {"current_page": 1, "per_page": 100, "total": data["total"], "list": [TRACK]})
    assert (await app.get("search"))["per_page"] == 30


async def test_detail(shelf: dict[str, Item], app: App) -> None:
    await app.server.shop.database.fetch_one(
        "update track set instrument_ids = '{80,81,612}' where id = 505947 returning 1"
    )
    data = await app.get("detail", audio_id=505947)
    assert list(data) == ["audio", "permissions"]
    expect(data["audio"], AUDIO)
    data = await app.get("detail", audio_id=shelf["bought"].audio_id)
    example = {**PERMISSION, "id": 33, "name": "HD", "price": "5.00"}  # of a track of 120 s
    expect(data["permissions"][0], example)
    [permission] = (await app.get("detail", audio_id=505947))["permissions"]
    expect(permission, {**PERMISSION, "duration": "00:00:28", "bpm": 95})


async def rewrite(music: MusicServer, purchase_id: int, **columns: Any) -> None:
    """Make a purchase the document's, in spite of what protects it."""
    async with music.shop.database.transaction() as connection:
        await connection.execute("set local session_replication_role = replica")
        for name, value in columns.items():
            await connection.execute(f"update purchase set {name} = %s where id = %s".encode(), (value, purchase_id))


async def test_purchase_and_download(shelf: dict[str, Item], app: App) -> None:
    data = await app.buy(shelf["listed"])
    expect(data, {"id": data["id"], "url": ADDRESS})
    assert isinstance(data["id"], int)
    expect(await app.get("purchase-download", purchase_id=data["id"]), {"url": ADDRESS})


async def test_my_purchases(music: MusicServer, shelf: dict[str, Item]) -> None:
    app = await music.app("didi")
    bought = await app.buy(shelf["bought"])
    await rewrite(music, bought["id"], bought_at="2016-08-29 16:41:47+08", downloaded_at="2016-08-29 17:09:02+08")
    data = await app.get("my-purchases")
    account = {"id": data["list"][0]["plus_user"]["id"], "name": "didi"}
    example = {**PURCHASED, "id": bought["id"], "plus_user": account, "real_plus_user": account}
    expect(data, {"current_page": 1, "per_page": "10", "total": 1, "list": [example]})
    await rewrite(music, bought["id"], downloaded_at=None)
    assert (await app.get("my-purchases"))["list"][0]["download_at"] is None


async def test_purchase_detail(music: MusicServer, shelf: dict[str, Item], app: App) -> None:
    bought = await app.buy(shelf["detail"], "测试")
    await rewrite(music, bought["id"], bought_at="2016-06-24 09:24:33+08")
    data = await app.get("purchase-detail", purchase_id=bought["id"])
    assert list(data) == ["audio", "purchase"]
    expect(data["audio"], {**AUDIO, "id": shelf["detail"].audio_id, "title": "Detail", "instruments": []})
    account = data["purchase"]["plus_user_id"]
    example = {**PURCHASE, "id": bought["id"], "plus_user_id": account, "real_plus_user_id": account}
    ours = {"number", "currency", "third_user_id", "sha256", "file_bytes", "is_test", "download_at", "refunded_at"}
    expect(data["purchase"], example, ours=ours)


async def test_download_warrant(shelf: dict[str, Item], app: App) -> None:
    bought = await app.buy(shelf["listed"])
    reply = await app.reply("download-warrant", purchase_id=bought["id"])
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/pdf"
    assert reply.content.startswith(b"%PDF-")
    number = (await app.get("purchase-detail", purchase_id=bought["id"]))["purchase"]["number"]
    assert number in reply.headers["content-disposition"]


async def test_failure(app: App) -> None:
    reply = await app.reply("detail", audio_id=1)
    failure = reply.json()
    expect(failure, {"result": False, "message": failure["message"], "code": 1201})
    assert reply.status_code == 200


async def test_the_bare_paths_of_the_document_are_the_same_calls(shelf: dict[str, Item], app: App) -> None:
    for prefix in ("", "/plus"):
        for call in ("categories", "search", "my-purchases"):
            query = (await app.reply(call)).request.url.query.decode()
            reply = await app.send(f"{prefix}/audio/{call}", query)
            assert reply.json()["result"] is True
