"""The pages in a real browser: it plays, it can be used by mouse, finger and keyboard, and nothing complains."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from tests.console.site import DURATION, Site, running_site, work
from tests.support.browser import PHONE, Browser, OpenBrowser, missing, open_browser
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

SLUG = "abcdefgh12345678"
VIDEO = "document.querySelector('video')"
TIME = f"{VIDEO}.currentTime"
TITLE = "晨光里的西湖，<b>一个</b>很长很长的标题 with_a_word_that_is_much_longer_than_the_screen_of_a_phone_is_wide"


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def site(running: Site) -> Site:
    running.works.works.clear()
    running.works.sound_only.clear()
    running.works.undecodable.clear()
    running.works.add(work())
    running.asked.clear()
    return running


@pytest.fixture(scope="module")
def desktop(running: Site) -> Iterator[Browser]:
    if reason := missing():
        pytest.skip(reason)
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def phone(running: Site) -> Iterator[Browser]:
    """A phone's screen, one for all tests that look at it."""
    if reason := missing():
        pytest.skip(reason)
    with open_browser(phone=True) as opened:
        yield opened


@pytest.fixture
def browser(desktop: Browser, site: Site) -> Iterator[Browser]:
    """A desktop browser that remembers nothing, and must have nothing to complain about in the end."""
    desktop.open(f"{site.address}/robots.txt")
    desktop.driver.execute_script("localStorage.clear()")
    desktop.driver.delete_all_cookies()
    desktop.complaints()
    yield desktop
    assert desktop.complaints() == []


def watch(browser: Browser, site: Site, path: str = f"/w/{SLUG}") -> None:
    browser.open(site.address + path)


def play(browser: Browser) -> None:
    browser.click("[data-big]")
    browser.wait_js(f"{TIME} > 0.3")


def choose(browser: Browser, group: str, value: str) -> None:
    browser.click("[data-settings]")
    browser.click(f"input[name={group}][value='{value}']")
    browser.click("[data-settings]")


