"""The page that a singer passes on: on a phone, in both languages, as other sites see it, before and after it plays."""

import asyncio
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from openstage.publishing.worker import run_worker
from tests.dialects.karaoke.conftest import Karaoke, Singer, recording, running_karaoke
from tests.dialects.karaoke.recorded import account_of, ask, enter
from tests.support.browser import Browser, OpenBrowser, browse
from tests.support.database import TestServer
from tests.support.frontend import assets
from tests.support.waiting import wait_until

__all__ = ["assets", "browse"]

PASSWORD = "correct horse battery"
VIDEO = "document.querySelector('video')"
SECONDS = 7.0


class Shared:
    """A published recording of a singer, on a running server."""

    def __init__(self, karaoke: Karaoke, singer: Singer, made: dict[str, str]) -> None:
        self.karaoke = karaoke
        self.singer = singer
        self.made = made
        self.address = f"{karaoke.address}/s/{made['share_id']}"

    async def set_access(self, number: int) -> None:
        reply = await ask(self.karaoke, self.singer, "set_ugc_access", ugc_id=self.made["ugc_id"], access=number)
        assert reply["code"] == 0

    async def plays(self) -> int:
        info = await ask(self.karaoke, self.singer, "get_work_info", ugc_id=self.made["ugc_id"])
        return int(info["data"]["play_count"])


@pytest.fixture(scope="module")
async def shared(stage: Karaoke) -> Shared:
    singer = await stage.singer("小明")
    made = (await stage.upload(singer, recording(SECONDS, 330), cover=""))["data"]

    async def whole() -> bool:
        row = await stage.services.database.fetch_one(
            "select state = 'published' and not pending from work where slug = %(slug)s", {"slug": made["vid"]}
        )
        return bool(row and row[0])

    await wait_until(whole, within=150, what="everything is made of the recording")
    return Shared(stage, singer, made)


def look(browser: Browser, name: str) -> None:
    """Nothing sticks out of the screen; keep a picture where one is asked for."""
    assert browser.js("document.documentElement.scrollWidth <= window.innerWidth")
    if folder := os.environ.get("OPENSTAGE_PICTURES"):
        browser.screenshot(Path(folder) / f"{name}.png")


def violations(browser: Browser, frontend: Path) -> object:
    """What axe-core finds wrong."""
    browser.driver.execute_script((frontend / "node_modules/axe-core/axe.min.js").read_text())
    run = "axe.run().then((found) => arguments[0](found.violations.map((v) => [v.id, v.nodes.map((n) => n.html)])))"
    return browser.driver.execute_async_script(run)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en-GB", ["Sung by 小明", "Score", "1,234", "Grade", "Lines sung"]),
        ("zh-CN", ["演唱：小明", "得分", "1,234", "等级", "演唱句数"]),
    ],
)
async def test_it_plays_to_the_end_with_sound_and_counts_once(
    shared: Shared, browse: OpenBrowser, frontend: Path, language: str, words: list[str]
) -> None:
    before = await shared.plays()

    def at_the_phone() -> None:
        with browse(language=language, phone=True) as browser:
            browser.open(shared.address)
            assert browser.text("h1") == "七里香"
            for word in (*words, "我用全民k歌唱了一首歌", "0:07"):
                assert word in browser.text("main"), word
            assert browser.js(f"{VIDEO}.readyState") == 0, "nothing is loaded before it is asked for"
            browser.wait_js("!document.querySelector('[data-wave]').hidden")
            browser.wait_js("!document.querySelector('[data-poster]')")
            look(browser, f"share-{language}")
            assert violations(browser, frontend) == []
            browser.click("[data-big]")
            browser.wait_js(f"{VIDEO}.currentTime > 0.5")
            look(browser, f"share-playing-{language}")
            browser.wait_js(f"{VIDEO}.ended", within=30)
            assert browser.js(f"{VIDEO}.webkitAudioDecodedByteCount") > 50_000
            assert browser.js(f"{VIDEO}.duration") == pytest.approx(SECONDS, abs=0.2)
            shown = browser.js("navigator.mediaSession.metadata")
            assert browser.js("navigator.mediaSession.metadata.artist") == "小明", shown
            assert browser.complaints() == []

    await asyncio.to_thread(at_the_phone)
    assert await shared.plays() == before + 1


@pytest.mark.browser
async def test_a_friend_signs_in_and_it_plays_by_keyboard_alone(
    shared: Shared, browse: OpenBrowser, frontend: Path
) -> None:
    friend = await shared.karaoke.singer("小红")
    accounts = [await account_of(shared.karaoke, name) for name in ("小明", "小红")]
    await shared.karaoke.services.identity.friends.befriend(*accounts)
    await shared.set_access(1)

    def at_the_phone() -> None:
        with browse(language="zh-CN", phone=True) as browser:
            browser.open(shared.address)
            assert browser.text("h1") == "仅好友可见"
            assert "七里香" not in browser.driver.page_source
            look(browser, "share-friends-zh-CN")
            assert violations(browser, frontend) == []
            browser.click("main a.button-main")
            browser.wait_js("document.querySelector('#name')")
            browser.press("小红" + Keys.TAB + PASSWORD + Keys.ENTER)
            browser.wait_js("document.querySelector('[data-player]')")
            assert browser.driver.current_url == shared.address
            assert "仅好友可见" in browser.text("main")
            browser.press("k")
            browser.wait_js(f"{VIDEO}.currentTime > 0.5")
            assert all("403" in complaint for complaint in browser.complaints())

    try:
        await asyncio.to_thread(at_the_phone)
    finally:
        await shared.set_access(0)
    assert friend.openid != shared.singer.openid


