"""Recordings sent with the call, as devices send them; and whatever is wrong with them."""

import asyncio
import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dialects.karaoke.conftest import SAMPLE, UPLOAD, Karaoke, Singer, recording, sha1
from tests.support.fixtures import cover_picture, make_clip
from tests.support.waiting import wait_until
from tests.uploads.wire import Exchange, call, multipart

CURL = r"""
curl --silent --location --request POST 'HOST/karaoke/file/v2/ugc_upload_by_file' \
--header 'X-Open-Access-Token: TOKEN' \
--header 'X-Open-ID: OPENID' \
--header 'X-Open-App-ID: APPID' \
--header 'Device-ID;' \
--form 'data="{
    \"song_id\":\"0025ARRr0HqJLg\",
    \"song_name\":\"七里香\",
    \"song_type\":1,
    \"publish_type\":0,
    \"share_type\":0,
    \"score\":1234,
    \"score_rank\":2,
    \"content\":\"我用全民k歌唱了一首歌\",
    \"cover\":\"http://shp.qpic.cn/ttkg/0/506dc4d51122c0af047e47ef83f9fafc598174ad/0?t=1\",
    \"file_name\":\"七里香.mp3\",
    \"file_sha\":\"\",
    \"file_size\":SIZE,
    \"is_segment\":false,
    \"segment_start\":0,
    \"segment_end\":0,
    \"sentence_count\":60,
    \"imei\":\"\"
}"' \
--form 'ugc_file=@"FILE"'
"""
"""The document's line, with names where a user substitutes."""


async def held(karaoke: Karaoke) -> tuple[object, ...]:
    """All that an upload may leave behind."""
    staging = sorted(path.name for path in karaoke.settings.staging_folder.iterdir())
    return await karaoke.count(), (await karaoke.held())[0], karaoke.incoming(), len(staging)


async def test_the_documents_line_uploads_a_recording_that_plays(stage: Karaoke, tmp_path: Path) -> None:
    singer, sound = await stage.singer("周小姐"), recording(2.0)
    file = tmp_path / "七里香.mp3"
    file.write_bytes(sound)
    values = {
        "HOST": stage.address,
        "TOKEN": singer.headers["X-Open-Access-Token"],
        "OPENID": singer.openid,
        "APPID": stage.credentials.client_id,
        "SIZE": str(len(sound)),
        "FILE": str(file),
    }
    line = CURL
    for name, value in values.items():
        line = line.replace(name, value)
    ran = await asyncio.to_thread(subprocess.run, ["bash", "-c", line], capture_output=True, check=True, timeout=60)
    answer = json.loads(ran.stdout)
    data = answer["data"]
    assert (answer["code"], answer["msg"]) == (0, "请求成功")
    assert set(data) == {"file_id", "paly_url", "share_id", "ugc_id", "vid"}
    assert all(isinstance(value, str) and value for value in data.values())
    assert len(data["share_id"]) == 16
    assert len(data["ugc_id"]) == 48
    assert data["paly_url"] == f"{stage.address}/play/{data['share_id']}"

    await stage.reached(data["ugc_id"])
    playlist = await stage.http.get(data["paly_url"], params={"format": "m3u8"}, follow_redirects=True)
    assert playlist.text.startswith("#EXTM3U")

    async def whole() -> bool:
        led = await stage.http.get(data["paly_url"])
        return led.status_code == 302 and led.headers["location"].partition("?")[0].endswith(".mp3")

    await wait_until(whole, what="the MP3 file")
    first, second = [(await stage.http.get(data["paly_url"])).headers["location"] for _ in range(2)]
    assert first != second, "each time a fresh address"
    heard = await stage.http.get(first)
    assert heard.headers["content-type"] == "audio/mpeg"
    assert len(heard.content) > 10_000
    row = await stage.services.database.fetch_one(
        "select title, description, score, score_rank, sentence_count, cover, access, file_size from work"
        " join recording on work_id = work.id where ugc_id = %(id)s",
        {"id": data["ugc_id"]},
    )
    assert row == ("七里香", SAMPLE["content"], 1234, 2, 60, SAMPLE["cover"], "public", len(sound))


