"""`MusicLibrary` against a real server: finds, buys once, downloads, goes on, verifies."""

import asyncio
import datetime as dt
import hashlib
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from openstage.client import AsyncMusicLibrary, MusicLibrary, Retry, verify_certificate
from openstage.client.music import (
    CertificateError,
    ClientUnknownError,
    CreditExceededError,
    InvalidInputError,
    OfferError,
    Progress,
    PurchaseNotFoundError,
    QueryError,
    RefundedError,
    RequestReusedError,
    TrackNotFoundError,
    WrongSignatureError,
)
from openstage.client.music.downloading import PIECE
from tests.licensing.shelf import Item
from tests.support.music import App, MusicServer
from tests.support.waiting import wait_until

LONG = b"".join(number.to_bytes(4, "big") for number in range((2 * PIECE + 5000) // 4))


@pytest.fixture
async def library(app: App) -> AsyncIterator[AsyncMusicLibrary]:
    async with client(app) as library:
        yield library


def client(app: App, client_id: str = "", client_secret: str = "") -> AsyncMusicLibrary:
    """A client of an app, or of somebody who isn't quite it."""
    retry = Retry(attempts=2, first_delay=0.01)
    who = (client_id or app.customer.client_id, client_secret or app.secret)
    return AsyncMusicLibrary(*who, app.server.address, retry=retry)


@pytest.fixture(scope="module")
async def long_item(music: MusicServer) -> Item:
    """A track whose file takes several pieces."""
    return await music.item(title="长夜 Long night", artist="张三", content=LONG, file_name="x.wav")


async def test_a_track_is_found_bought_downloaded_and_proven(
    app: App, library: AsyncMusicLibrary, long_item: Item, folder: Path
) -> None:
    async def found() -> bool:
        listed = (await app.reply("search", keyword="长夜")).json().get("data", {}).get("list", [])
        return any(track["preview_mp3_url"] for track in listed)

    await wait_until(found, what="the track in the index, with its file")
    [track] = [track async for track in library.tracks("长夜", per_page=1)]
    assert (track.title, track.artist, track.bpm, track.duration) == ("长夜 Long night", "张三", 95, 28)
    detail = await library.track(track.id)
    assert detail.track.supplier == "签约供应商"
    assert detail.offers[0].price == Decimal("21.00")
    bought = await library.purchase(track.id, detail.offers[0].id, "广州汽车", request_id="订单 1")
    again = await library.purchase(track.id, detail.offers[0].id, "广州汽车", request_id="订单 1")
    assert again.id == bought.id
    seen: list[Progress] = []
    path = await library.download(bought.id, folder, on_progress=seen.append)
    assert path == folder / "长夜 Long night - 张三.wav"
    assert path.read_bytes() == LONG
    assert [each.received for each in seen] == [PIECE, 2 * PIECE, len(LONG)]
    assert seen[-1].fraction == 1.0
    [purchase] = [purchase async for purchase in library.purchases(downloaded=True)]
    assert (purchase.id, purchase.audio_id, purchase.format) == (bought.id, track.id, "wav")
    told = await library.purchase_detail(bought.id)
    assert (told.price, told.currency) == (Decimal("21.00"), "CNY")
    pdf, keys = await library.certificate(bought.id), await library.certificate_keys()
    verdict = verify_certificate(pdf, keys)
    assert verdict.valid
    assert verdict.facts["file"]["sha256"] == hashlib.sha256(LONG).hexdigest() == told.sha256
    assert verdict.facts["number"] == told.number
    assert not verify_certificate(pdf.replace(b"1", b"2", 1), keys).valid
    assert sorted(folder.iterdir()) == [path], "nothing is left of the download"


async def test_a_download_goes_on_where_it_was_broken_off(
    library: AsyncMusicLibrary, long_item: Item, folder: Path
) -> None:
    bought = await library.purchase(long_item.audio_id, long_item.offer_id, "A")
    target = folder / "mine.wav"

    def break_off(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await library.download(bought.id, target, on_progress=break_off)
    assert not target.exists()
    seen: list[Progress] = []
    await library.download(bought.id, target, on_progress=seen.append)
    assert target.read_bytes() == LONG
    assert [(each.received, each.resumed) for each in seen] == [(2 * PIECE, PIECE), (len(LONG), PIECE)]


@pytest.mark.parametrize("damage", ["bytes", "another file", "note", "too long"])
async def test_what_is_left_of_a_download_is_not_trusted(
    library: AsyncMusicLibrary, long_item: Item, folder: Path, damage: str
) -> None:
    bought = await library.purchase(long_item.audio_id, long_item.offer_id, "A")
    target = folder / "mine.wav"
    part = folder / f".mine.wav.{bought.id}.part"
    with pytest.raises(KeyboardInterrupt):
        await library.download(bought.id, target, on_progress=_interrupt)
    note = part.with_name(part.name + ".json")
    if damage == "bytes":
        part.write_bytes(b"\0" * part.stat().st_size)
    elif damage == "another file":
        note.write_text(json.dumps(json.loads(note.read_text()) | {"etag": '"another"'}))
    elif damage == "note":
        note.write_text("{")
    else:
        part.write_bytes(b"\0" * (len(LONG) + 1))
    await library.download(bought.id, target)
    assert target.read_bytes() == LONG


def _interrupt(_: Progress) -> None:
    raise KeyboardInterrupt


async def test_two_files_of_one_name_stay_two(music: MusicServer, library: AsyncMusicLibrary, folder: Path) -> None:
    items = [await music.item(title="Same", artist="", content=content * 100) for content in (b"one", b"two")]
    bought = [await library.purchase(item.audio_id, item.offer_id, "A") for item in items]
    paths = [await library.download(each.id, folder) for each in bought]
    assert [path.name for path in paths] == ["Same.mp3", f"Same ({bought[1].id}).mp3"]
    assert await library.download(bought[0].id, folder) == paths[0]
    assert [path.read_bytes() for path in paths] == [item.content for item in items]


async def test_refusals_are_errors_of_their_own(music: MusicServer, app: App, library: AsyncMusicLibrary) -> None:
    item = await music.item()
    with pytest.raises(TrackNotFoundError, match="1201"):
        await library.track(1)
    with pytest.raises(PurchaseNotFoundError):
        await library.purchase_detail(10**12)
    with pytest.raises(OfferError):
        await library.purchase(item.audio_id, 10**12, "A")
    with pytest.raises(QueryError):
        await library.search("(云南")
    with pytest.raises(InvalidInputError):
        await library.purchase(item.audio_id, item.offer_id, " ")
    async with client(app, client_secret="another") as mistaken:
        with pytest.raises(WrongSignatureError) as caught:
            await mistaken.categories()
    assert "another" not in str(caught.value)
    async with client(app, client_id="nobody") as nobody:
        with pytest.raises(ClientUnknownError):
            await nobody.categories()
    bought = await library.purchase(item.audio_id, item.offer_id, "A", request_id="1")
    with pytest.raises(RequestReusedError):
        await library.purchase(item.audio_id, item.offer_id, "B", request_id="1")
    await music.shop.billing.set_limit(app.customer.client_id, Decimal("21.00"))
    with pytest.raises(CreditExceededError, match=r"21\.00 of 21\.00 CNY"):
        await library.purchase(item.audio_id, item.offer_id, "B")
    await music.shop.licensing.refund(bought.id, "")
    with pytest.raises(RefundedError):
        await library.certificate(bought.id)
    with pytest.raises(RefundedError):
        await library.download(bought.id, Path("nowhere.mp3"))


async def test_lists_are_filtered_by_times_as_python_has_them(music: MusicServer, library: AsyncMusicLibrary) -> None:
    item = await music.item()
    bought = [await library.purchase(item.audio_id, item.offer_id, name) for name in "ABC"]
    now, hour = dt.datetime.now(dt.UTC), dt.timedelta(hours=1)
    assert [each.id async for each in library.purchases(per_page=2)] == [each.id for each in bought[::-1]]
    assert (await library.my_purchases(begin=now - hour, end=now + hour)).total == 3
    assert (await library.my_purchases(begin=now + hour)).total == 0
    assert (await library.my_purchases(end="2017-01-01")).total == 0
    assert (await library.my_purchases(begin=dt.date(2017, 1, 1), audio_id=item.audio_id)).total == 3
    first = (await library.my_purchases(per_page=1)).purchases[0]
    assert first.account == first.buyer
    assert first.bought_at


async def test_the_categories_are_told(library: AsyncMusicLibrary) -> None:
    categories = await library.categories()
    assert [each.id for each in categories.bpms] == [1, 2, 3, 4, 5, 6]
    assert len(categories.levels) == 5


def test_without_the_arithmetic_nothing_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "' + b"A" * 43 + b'"}]}'
    assert verify_certificate(b"%PDF-", keys).reason == "not_a_certificate"
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(CertificateError, match=r"openstage\[verify\]"):
        verify_certificate(b"%PDF-", keys)
    with pytest.raises(CertificateError, match="public keys"):
        verify_certificate(b"%PDF-", b"{}")


