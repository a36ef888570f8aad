"""Addresses of previews, waveforms and bought files: signed, short-lived, by ranges, under sensible names."""

import datetime as dt
from urllib.parse import unquote, urlsplit

import pytest

from openstage.delivery.library import LibraryAddresses, library_signer
from openstage.delivery.naming import LONGEST_NAME, attachment, file_name
from openstage.delivery.signing import AddressSigner
from openstage.identity.keys import Keys
from openstage.settings import Settings
from tests.licensing.shelf import add_file
from tests.support.music import App, MusicServer


async def test_previews_and_waveforms_are_served_by_ranges(music: MusicServer, app: App) -> None:
    item = await music.item()
    audio = (await app.get("detail", audio_id=item.audio_id))["audio"]
    kinds = {"preview_mp3_url": ("preview", "audio/mpeg"), "waveform_url": ("png", "image/png")}
    kinds["origin_waveform_url"] = ("json", "application/json")
    for name, (kind, content_type) in kinds.items():
        whole = await music.http.get(audio[name])
        assert whole.content == f"{kind} of {item.audio_id}".encode()
        assert whole.headers["content-type"] == content_type
        assert "content-disposition" not in whole.headers
        part = await music.http.get(audio[name], headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.content) == (206, whole.content[2:5])
    await music.shop.database.fetch_one(
        "update track set removed_at = now() where id = %(id)s returning 1", {"id": item.audio_id}
    )
    assert (await music.http.get(audio["preview_mp3_url"])).status_code == 404


async def test_what_was_bought_stays_however_the_catalogue_is_imported_again(music: MusicServer, app: App) -> None:
    item = await music.item(
        title="云南的回忆/夜", artist="张三", file_name="track 01.MP3", content=b"the first file" * 99
    )
    bought = await app.buy(item)
    await add_file(music.shop.database, music.store, item.audio_id, b"another file", "other.wav")
    reply = await music.http.get(bought["url"])
    assert reply.content == item.content
    assert reply.headers["content-type"] == "audio/mpeg"
    assert reply.headers["content-disposition"] == (
        f"attachment; filename=\"{item.audio_id}.mp3\"; filename*=UTF-8''"
        "%E4%BA%91%E5%8D%97%E7%9A%84%E5%9B%9E%E5%BF%86_%E5%A4%9C%20-%20%E5%BC%A0%E4%B8%89.mp3"
    )
    assert unquote(urlsplit(bought["url"]).path).endswith("/云南的回忆_夜 - 张三.mp3")
    part = await music.http.get(bought["url"], headers={"Range": "bytes=-5"})
    assert part.content == item.content[-5:]


async def test_the_first_download_is_noted_and_no_other(music: MusicServer, app: App) -> None:
    bought = await app.buy(await music.item())

    async def stamp() -> str | None:
        [each] = (await app.get("my-purchases"))["list"]
        return each["download_at"]  # type: ignore[no-any-return]

    assert await stamp() is None
    url = (await app.get("purchase-download", purchase_id=bought["id"]))["url"]
    for ask in (music.http.head(url), music.http.get(url, headers={"Range": "bytes=99999999-"})):
        await ask
        assert await stamp() is None
    assert (await app.get("my-purchases", is_download=2))["total"] == 1
    await music.http.get(url, headers={"Range": "bytes=0-3"})
    first = await stamp()
    assert first
    assert abs(dt.datetime.fromisoformat(first + "+08:00") - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    moment = (await music.shop.licensing.find(bought["id"])).downloaded_at
    await music.http.get(url)
    assert (await music.shop.licensing.find(bought["id"])).downloaded_at == moment
    assert (await app.get("my-purchases", is_download=1))["total"] == 1


async def test_addresses_live_ten_minutes_and_are_good_for_one_thing(
    music: MusicServer, app: App, music_settings: Settings
) -> None:
    item = await music.item()
    purchase = await music.shop.licensing.find((await app.buy(item))["id"])
    keys = Keys.load(music_settings.folder)
    assert library_signer(keys, music_settings)._lifetime == 600

    def at(age: int, purpose: bytes = b"library addresses") -> str:
        clock = dt.datetime.now(dt.UTC).timestamp() - age
        signer = AddressSigner(keys, music_settings, purpose=purpose, lifetime=600, clock=lambda: clock)
        return LibraryAddresses(signer, music_settings).download(purchase).removeprefix(music_settings.base("media"))

    assert (await music.http.get(at(590))).status_code == 200
    expired = await music.http.get(at(601))
    assert (expired.status_code, expired.json()["code"]) == (403, "delivery.address_expired")
    assert (await music.http.get(at(0, b"media addresses"))).status_code == 403
    good = at(0)
    for altered in (
        good.replace("purchase-", "track-"),
        good.replace(f"-{purchase.id}/", f"-{purchase.id + 1}/"),
        good.rpartition("/")[0] + "/other.mp3",
        good.replace("/library/a", "/library/r"),
    ):
        assert (await music.http.get(altered)).status_code in {403, 404}
    await music.shop.licensing.refund(purchase.id, "")
    gone = await music.http.get(good)
    assert gone.status_code == 404
    assert "refunded" in gone.json()["message"]


@pytest.mark.parametrize(
    ("parts", "ending", "name"),
    [
        (("云南的回忆", "张三"), "mp3", "云南的回忆 - 张三.mp3"),
        (("a/b\\c:d*e?f\"g<h>i|j", ""), "WAV", "a_b_c_d_e_f_g_h_i_j.wav"),
        (("../../etc/passwd",), "mp3", "_.._etc_passwd.mp3"),
        (("\u202egnp.exe\x00\n\t x  y",), "flac", "gnp.exe x y.flac"),
        (("", " "), "mp3", "file.mp3"),
        (("CON",), "", "CON_"),
        (("e\u0301t\u00e9",), "mp3", "été.mp3"),
        (("...",), "../x", "file.x"),
    ],
)  # fmt: skip
def test_names_of_files_are_taken_by_every_file_system(parts: tuple[str, ...], ending: str, name: str) -> None:
    assert file_name(*parts, ending=ending) == name


def test_long_names_are_cut_between_characters() -> None:
    name = file_name("云" * 500, ending="mp3")
    assert len(name.encode()) <= LONGEST_NAME
    assert name.endswith("云.mp3")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("plain.mp3", 'attachment; filename="plain.mp3"'),
        ("50%.mp3", "attachment; filename=\"7.mp3\"; filename*=UTF-8''50%25.mp3"),
        ("naïve (1).mp3", "attachment; filename=\"7.mp3\"; filename*=UTF-8''na%C3%AFve%20%281%29.mp3"),
    ],
)
def test_names_stand_in_headers_as_rfc_8187_has_it(name: str, header: str) -> None:
    assert attachment(name, plain="7.mp3") == header