@pytest.mark.parametrize("digest", ["", "sha1", "sha256", "SHA256"])
@pytest.mark.parametrize("file_first", [False, True])
async def test_parts_come_in_either_order_and_digests_are_checked(
    karaoke: Karaoke, digest: str, file_first: bool
) -> None:
    singer, sound = await karaoke.singer("周小姐"), recording()
    file_sha = hashlib.new(digest.lower(), sound).hexdigest() if digest else ""
    said = {"file_sha": file_sha.upper() if digest.isupper() else file_sha, "publish_type": 2, "score": "99"}
    answer = await karaoke.upload(singer, sound, file_first=file_first, **said)
    assert answer["code"] == 0, answer
    row = await karaoke.services.database.fetch_one(
        "select file_sha, access, score, device_id from work join recording on work_id = work.id where file_id = %(f)s",
        {"f": answer["data"]["file_id"]},
    )
    assert row == (file_sha, "private", 99, "imei-of-a-device")
    if digest:
        wrong = await karaoke.upload(singer, sound[::-1], file_first=file_first, file_sha=file_sha)
        assert wrong["code"] == 1202


async def test_films_are_taken_too(stage: Karaoke) -> None:
    singer = await stage.singer("周小姐")
    film = make_clip(duration=1.0, size="160x90").read_bytes()
    taken = await stage.upload(singer, film, file_first=True, publish_type=2)
    address = taken["data"]["paly_url"]
    await stage.reached(taken["data"]["ugc_id"])
    assert (await stage.http.get(address)).status_code == 404, "it is private"
    assert (await stage.http.get(address, headers=(await stage.singer("林先生")).headers)).status_code == 404
    assert (await stage.http.get(address, headers=singer.headers)).status_code == 302