def run_program(code: CodeType, names: dict[str, object]) -> None:
    """Run a program; a StopIteration that it ends with would never leave the thread."""
    try:
        exec(code, names)
    except StopIteration as error:
        raise AssertionError("the program found nothing") from error


async def test_the_documented_program_runs(
    music: MusicServer, app: App, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    item = await music.item(title="云南民族组曲")

    async def found() -> bool:
        query: dict[str, Any] = {"keyword": "云南 and (民族 or 弦乐) not 电子", "can_purchase": 1}
        data = (await app.reply("search", **query)).json().get("data", {})
        return [each["id"] for each in data.get("list", ())] == [item.audio_id]

    await wait_until(found, what="the track in the index")
    text = (Path(__file__).parents[3] / "docs" / "music-client.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (folder / "music").mkdir()
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"client_id": app.customer.client_id, "client_secret": app.secret}
    code = compile(program.replace("http://127.0.0.1:8080", music.address), "music-client.md", "exec")
    await asyncio.to_thread(run_program, code, names)
    assert capsys.readouterr().out.splitlines()[-2:] == ["100%", "Signed by this server, and unchanged."]
    assert [path.read_bytes() for path in (folder / "music").iterdir()] == [item.content]


@pytest.fixture
def blocking(app: App) -> Iterator[MusicLibrary]:
    with MusicLibrary(app.customer.client_id, app.secret, app.server.address) as library:
        yield library


async def test_the_blocking_client_does_the_same(blocking: MusicLibrary, long_item: Item, folder: Path) -> None:
    def session() -> None:
        offer = blocking.track(long_item.audio_id).offers[0]
        bought = blocking.purchase(long_item.audio_id, offer.id, "A")
        assert blocking.download(bought.id, folder / "x").read_bytes() == LONG
        assert [each.id for each in blocking.purchases()] == [bought.id]
        assert blocking.search("not 长夜 not the").page == 1
        assert list(blocking.tracks("qqqqqqqq")) == []
        assert verify_certificate(blocking.certificate(bought.id), blocking.certificate_keys()).valid
        assert "secret" not in repr(blocking)

    await asyncio.to_thread(session)