@pytest.mark.browser
async def test_a_page_that_waits_starts_by_itself(
    postgres: TestServer, tmp_path: Path, browse: OpenBrowser, frontend: Path
) -> None:
    with postgres.database() as database:
        async with running_karaoke(tmp_path / "data", database, worker=False) as karaoke:
            singer = await karaoke.singer("小明")
            made = (await karaoke.upload(singer, recording(5.0, 330)))["data"]
            waiting, end = asyncio.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()

            def at_the_phone() -> None:
                with browse(language="zh-CN", phone=True) as browser:
                    browser.open(f"{karaoke.address}/s/{made['share_id']}")
                    assert browser.text("h1") == "马上就好"
                    assert "七里香" in browser.text("main")
                    look(browser, "share-waiting-zh-CN")
                    assert violations(browser, frontend) == []
                    loop.call_soon_threadsafe(waiting.set)
                    browser.wait_js(f"{VIDEO} && {VIDEO}.currentTime > 0.3", within=60)
                    assert browser.text("h1") == "七里香"
                    assert browser.complaints() == []

            looking = asyncio.create_task(asyncio.to_thread(at_the_phone))
            started = asyncio.create_task(waiting.wait())
            await asyncio.wait({looking, started}, return_when=asyncio.FIRST_COMPLETED)
            working = asyncio.create_task(run_worker(karaoke.settings, stop=end))
            try:
                await looking
            finally:
                end.set()
                await working
                started.cancel()


# --- what other sites see ---------------------------------------------------------------------------------------------
class Head(HTMLParser):
    """The tags of a page by which others preview it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: dict[str, str] = {}
        self.canonical = ""
        self.data = ""
        self._reading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "meta":
            self.tags[values.get("property") or values.get("name", "")] = values.get("content", "")
        elif tag == "link" and values.get("rel") == "canonical":
            self.canonical = values["href"]
        self._reading = tag == "script" and values.get("type") == "application/ld+json"

    def handle_endtag(self, tag: str) -> None:
        self._reading = False

    def handle_data(self, data: str) -> None:
        if self._reading:
            self.data += data


async def test_other_sites_are_told_what_to_show(shared: Shared) -> None:
    http = shared.karaoke.http
    head = Head((await http.get(f"/s/{shared.made['share_id']}", headers={"Accept-Language": "zh-CN"})).text)
    tags = head.tags
    assert head.canonical == tags["og:url"] == shared.address
    assert (tags["og:type"], tags["og:title"]) == ("music.song", "七里香 – 小明")
    assert tags["og:description"] == tags["description"] == "我用全民k歌唱了一首歌"
    assert (tags["og:locale"], tags["music:duration"]) == ("zh_CN", "7")
    picture = await http.get(urlsplit(tags["og:image"]).path)
    assert picture.headers["content-type"] == "image/jpeg"
    assert tags["twitter:card"] == "summary_large_image", "players are for https alone"
    assert tags["twitter:image"] == tags["og:image"]
    player = await http.get(urlsplit(tags["og:video:url"]).path)
    assert "data-player" in player.text
    assert "frame-ancestors *" in player.headers["content-security-policy"]
    sound = await http.get(urlsplit(tags["og:audio"]).path, follow_redirects=True)
    assert sound.headers["content-type"] == tags["og:audio:type"] == "audio/mpeg"
    assert sound.content[:3] in (b"ID3", b"\xff\xfb\xe0", b"\xff\xfb\xb0") or sound.content[0] == 0xFF
    data = json.loads(head.data)
    assert (data["@type"], data["name"], data["byArtist"]["name"]) == ("MusicRecording", "七里香", "小明")
    assert re.fullmatch(r"PT7\.\d{3}S", data["duration"])
    assert data["audio"]["contentUrl"] == tags["og:audio"]


async def test_hostile_texts_stay_texts(karaoke: Karaoke) -> None:
    singer = await karaoke.singer("attacker")
    hostile = "</script><script>window.hacked=1</script><img src=x onerror=alert(1)>\"'&amp;"
    made = await enter(karaoke, singer, song_name=hostile, content=hostile, score=1)
    page = (await karaoke.http.get(f"/s/{made.share_id}")).text
    assert "<script>window" not in page
    assert "<img src=x" not in page
    head = Head(page)
    assert json.loads(head.data)["name"] == hostile
    assert head.tags["og:title"] == f"{hostile} – attacker"


async def test_scores_and_segments_are_told_as_they_came(karaoke: Karaoke) -> None:
    singer = await karaoke.singer("part singer")
    part = await enter(karaoke, singer, is_segment=True, segment_start=30_000, segment_end=70_000)
    page = (await karaoke.http.get(f"/s/{part.share_id}", headers={"Accept-Language": "en"})).text
    assert "Part of the song, 0:30 – 1:10" in page
    assert 'class="score"' not in page, "there is none"