def no_sideways_scrolling(browser: Browser) -> bool:
    return bool(browser.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_it_plays_to_the_end_and_again(browser: Browser, site: Site) -> None:
    watch(browser, site)
    assert browser.js(f"{VIDEO}.readyState") == 0, (
        "nothing is loaded, and so no play is counted, before it is asked for"
    )
    assert site.addresses.given == 0
    play(browser)
    assert browser.js(f"{VIDEO}.videoWidth") == 640
    assert browser.js(f"{VIDEO}.duration") == pytest.approx(DURATION, abs=0.2)
    assert browser.js(f"{VIDEO}.src").startswith("blob:"), "hls.js plays, also where the browser claims to know HLS"
    browser.driver.execute_script(f"{TIME} = {DURATION - 0.5}")
    browser.wait_js(f"{VIDEO}.ended")
    assert browser.find("[data-big]").get_attribute("aria-label") == "Play again"
    browser.click("[data-big]")
    browser.wait_js(f"!{VIDEO}.paused && {TIME} < 5 && {TIME} > 0.1")


def test_sound_and_picture_are_both_there(browser: Browser, site: Site) -> None:
    watch(browser, site)
    play(browser)
    browser.wait_js(f"{VIDEO}.webkitAudioDecodedByteCount > 0 && {VIDEO}.webkitVideoDecodedByteCount > 0")


def test_the_quality_can_be_chosen_and_is_remembered(browser: Browser, site: Site) -> None:
    watch(browser, site)
    play(browser)
    choose(browser, "quality", "180")
    browser.wait_js(f"{VIDEO}.videoHeight === 180")
    browser.wait_js("document.querySelector('[data-now]').textContent === '180p'")
    site.asked.clear()
    watch(browser, site)
    play(browser)
    assert browser.js(f"{VIDEO}.videoHeight") == 180
    assert set(site.rungs_asked()) == {"180"}
    assert browser.js("document.querySelector('input[name=quality]:checked').value") == "180"
    choose(browser, "quality", "360")
    browser.wait_js(f"{VIDEO}.videoHeight === 360")
    choose(browser, "quality", "0")
    watch(browser, site)
    play(browser)
    assert browser.js("document.querySelector('input[name=quality]:checked').value") == "0"


def test_the_speed_can_be_chosen(browser: Browser, site: Site) -> None:
    watch(browser, site)
    play(browser)
    choose(browser, "speed", "2")
    assert browser.js(f"{VIDEO}.playbackRate") == 2
    watch(browser, site)
    play(browser)
    assert browser.js(f"{VIDEO}.playbackRate") == 2


def test_seeking_with_the_bar(browser: Browser, site: Site) -> None:
    watch(browser, site)
    play(browser)
    browser.click("[data-seek]")  # in the middle
    browser.wait_js(f"!{VIDEO}.seeking && {TIME} > {DURATION / 2 - 1}")
    assert float(browser.js(TIME)) < DURATION / 2 + 2
    assert str(browser.find("[data-seek]").get_attribute("aria-valuetext")).endswith("of 0:12")


def test_the_keyboard_does_everything(browser: Browser, site: Site) -> None:
    watch(browser, site)
    browser.press("k")
    browser.wait_js(f"{TIME} > 0.3")
    browser.press(" ")
    browser.wait_js(f"{VIDEO}.paused")
    browser.press("5")
    browser.wait_js(f"Math.abs({TIME} - {DURATION / 2}) < 0.1")
    browser.press(Keys.ARROW_RIGHT)
    browser.wait_js(f"Math.abs({TIME} - {DURATION / 2 + 5}) < 0.1")
    browser.press("j")
    browser.wait_js(f"Math.abs({TIME} - {DURATION / 2 - 5}) < 0.1")
    browser.press("m")
    assert browser.js(f"{VIDEO}.muted") is True
    assert browser.find("[data-mute]").get_attribute("aria-label") == "Unmute"
    browser.press("f")
    browser.wait_js("document.fullscreenElement?.classList.contains('player')")
    browser.press("f")
    browser.wait_js("!document.fullscreenElement")


def test_every_control_is_reached_by_tab_and_has_a_name(browser: Browser, site: Site) -> None:
    watch(browser, site)
    play(browser)
    browser.press("k")
    browser.driver.execute_script("document.activeElement.blur()")
    names: list[str] = []
    for _ in range(20):
        browser.press(Keys.TAB)
        focused = browser.driver.switch_to.active_element
        if focused.tag_name == "body":
            break  # once round
        assert focused.accessible_name, focused.get_attribute("outerHTML")
        names.append(focused.accessible_name)
    for name in ("Position", "Play", "Mute", "Volume", "Settings 360p", "Full screen"):
        assert name in names
    browser.find("[data-settings]").send_keys(Keys.ENTER)
    assert browser.find("[data-settings]").get_attribute("aria-expanded") == "true"
    assert browser.js("document.activeElement.name") == "quality", "the focus moves into the panel that opened"
    browser.press(Keys.ARROW_DOWN)
    assert browser.js("document.activeElement.value") == "360"
    browser.press(Keys.ESCAPE)
    assert browser.js("document.activeElement.hasAttribute('data-settings')")


def test_a_page_that_was_left_open_plays_with_a_fresh_address(browser: Browser, site: Site) -> None:
    watch(browser, site)
    site.addresses.expire()
    play(browser)
    # Whatever the page was given has expired; playing goes on where it was. Media already loaded doesn't hide it.
    browser.press("k")
    site.addresses.expire()
    given = site.addresses.given
    browser.driver.execute_script("performance.now = () => 3_600_000")
    browser.driver.execute_script(f"{TIME} = 0.5")
    choose(browser, "quality", "180")
    browser.press("k")
    wait_for(lambda: site.addresses.given > given, what="a fresh address")
    browser.wait_js(f"!{VIDEO}.paused && {VIDEO}.videoHeight === 180 && {TIME} > 0.6")
    # The refused requests are on the console, and nothing else.
    assert all("403" in complaint for complaint in browser.complaints())


def test_a_work_that_was_taken_down_says_so(browser: Browser, site: Site) -> None:
    watch(browser, site)
    site.works.add(work(state="refused"))
    browser.click("[data-big]")
    browser.wait_js("!document.querySelector('[data-fault]').hidden")
    assert "no longer available" in browser.text("[data-fault]")
    assert not browser.find(".player-spinner").is_displayed()
    assert browser.find("[data-toggle]").accessible_name == "Play"
    site.works.add(work())
    browser.click("[data-retry]")
    browser.wait_js(f"{TIME} > 0.3")
    assert all("410" in complaint for complaint in browser.complaints())


def test_what_the_browser_cannot_decode_is_said(browser: Browser, site: Site) -> None:
    site.works.undecodable.add(SLUG)
    watch(browser, site)
    browser.click("[data-big]")
    browser.wait_js("!document.querySelector('[data-fault]').hidden")
    assert "Your browser can't play this" in browser.text("[data-fault]")


def test_a_work_that_is_being_published_opens_by_itself(browser: Browser, site: Site) -> None:
    site.works.add(work(state="publishing", percent=20.0))
    watch(browser, site)
    assert "being prepared" in browser.text()
    site.works.add(work(state="publishing", percent=60.0))
    browser.wait_js("document.querySelector('progress').value === 60")
    site.works.add(work())
    browser.wait_js("!!document.querySelector('[data-player]')")


def test_sound_without_a_picture_plays(browser: Browser, site: Site) -> None:
    site.works.sound_only.add(SLUG)
    site.works.add(work(pictures=[]))
    watch(browser, site)
    play(browser)
    assert browser.js(f"{VIDEO}.videoWidth") == 0
    assert not browser.find("[data-qualities]").is_displayed()
    assert browser.find(".player-art").is_displayed()


def test_hostile_text_does_nothing(browser: Browser, site: Site) -> None:
    hostile = "</title></script><img src=x onerror=window.hacked=1><script>window.hacked=1</script>\"'"
    site.works.add(work(title=hostile, description=hostile, tags=[hostile]))
    for path in ("/", f"/w/{SLUG}", f"/e/{SLUG}"):
        watch(browser, site, path)
        assert browser.js("window.hacked") is None
        assert browser.js("document.images.length") <= 2
    assert hostile in str(browser.js("document.title"))


def test_screen_readers_and_low_vision_are_served(browser: Browser, site: Site, frontend: Path) -> None:
    """What axe-core can see: names, roles, landmarks, contrast."""
    axe = (frontend / "node_modules/axe-core/axe.min.js").read_text()
    site.works.add(work("waiting000000000", id=2, state="publishing", percent=40.0))
    site.works.add(work("gone000000000000", id=3, state="failed"))
    run = "axe.run().then((found) => arguments[0](found.violations.map((v) => [v.id, v.nodes.map((n) => n.html)])))"
    pages = ["/", "/docs/quickstart", "/e/gone000000000000", "/w/waiting000000000", f"/w/{SLUG}"]
    for path in pages:
        watch(browser, site, path)
        browser.driver.execute_script(axe)
        assert browser.driver.execute_async_script(run) == [], path
    play(browser)
    browser.click("[data-settings]")
    browser.wait_js("document.getAnimations().length === 0")
    assert browser.driver.execute_async_script(run) == []
    assert all("410" in complaint for complaint in browser.complaints())


@pytest.mark.parametrize("path", ["/", f"/w/{SLUG}", f"/e/{SLUG}", "/w/nothing", "/docs/", "/docs/video-dialect"])
def test_on_a_phone_nothing_is_wider_than_the_screen(phone: Browser, site: Site, path: str) -> None:
    site.works.add(work(title=TITLE, description=TITLE * 3, tags=["tag"] * 30))
    watch(phone, site, path)
    phone.driver.execute_script("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert phone.js("window.innerWidth") == PHONE[0]
    assert no_sideways_scrolling(phone)


def test_on_a_phone_it_plays_at_a_tap(phone: Browser, site: Site) -> None:
    phone.complaints()
    watch(phone, site)
    play(phone)
    assert phone.js(f"{VIDEO}.getBoundingClientRect().width") == PHONE[0]
    phone.click("[data-settings]")
    panel = phone.find("[data-panel]").rect
    assert panel["width"] == PHONE[0]
    assert phone.find("input[name=speed]").is_displayed()
    assert phone.complaints() == []


def test_both_languages_in_the_browsers_own_words(browse: OpenBrowser, site: Site) -> None:
    with browse(language="zh-CN") as browser:
        watch(browser, site)
        assert browser.js("document.documentElement.lang") == "zh-CN"
        assert browser.find("[data-big]").accessible_name == "播放"
        play(browser)
        assert browser.find("[data-toggle]").accessible_name == "暂停"
        browser.click(".top-links a[hreflang=en]")
        assert browser.find("[data-big]").accessible_name == "Play"
        watch(browser, site, "/")
        assert "An open media platform" in browser.text(), "the choice is kept"
        assert browser.complaints() == []


def test_the_start_page_leads_to_playing(browser: Browser, site: Site) -> None:
    watch(browser, site, "/")
    browser.wait_js("document.querySelector('[data-health]').dataset.health === 'good'")
    assert browser.js("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    browser.click("[data-copy]")
    browser.wait_js("document.querySelector('[data-copy]').textContent === 'Copied'")
    browser.click(".card a")
    play(browser)


def test_other_sites_can_embed_the_player_and_nothing_else(browser: Browser, site: Site) -> None:
    # Another host name is another site.
    framing = site.address.replace("127.0.0.1", "localhost") + "/test/framing?src="
    browser.open(framing + quote(f"{site.address}/e/{SLUG}?autoplay=1"))
    browser.driver.switch_to.frame(0)
    browser.wait_js(f"{TIME} > 0.3")
    assert browser.js(f"{VIDEO}.muted") is True
    assert browser.complaints() == []
    browser.open(framing + quote(f"{site.address}/w/{SLUG}"))
    browser.driver.switch_to.frame(0)
    assert browser.driver.find_elements("css selector", "[data-player]") == []
    browser.driver.switch_to.default_content()
    assert all("frame-ancestors" in complaint for complaint in browser.complaints())
