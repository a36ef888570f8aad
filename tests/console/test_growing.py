"""A work in a real browser while it is being made: it plays from the first segments, sharpens, and never breaks off."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from openstage.settings import Settings
from tests.console.theatre import DURATION, SLUG, Theatre, running_theatre
from tests.support.browser import Browser, missing, open_browser
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

VIDEO = "document.querySelector('video')"
TIME = f"{VIDEO}.currentTime"
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


@pytest.mark.parametrize("events", [True, False], ids=["told by events", "asking now and then"])
def test_it_plays_from_the_start_at_once_and_sharpens_as_rungs_arrive(
    browser: Browser, theatre: Theatre, events: bool
) -> None:
    theatre.refuse_events = not events
    theatre.enter()
    for quality in ("96", "a"):
        theatre.begin(quality, segments=5)
    watch(browser, theatre)
    began = time.monotonic()
    play(browser)
    assert browser.js(TIME) < 2 + time.monotonic() - began, "from its start, not near the end of what is there"
    assert browser.js(f"{VIDEO}.videoHeight") == 180
    assert browser.text("[data-length]") == "0:48", "the whole duration is known, though a part is there"
    assert browser.js("document.querySelector('[data-seek]').max") == str(DURATION)
    assert str(browser.find("[data-seek]").get_attribute("aria-valuetext")).endswith("of 0:48, ready up to 0:20")
    theatre.grow(8, "96", "a")
    theatre.whole("2")
    browser.wait_js(f"{VIDEO}.videoHeight === 360")
    assert browser.js(TIME) < 16, "sharper within seconds, not after all that was fetched before"
    browser.click("[data-settings]")
    labels = browser.text("[data-qualities]")
    browser.click("[data-settings]")
    assert "360p" in labels
    assert "180p" not in labels, "what grows is not offered beside a whole rung"
    theatre.grow(DURATION // 4, "96", "a")
    theatre.settle()
    wait_for(
        lambda: "180p" in browser.js("document.querySelector('[data-qualities]').textContent"), what="the low rung"
    )
    at = browser.js(TIME)
    browser.wait_js(f"{TIME} > {at + 2}")
    watched = seen(browser)
    print("SEEN", watched)
    assert watched["jumps"] == []
    assert watched["stall"] < LONGEST_STALL
    assert watched["sizes"] == [180, 360]
    browser.driver.execute_script(f"{TIME} = {DURATION - 1}")
    browser.wait_js(f"{VIDEO}.ended")
    browser.complaints() if not events else None
