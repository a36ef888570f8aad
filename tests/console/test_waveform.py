"""A work without pictures shows its waveform in a real browser: where it plays, and where to go."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains

from openstage.media.waveform import Waveform
from openstage.settings import Settings
from openstage.works import products
from openstage.works.models import Extra, Picture
from tests.console.theatre import DURATION, SLUG, Theatre, running_theatre
from tests.support.browser import Browser, missing, open_browser
from tests.support.fixtures import run_ffmpeg

pytestmark = pytest.mark.browser

TIME = "document.querySelector('video').currentTime"
WAVE = "document.querySelector('[data-wave]')"
# Colours of the waveform's pixels from a place on (shares of width and height), by a copy that is made for reading.
PIXELS = f"""
    (([x, y]) => {{
        const copy = new OffscreenCanvas({WAVE}.width, {WAVE}.height).getContext("2d", {{ willReadFrequently: true }});
        copy.drawImage({WAVE}, 0, 0);
        const {{ data }} = copy.getImageData(Math.round(x * {WAVE}.width), Math.round(y * {WAVE}.height), 8, 1);
        return [0, 1, 2, 3].map((part) => Math.max(...data.filter((_, at) => at % 4 === part)));
    }})(arguments)
"""


def rising() -> Waveform:
    """Sound that begins in silence and gets louder steadily until the end."""
    points = 48000 * DURATION // 256
    highs = array("h", [16000 * at // points for at in range(points)])
    return Waveform(48000, 256, array("h", [-high for high in highs]), highs)


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
    desktop.open(f"{theatre.address}/robots.txt")
    desktop.driver.execute_cdp_cmd("Network.clearBrowserCache", {})  # posters of the same address
    desktop.complaints()
    yield desktop
    assert desktop.complaints() == []


def enter_waveform(theatre: Theatre) -> None:
    """The waveform has been made."""

    async def enter() -> None:
        content = rising().to_json()
        await theatre.store.put("works/0/r/waveform.json", content)
        extra = Extra("waveform.json", "application/json", len(content), "works/0/r/waveform.json")
        async with theatre.database.transaction() as connection:
            await products.add_extras(connection, theatre.work_id, "r", [extra])

    theatre.do(enter())


def enter_poster(theatre: Theatre, folder: Path, width: int, height: int) -> None:
    """There is a poster of a size."""
    file = folder / "poster.jpg"
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc=size={width}x{height}", "-frames:v", "1", str(file))
    content = file.read_bytes()

    async def enter() -> None:
        await theatre.store.put("works/0/r/pictures/img.jpg", content)
        picture = Picture("img", width, height, len(content), "works/0/r/pictures/img.jpg")
        async with theatre.database.transaction() as connection:
            await products.add_pictures(connection, theatre.work_id, "r", [picture])

    theatre.do(enter())


def shown(browser: Browser, theatre: Theatre) -> None:
    browser.open(f"{theatre.address}/w/{SLUG}")
    browser.wait_js(f"!{WAVE}.hidden && {WAVE}.dataset.played !== undefined")


def click_at(browser: Browser, share: float) -> None:
    """Click on a place of the waveform, near its upper edge."""
    canvas = browser.find("[data-wave]")
    x, y = round(canvas.size["width"] * (share - 0.5)), round(canvas.size["height"] * -0.45)
    ActionChains(browser.driver).move_to_element_with_offset(canvas, x, y).click().perform()


def test_it_shows_the_sound_and_a_click_plays_from_there(browser: Browser, theatre: Theatre, tmp_path: Path) -> None:
    theatre.enter(pending=False)
    theatre.whole("a")
    enter_waveform(theatre)
    enter_poster(theatre, tmp_path, 640, 360)  # the server's own drawing of the same
    shown(browser, theatre)
    assert browser.js("document.querySelector('[data-poster]')") is None
    assert [browser.js(PIXELS, place, 0.25)[3] > 0 for place in (0.1, 0.3, 0.7, 0.95)] == [False, False, True, True]
    click_at(browser, 0.75)
    browser.wait_js(f"{TIME} > {DURATION * 0.75 + 0.2}")
    assert browser.js(TIME) < DURATION * 0.75 + 5
    assert browser.js(f"Number({WAVE}.dataset.played)") == pytest.approx(browser.js(TIME) / DURATION, abs=0.01)
    red, green, blue, *_ = browser.js(PIXELS, 0.5, 0.5)
    assert red > 1.5 * max(green, blue), "what has been played has the brand's colour"
    red, green, blue, *_ = browser.js(PIXELS, 0.97, 0.5)
    assert red == green == blue > 0
    click_at(browser, 0.25)
    browser.wait_js(f"{TIME} < {DURATION * 0.25 + 5}")
    assert browser.js(TIME) >= DURATION * 0.25 - 0.2
    assert browser.js("document.querySelector('video').paused") is False


def test_it_comes_while_the_sound_plays_and_leaves_a_cover_in_sight(
    browser: Browser, theatre: Theatre, tmp_path: Path
) -> None:
    theatre.enter()
    theatre.whole("a")
    enter_poster(theatre, tmp_path, 400, 400)
    browser.open(f"{theatre.address}/w/{SLUG}")
    browser.click("[data-big]")
    browser.wait_js(f"{TIME} > 0.2")
    assert browser.js(f"{WAVE}.hidden") is True
    enter_waveform(theatre)
    browser.wait_js(f"!{WAVE}.hidden && Number({WAVE}.dataset.played) > 0")
    cover, wave = (
        browser.js(f"document.querySelector('{name}').getBoundingClientRect().toJSON()")
        for name in ("[data-poster]", "[data-wave]")
    )
    assert cover["right"] < wave["left"]
    assert wave["width"] > 200
