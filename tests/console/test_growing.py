"""A work in a real browser while it is being made: it plays from the first segments, sharpens, and never breaks off."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from openstage.settings import Settings
from tests.console.theatre import DURATION, SEGMENTS, SLUG, Theatre, running_theatre
from tests.support.browser import Browser, OpenBrowser, missing, open_browser
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

VIDEO = "document.querySelector('video')"
TIME = f"{VIDEO}.currentTime"
CLOCK = f"0:{DURATION}"
LONGEST_STALL = 250
"""Milliseconds for which the picture may stand still."""
# Looks at the player thirty times a second: where it is, how large the picture, and for how long it stood still; and at
# each picture that is shown, as the clock goes on with the sound.
WATCH = """
    const video = document.querySelector("video");
    const seen = window.seen = { stall: 0, frozen: 0, waited: 0, jumps: [], sizes: [] };
    video.addEventListener("waiting", () => seen.waited++);
    let shown = performance.now();
    const frame = (now) => {
        if (!video.paused) seen.frozen = Math.max(seen.frozen, now - shown);
        shown = now;
        video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
    let [at, since] = [video.currentTime, performance.now()];
    setInterval(() => {
        const now = performance.now();
        if (video.videoHeight && seen.sizes.at(-1) !== video.videoHeight) seen.sizes.push(video.videoHeight);
        if (video.currentTime === at && !video.paused) {
            seen.stall = Math.max(seen.stall, now - since);
            return;
        }
        const moved = video.currentTime - at;
        if (moved < 0 || moved > (now - since) / 1000 + 0.5) seen.jumps.push([at, video.currentTime]);
        [at, since] = [video.currentTime, now];
    }, 33);
"""


@pytest.fixture(scope="module")
def theatre(module_settings: Settings) -> Iterator[Theatre]:
    with running_theatre(module_settings) as running:
        yield running


@pytest.fixture(scope="module")
def desktop() -> Iterator[Browser]:
    if reason := missing():
        pytest.skip(reason)
    with open_browser() as opened:
        yield opened


@pytest.fixture
def browser(desktop: Browser, theatre: Theatre) -> Iterator[Browser]:
    theatre.refuse_events = False
    desktop.open(f"{theatre.address}/robots.txt")
    desktop.driver.execute_script("localStorage.clear()")
    desktop.complaints()
    yield desktop
    assert desktop.complaints() == []


def watch(browser: Browser, theatre: Theatre, path: str = f"/w/{SLUG}") -> None:
    browser.open(theatre.address + path)


def play(browser: Browser) -> None:
    browser.click("[data-big]")
    browser.wait_js(f"{TIME} > 0.2")
    browser.driver.execute_script(WATCH)


def seen(browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = browser.js("window.seen")
    return found


def test_it_plays_from_the_start_at_once_and_sharpens_as_rungs_arrive(browser: Browser, theatre: Theatre) -> None:
    theatre.enter()
    for quality in ("96", "a"):
        theatre.begin(quality, segments=5)
    watch(browser, theatre)
    began = time.monotonic()
    play(browser)
    assert browser.js(TIME) < 2 + time.monotonic() - began, "from its start, not near the end of what is there"
    assert browser.js(f"{VIDEO}.videoHeight") == 180
    assert browser.text("[data-length]") == CLOCK, "the whole duration is known, though a part is there"
    assert browser.js("document.querySelector('[data-seek]').max") == str(DURATION)
    assert str(browser.find("[data-seek]").get_attribute("aria-valuetext")).endswith(f"of {CLOCK}, ready up to 0:20")
    theatre.grow(6, "96", "a")
    theatre.whole("2")
    browser.wait_js(f"{VIDEO}.videoHeight === 360")
    assert browser.js(TIME) < 16, "sharper within seconds, not after all that was fetched before"
    assert "360p" in qualities(browser)
    assert "180p" not in qualities(browser), "what grows is not offered beside a whole rung"
    theatre.grow(SEGMENTS, "96", "a")
    theatre.settle()
    wait_for(lambda: "180p" in qualities(browser), what="the low rung")
    at = browser.js(TIME)
    browser.wait_js(f"{TIME} > {at + 1}")
    watched = seen(browser)
    assert watched["jumps"] == []
    assert watched["waited"] == 0
    assert watched["stall"] < LONGEST_STALL
    assert watched["frozen"] < 2 * LONGEST_STALL, "this machine may be busy with other tests"
    assert watched["sizes"] == [180, 360]
    assert theatre.plays() == 1, "to take up a rung is no other playback"
    browser.driver.execute_script(f"{TIME} = {DURATION - 1}")
    browser.wait_js(f"{VIDEO}.ended")


def test_a_chosen_quality_is_taken_up_when_it_arrives_and_where_events_do_not_get_through(
    browser: Browser, theatre: Theatre
) -> None:
    theatre.refuse_events = True
    browser.driver.execute_script("localStorage.setItem('openstage.player', '{\"quality\": 360}')")
    theatre.enter()
    for quality in ("96", "a"):
        theatre.begin(quality, segments=6)
    watch(browser, theatre)
    play(browser)
    theatre.whole("2")
    browser.wait_js(f"{VIDEO}.videoHeight === 360")
    assert seen(browser)["jumps"] == []
    assert browser.js("document.querySelector('input[name=quality]:checked').value") == "360"
    assert all("502" in complaint for complaint in browser.complaints())


def test_it_waits_where_playback_comes_to_the_end_of_what_is_there_and_goes_on(
    browser: Browser, theatre: Theatre
) -> None:
    theatre.enter()
    for quality in ("96", "a"):
        theatre.begin(quality, segments=2)
    watch(browser, theatre)
    play(browser)
    browser.driver.execute_script("document.querySelector('video').currentTime = 6")
    browser.wait_js("document.querySelector('.player').classList.contains('is-gathering')")
    assert 7.5 < browser.js(TIME) < 8.2
    assert browser.js(f"{VIDEO}.ended") is False
    assert "still being prepared" in browser.text(".player")
    browser.press("9")
    assert browser.js(TIME) < 8.2, "beyond what is there nobody can go"
    browser.wait_js("document.querySelector('.player').classList.contains('is-gathering')")
    browser.driver.execute_script(WATCH)
    theatre.grow(3, "96", "a")
    browser.wait_js(f"{VIDEO}.buffered.end(0) > 11.5")
    assert browser.js(TIME) < 8.2, "one segment more would only make it stutter"
    theatre.grow(6, "96", "a")
    browser.wait_js(f"{TIME} > 9")
    assert browser.js(f"{VIDEO}.playbackRate") == 1
    assert seen(browser)["jumps"] == [], "neither back nor to a live edge"


def test_the_page_that_waits_plays_by_itself_the_moment_the_work_is_offered(browser: Browser, theatre: Theatre) -> None:
    theatre.enter("publishing", duration=None)
    watch(browser, theatre)
    theatre.sql("update work set percent = 30, notice = 'This machine encodes slower than it plays.'")
    browser.wait_js("document.querySelector('progress').value === 30")
    assert "slower than it plays" in browser.text()
    for quality in ("96", "a"):
        theatre.begin(quality, segments=2)
    began = time.monotonic()
    theatre.sql("update work set state = 'published', run = 'r', duration_ms = %(ms)s", ms=DURATION * 1000)
    browser.wait_js(f"document.querySelector('video') && {TIME} > 0.1")
    assert time.monotonic() - began < 5
    assert browser.js("document.querySelector('h1').textContent") == "A walk by the lake"
    assert browser.text("[data-length]") == CLOCK
    browser.click("[data-toggle]")
    assert browser.js(f"{VIDEO}.paused") is True


def test_a_frame_that_waits_leaves_it_to_its_site_whether_to_play(browser: Browser, theatre: Theatre) -> None:
    theatre.enter("publishing")
    watch(browser, theatre, f"/e/{SLUG}")
    for quality in ("96", "a"):
        theatre.begin(quality, segments=2)
    theatre.sql("update work set state = 'published', run = 'r'")
    browser.wait_js("!!document.querySelector('[data-player]')")
    assert browser.js(f"{VIDEO}.paused") is True
    play(browser)


def test_the_seek_bar_shows_pictures_by_pointer_and_keyboard(browser: Browser, theatre: Theatre) -> None:
    theatre.enter()
    for quality in ("96", "a"):
        theatre.whole(quality)
    watch(browser, theatre)
    play(browser)
    theatre.pictures()  # they come while it plays
    wait_for(lambda: preview(browser, DURATION / 2 + 1), what="a picture under the pointer")
    tiles = {at: preview(browser, at) for at in (1.5, DURATION / 2 + 1.5, DURATION - 0.5)}
    assert [tile["position"] for tile in tiles.values()] == ["0px 0px", "0px -90px", "-480px -90px"]
    assert [tile["time"] for tile in tiles.values()] == ["0:01", "0:17", "0:31"]
    assert tiles[1.5]["size"] == [160, 90]
    assert all(tile["inside"] for tile in tiles.values()), "also at the ends of the bar"
    browser.js("document.querySelector('[data-seek-area]').dispatchEvent(new PointerEvent('pointerleave'))")
    assert not browser.find("[data-tip]").is_displayed()
    browser.press("k")
    browser.driver.execute_script("document.querySelector('[data-seek]').focus()")
    browser.press(Keys.ARROW_RIGHT)
    browser.wait_js("!document.querySelector('[data-tip]').hidden")
    at = int(float(browser.js(TIME)))
    assert browser.text("[data-tip-time]") == f"0:{at:02}"
    assert browser.js("getComputedStyle(document.querySelector('[data-tip-picture]')).backgroundImage").endswith(
        '.jpg")'
    )
    browser.press(Keys.TAB)
    assert not browser.find("[data-tip]").is_displayed()


def qualities(browser: Browser) -> str:
    return str(browser.js("document.querySelector('[data-qualities]').textContent"))


def preview(browser: Browser, at: float) -> dict[str, Any]:
    """Point at a moment of the seek bar; what is shown above it, nothing while there is no picture."""
    found: dict[str, Any] = browser.js(
        """(() => {
            const seek = document.querySelector("[data-seek]");
            const box = seek.getBoundingClientRect();
            const clientX = box.left + (box.width * arguments[0]) / Number(seek.max);
            seek.dispatchEvent(new PointerEvent("pointermove", { clientX, bubbles: true }));
            const picture = document.querySelector("[data-tip-picture]");
            const [shown, player] = [picture, seek.closest(".player")].map((each) => each.getBoundingClientRect());
            return picture.hidden ? {} : {
                position: picture.style.backgroundPosition,
                size: [shown.width, shown.height],
                time: document.querySelector("[data-tip-time]").textContent,
                inside: shown.left >= player.left && shown.right <= player.right,
            };
        })()""",
        at,
    )
    return found


def test_a_native_player_begins_at_the_start_too_and_takes_up_rungs_after_a_pause(
    browse: OpenBrowser, theatre: Theatre
) -> None:
    theatre.enter()
    for quality in ("96", "a"):
        theatre.begin(quality, segments=6)
    with browse() as browser:
        # As on old iPhones: no Media Source Extensions.
        without = "for (const name of ['MediaSource', 'ManagedMediaSource', 'WebKitMediaSource']) delete window[name];"
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": without})
        watch(browser, theatre)
        if not browser.js("document.createElement('video').canPlayType('application/vnd.apple.mpegurl')"):
            pytest.skip("this Chromium plays no HLS by itself")
        play(browser)
        assert browser.js(f"{VIDEO}.src").startswith("http"), "not through hls.js"
        assert browser.js(TIME) < 4
        assert browser.js("document.querySelector('[data-seek]').max") == str(DURATION)
        theatre.whole("2")
        theatre.grow(SEGMENTS, "96", "a")
        theatre.settle()
        browser.wait_js(f"{TIME} > 2")
        assert browser.js(f"{VIDEO}.videoHeight") == 180, "what a native player plays is left alone"
        browser.press("k")
        at = browser.js(TIME)
        browser.press("k")
        browser.wait_js(f"{VIDEO}.videoHeight === 360 && {TIME} > {at + 0.5}")
        assert browser.js(TIME) < at + 10
        assert theatre.plays() == 1