def no_sound() -> Iterator[tuple[str, bytes, str]]:
    film = make_clip(duration=2.0, size="160x90").read_bytes()
    yield "random bytes", random.Random(1).randbytes(20_000), "format that can be played"
    yield "noise that repeats itself", b"\0\1\2" * 70_000, "format that can be played"
    yield "a silent film", make_clip(acodec=None, duration=1.0, size="160x90").read_bytes(), "no sound"
    yield "a silent film of another kind", make_clip("webm", "vp8", None, duration=1.0).read_bytes(), "no sound"
    yield "a film that is cut off", film[: len(film) // 2], "cut off"
    yield "a film without its index", make_clip(duration=1.0, size="160x90", moov="end").read_bytes()[:-9_000], "index"


@pytest.mark.parametrize("file_first", [False, True], ids=["data first", "file first"])
async def test_what_has_no_sound_is_refused_by_the_call_and_stores_nothing(karaoke: Karaoke, file_first: bool) -> None:
    singer, before, bytes_before = await karaoke.singer("周小姐"), await held(karaoke), await karaoke.held()
    for name, content, reason in no_sound():
        answer = await karaoke.upload(singer, content, file_first=file_first)
        assert answer["code"] == 1203, (name, answer)
        assert reason in answer["msg"], (name, answer)
        assert answer["data"] == {}
        assert await held(karaoke) == before, name
        assert await karaoke.held() == bytes_before, name


def changed(**fields: Any) -> bytes:
    return json.dumps(SAMPLE | {"file_size": len(recording())} | fields, ensure_ascii=False).encode()


def bad_data() -> Iterator[tuple[str, bytes, int]]:
    size = len(recording())
    yield "broken", b'{"song_id": ', 1002
    yield "an array", b"[1, 2]", 1002
    yield "a text", b'"{}"', 1002
    yield "not UTF-8", b'{"song_name": "\xff\xfe"}', 1002
    yield "a key twice", b'{"score": 1, "score": 2}', 1002
    yield "a key twice inside", b'{"other": {"a": 1, "a": 2}}', 1002
    yield "deep", b'{"other": ' + b"[" * 20 + b"]" * 20 + b"}", 1002
    yield "very deep", b'{"other": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", 1002
    yield "NUL", b'{"song_name": "a\\u0000b"}', 1002
    yield "half a surrogate pair", b'{"song_name": "a\\ud800"}', 1002
    yield "no number", b'{"score": NaN}', 1002
    yield "a number of 5,000 digits", b'{"score": ' + b"9" * 5000 + b"}", 1002
    yield "huge", changed(content="x" * 70_000), 1003
    yield "text as number", changed(score="much"), 1001
    yield "number as object", changed(score={"a": 1}), 1001
    yield "truth as number", changed(score=True), 1001
    yield "a fraction", changed(score=1.5), 1001
    yield "beyond 32 bits", changed(score=2**31), 1001
    yield "below nothing", changed(score=-1), 1001
    yield "text as list", changed(song_name=["七里香"]), 1001
    yield "a long title", changed(song_name="七" * 501), 1001
    yield "who may see it", changed(publish_type=3), 1001
    yield "a segment that ends before it starts", changed(is_segment=True, segment_start=5000, segment_end=4000), 1001
    yield "a segment without length", changed(is_segment=True), 1001
    for cover in (
        "javascript:alert(1)",
        "data:text/html,x",
        'http://a/"><script>',
        "http:///x",
        "//a/b",
        "http://a b/",
    ):
        yield f"cover {cover}", changed(cover=cover), 1001
    yield "no hex", changed(file_sha="g" * 40), 1001
    yield "no known digest", changed(file_sha="a" * 32), 1001
    yield "another digest", changed(file_sha="0" * 40), 1202
    yield "a smaller size", changed(file_size=size - 1), 1201
    yield "a larger size", changed(file_size=size + 1), 1201
    yield "size 0", changed(file_size=0), 1201
    yield "an inner callback", changed(callback_url="http://169.254.169.254/latest"), 1402
    yield "a callback of another kind", changed(callback_url="file:///etc/passwd"), 1401


@pytest.mark.parametrize("file_first", [False, True], ids=["data first", "file first"])
async def test_bad_data_has_a_code_and_stores_nothing(karaoke: Karaoke, file_first: bool) -> None:
    singer, before = await karaoke.singer("周小姐"), await held(karaoke)
    for name, data, code in bad_data():
        parts: list[tuple[str, str | bytes]] = [("data", data.decode("latin-1")), ("ugc_file", recording())]
        answer = await send(karaoke, singer, *(parts[::-1] if file_first else parts))
        assert answer["code"] == code, (name, answer)
        assert len(answer["msg"]) > 10
        assert answer["data"] == {}
        assert await held(karaoke) == before, name


async def send(karaoke: Karaoke, singer: Singer, *parts: tuple[str, str | bytes]) -> dict[str, Any]:
    """Send a multipart body byte by byte; texts are bytes read as Latin-1."""
    body = b"".join(_part(name, value) for name, value in parts) + b"--b7--\r\n"
    headers = [*singer.headers.items(), ("Content-Type", "multipart/form-data; boundary=b7")]
    answer = await call(karaoke.address, "POST", UPLOAD, headers, body)
    assert answer.status == 200
    return answer.json


def _part(name: str, value: str | bytes) -> bytes:
    content = value if isinstance(value, bytes) else value.encode("latin-1")
    return f'--b7\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content + b"\r\n"


async def test_bad_files_and_bodies_have_a_code_and_store_nothing(karaoke: Karaoke) -> None:
    singer, before = await karaoke.singer("周小姐"), await held(karaoke)
    data, sound = changed(), recording()
    for name, code, parts in (
        ("empty", 1207, [("data", b"{}"), ("ugc_file", b"")]),
        ("a picture", 1203, [("data", b"{}"), ("ugc_file", cover_picture().read_bytes())]),
        ("a picture first", 1203, [("ugc_file", cover_picture().read_bytes()), ("data", b"{}")]),
        ("a page", 1203, [("data", b"{}"), ("ugc_file", b"<html><script>alert(1)</script>" * 1000)]),
        ("a playlist", 1203, [("data", b"{}"), ("ugc_file", b"#EXTM3U\nhttp://127.0.0.1/secret\n")]),
        ("zeros", 1203, [("data", b"{}"), ("ugc_file", bytes(50_000))]),
        ("no data", 1001, [("ugc_file", sound)]),
        ("no file", 1001, [("data", data)]),
        ("nothing", 1001, []),
        ("data twice", 1001, [("data", data), ("data", data), ("ugc_file", sound)]),
        ("file twice", 1001, [("data", data), ("ugc_file", sound), ("ugc_file", sound)]),
        ("very many parts", 1001, [("x", b"y")] * 50),
    ):
        answer = await send(karaoke, singer, *parts)
        assert answer["code"] == code, (name, answer)
        assert await held(karaoke) == before, name
    broken = multipart(("data", data.decode()), ("ugc_file", sound))[:-40]
    for body, code in ((broken, 1007), (b"", 1007), (b'{"song_id": "1"}', 1007)):
        answer = await karaoke.post(UPLOAD, singer.headers, body)
        assert answer["code"] == code
    assert await held(karaoke) == before


async def test_who_may_not_upload_is_told_why(karaoke: Karaoke) -> None:
    singer, other, before = await karaoke.singer("周小姐"), await karaoke.singer("林先生"), await held(karaoke)
    identity = karaoke.services.identity
    stranger = await identity.apps.create("Another device")
    foreign = await identity.authorise(stranger.client_id, stranger.client_secret)
    reading = await identity.authorise_app(await karaoke.app(), realm="person", uid="reader", scopes=["works.read"])
    app, good = await karaoke.app_headers(), singer.headers
    for name, headers, code in (
        ("nothing", {}, 1101),
        ("an empty token", good | {"X-Open-Access-Token": ""}, 1101),
        ("an unknown token", good | {"X-Open-Access-Token": "2." + "0" * 32}, 1102),
        ("odd letters", good | {"X-Open-Access-Token": "2. not a token"}, 1102),
        ("no app", good | {"X-Open-App-ID": ""}, 1104),
        ("another app", good | {"X-Open-App-ID": stranger.client_id}, 1104),
        ("another app's token", good | {"X-Open-Access-Token": foreign.access_token}, 1104),
        ("another user", good | {"X-Open-ID": other.openid}, 1105),
        ("an app's token beside an openid", app | {"X-Open-ID": singer.openid}, 1102),
        ("an app's token", app, 1106),
        ("no right to write", karaoke.headers(reading.pair.access_token, "reader"), 1107),
    ):
        answer = await karaoke.upload(headers, recording())
        assert answer["code"] == code, (name, answer)
    without_openid = {name: value for name, value in good.items() if name != "X-Open-ID"}
    assert (await karaoke.upload(without_openid, b""))["code"] == 1207, "the token says who it is"
    assert await held(karaoke) == before


async def test_unknown_unbuilt_and_wrongly_called_paths_answer_in_the_envelope(karaoke: Karaoke) -> None:
    for method, path, code in (
        ("POST", "/karaoke/nothing", 1004),
        ("POST", "/karaoke", 1004),
        ("GET", "/oauth/v2/nothing", 1004),
        ("GET", "/karaoke/oper/v2/get_cityids", 1005),
        ("POST", "/karaoke/payment/v3/get_vip_product", 1005),
        ("GET", UPLOAD, 1006),
        ("DELETE", UPLOAD, 1006),
    ):
        answer = await karaoke.http.request(method, path)
        assert answer.status_code == 200
        assert answer.json()["code"] == code, path
        assert set(answer.json()) == {"code", "msg", "data"}


async def test_what_breaks_off_or_falls_silent_leaves_nothing(karaoke: Karaoke) -> None:
    singer, before = await karaoke.singer("周小姐"), await held(karaoke)
    body = multipart(("data", changed(file_size=3_000_000).decode()), ("ugc_file", recording(3.0) * 60))
    headers = [*singer.headers.items(), ("Content-Type", "multipart/form-data")]

    async def begun() -> bool:
        return bool(karaoke.incoming())

    for ending in ("reset", "half-closed", "silent"):
        exchange = await Exchange.begin(karaoke.address, "POST", UPLOAD, headers, length=len(body))
        await exchange.send(body[: len(body) * 2 // 3])
        await wait_until(begun, what="the first bytes")
        if ending == "reset":
            exchange.drop()
        else:
            if ending == "half-closed":
                exchange.half_close()
            answer = await exchange.answer()
            assert answer.json["code"] == 1007

        async def as_before() -> bool:
            return await held(karaoke) == before

        await wait_until(as_before, what=f"nothing left after {ending}")


async def test_a_full_quota_is_told_before_and_after_the_bytes(karaoke: Karaoke) -> None:
    identity, sound = karaoke.services.identity, recording()
    credentials = await identity.apps.create("A small app", quota=len(sound) + 10)
    app = await identity.authenticate(credentials.client_id, credentials.client_secret)
    issued = await identity.authorise_app(app, realm="person", uid="somebody")
    headers = karaoke.headers(issued.pair.access_token, "somebody", app=app)
    first = await karaoke.upload(headers, sound)
    assert first["code"] == 0, first
    for file_first in (True, False):
        assert (await karaoke.upload(headers, sound, file_first=file_first))["code"] == 1205
    # One that can't fit is refused by its length alone, before its bytes.
    headers = {**headers, "Content-Type": "multipart/form-data; boundary=b7", "Expect": "100-continue"}
    exchange = await Exchange.begin(karaoke.address, "POST", UPLOAD, list(headers.items()), length=10**9)
    assert (await exchange.answer()).json["code"] == 1205
    row = await karaoke.services.database.fetch_one(
        "select reserved, stored from app where id = %(app)s", {"app": app.id}
    )
    assert row == (0, len(sound))


async def test_messages_name_the_numbers_that_the_client_knows(karaoke: Karaoke) -> None:
    identity, sound = karaoke.services.identity, recording(12.0)
    credentials = await identity.apps.create("Another small app", quota=len(sound) - 1)
    app = await identity.authenticate(credentials.client_id, credentials.client_secret)
    issued = await identity.authorise_app(app, realm="person", uid="somebody")
    headers = karaoke.headers(issued.pair.access_token, "somebody", app=app)
    whole = await karaoke.upload(headers, sound)
    assert whole["code"] == 1205
    assert f"{len(sound)} more do not fit" in whole["msg"], "the file's size, once it is known"
    opened = [*headers.items(), ("Content-Type", "multipart/form-data; boundary=b7"), ("Expect", "100-continue")]
    for length, code, told in (
        (len(sound) + 200_000, 1205, f"{len(sound) + 200_000} more do not fit"),
        (9_000_000_000, 1204, "9000000000"),
    ):
        exchange = await Exchange.begin(karaoke.address, "POST", UPLOAD, opened, length=length)
        answer = (await exchange.answer()).json
        assert answer["code"] == code, answer
        assert told in answer["msg"]
        assert "Content-Length" in answer["msg"], "not to be taken for the file's size"
    for file_first in (True, False):
        answer = await karaoke.upload(await karaoke.singer("周小姐"), sound, file_first=file_first, file_size=9 * 10**9)
        assert answer["code"] == 1204
        assert "not 9000000000" in answer["msg"]
    assert not karaoke.incoming()


async def test_eight_at_once_are_all_kept_apart(karaoke: Karaoke) -> None:
    singer = await karaoke.singer("周小姐")
    files = [recording() + bytes([n]) * 300_000 for n in range(1, 9)]
    answers = await asyncio.gather(
        *(karaoke.upload(singer, file, file_sha=sha1(file), file_first=bool(n % 2)) for n, file in enumerate(files))
    )
    assert [answer["code"] for answer in answers] == [0] * 8
    assert len({answer["data"]["ugc_id"] for answer in answers}) == 8
    assert not karaoke.incoming()
    for answer, file in zip(answers, files, strict=True):
        assert (karaoke.settings.staging_folder / answer["data"]["file_id"]).read_bytes() == file


async def test_the_playing_address_says_what_is_not_there_yet_or_at_all(karaoke: Karaoke) -> None:
    answer = await karaoke.upload(await karaoke.singer("周小姐"), recording())
    address = answer["data"]["paly_url"]
    soon = await karaoke.http.get(address)
    assert soon.status_code == 503
    assert soon.headers["retry-after"] == "1"
    assert (await karaoke.http.head(address)).status_code == 503
    unknown = await karaoke.http.get("/play/0000000000000000")
    assert unknown.status_code == 404
    assert unknown.json()["code"] == 1301
    assert (await karaoke.http.post(address)).status_code == 405
    assert (await karaoke.http.options(address)).status_code == 204
    token = {"X-Open-Access-Token": "2.unknown", "X-Open-App-ID": karaoke.credentials.client_id}
    assert (await karaoke.http.get(address, headers=token)).status_code == 403
