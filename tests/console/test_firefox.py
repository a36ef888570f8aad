"""The watch page in Firefox, which knows no HLS of its own."""

import pytest

from openstage.settings import Settings
from tests.console import theatre
from tests.console.site import DURATION, running_site, work
from tests.support.browser import missing
from tests.support.firefox import PROGRAM, open_firefox

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VIDEO = "document.querySelector('video')"
DECODES = """MediaSource.isTypeSupported('video/mp4; codecs="avc1.42c01e,mp4a.40.2"')"""
NO_DECODER = "left out: this Firefox can't decode H.264 (Debian: its recommended libavcodec is missing)"


def test_it_plays_in_firefox() -> None:
    if reason := missing(PROGRAM):
        pytest.skip(reason)
    with running_site(work("abcdefgh12345678")) as site, open_firefox(language="zh-CN") as browser:
        browser.open(f"{site.address}/w/abcdefgh12345678")
        assert browser.js("document.documentElement.lang") == "zh-CN"
        if not browser.js(DECODES):
            pytest.skip(NO_DECODER)
        browser.click("[data-big]")
        browser.wait_js(f"{VIDEO}.currentTime > 0.3", within=40)
        assert browser.js(f"{VIDEO}.videoWidth") == 640
        assert abs(browser.js(f"{VIDEO}.duration") - DURATION) < 0.2
        browser.click("[data-settings]")
        browser.click("input[name=quality][value='180']")
        browser.wait_js(f"{VIDEO}.videoHeight === 180")
        browser.press("5")
        browser.wait_js(f"{VIDEO}.currentTime >= {DURATION / 2} && !{VIDEO}.seeking")
        browser.press("k")
        browser.wait_js(f"{VIDEO}.paused")
        browser.open(f"{site.address}/")
        browser.wait_js("document.querySelector('[data-health]').dataset.health === 'good'")
        assert browser.complaints() == []


def test_a_growing_work_sharpens_in_firefox(module_settings: Settings) -> None:
    if reason := missing(PROGRAM):
        pytest.skip(reason)
    with theatre.running_theatre(module_settings) as stage, open_firefox() as browser:
        stage.enter()
        for quality in ("96", "a"):
            stage.begin(quality, segments=5)
        browser.open(f"{stage.address}/w/{theatre.SLUG}")
        if not browser.js(DECODES):
            pytest.skip(NO_DECODER)
        browser.click("[data-big]")
        browser.wait_js(f"{VIDEO}.currentTime > 0.3", within=40)
        browser.js(
            """(() => {
                const video = document.querySelector("video");
                window.seen = { waited: 0, sought: 0 };
                video.addEventListener("waiting", () => window.seen.waited++);
                video.addEventListener("seeking", () => window.seen.sought++);
            })()"""
        )
        stage.whole("2")
        browser.wait_js(f"{VIDEO}.videoHeight === 360", within=40)
        at = browser.js(f"{VIDEO}.currentTime")
        assert at < 16
        browser.wait_js(f"{VIDEO}.currentTime > {at + 2}")
        assert browser.js("window.seen") == {"waited": 0, "sought": 0}
        assert browser.complaints() == []
