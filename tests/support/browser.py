"""A real browser for tests: headless Chromium from Debian's packages, through selenium (Firefox: `firefox.py`).

    @pytest.mark.browser
    def test_it_plays(browse: OpenBrowser) -> None:
        with browse(language="zh-CN", phone=True) as browser:
            browser.open(address)
            browser.wait_js("document.querySelector('video').currentTime > 1")
            assert browser.complaints() == []

Tests that ask for a browser are skipped, with the reason, where it isn't installed.
"""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.waiting import wait_for

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
PHONE = (375, 667)
"""A small phone's screen in CSS pixels."""
# Runs before any of a page's own scripts.
_LISTEN_FOR_VIOLATIONS = """
    window.cspViolations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
        window.cspViolations.push(`${event.violatedDirective}: ${event.blockedURI || event.sourceFile}`));
"""


def missing(*programs: Path) -> str:
    """Why this machine can't run the browser tests (of Chromium, or of the programs named); empty when it can."""
    absent = [str(program) for program in programs or (CHROMIUM, DRIVER) if not program.exists()]
    return f"browser test left out, not installed: {', '.join(absent)}" if absent else ""


class Browser:
    """One browser window with nothing remembered from before."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Load a page and wait for its scripts."""
        self.driver.get(address)

    def js(self, expression: str, *arguments: object) -> Any:
        """The value of a JavaScript expression; `arguments[0]` … are what is passed."""
        return self.driver.execute_script(f"return ({expression});", *arguments)

    def wait_js(self, expression: str, within: float = 20.0) -> Any:
        """Wait until a JavaScript expression is truthy, and give its value."""
        return wait_for(lambda: self.js(expression), within=within, what=expression, every=0.05)

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click where a person would: the middle of the element, if nothing covers it."""
        self.find(selector).click()

    def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        return self.find(selector).text

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(key)

    def complaints(self) -> list[str]:
        """Errors on the console and violations of the Content-Security-Policy since the last call."""
        found = [str(violation) for violation in self.js("window.cspViolations || []")]
        log = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return found + [entry["message"] for entry in log if entry["level"] in {"SEVERE", "WARNING"}]

    def screenshot(self, path: Path) -> None:
        """Write what is on the screen as a PNG."""
        assert self.driver.save_screenshot(str(path))


OpenBrowser = Callable[..., contextlib.AbstractContextManager[Browser]]
"""The type of the fixture `browse`: `open_browser` that skips the test where there is no browser."""


@contextlib.contextmanager
def open_browser(
    *,
    language: str = "en-GB",
    size: tuple[int, int] = (1280, 800),
    phone: bool = False,
    dark: bool = False,
) -> Iterator[Browser]:
    """Start Chromium with nothing remembered from before, and end it with the block.

    Args:
        language: what it asks servers for (Accept-Language).
        size: of the page in CSS pixels.
        phone: a touch screen of `PHONE` with two device pixels per CSS pixel instead.
        dark: prefer dark colours.

    """
    driver = _chromium(language, size, phone=phone, dark=dark)
    try:
        driver.set_page_load_timeout(30)
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture
def browse() -> OpenBrowser:
    """`open_browser`, or a skipped test."""
    if reason := missing():
        pytest.skip(reason)
    return open_browser


def _chromium(language: str, size: tuple[int, int], *, phone: bool, dark: bool) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    width, height = PHONE if phone else size
    arguments = ["--headless=new", f"--window-size={width},{height}", f"--accept-lang={language}"]
    # Small /dev/shm in containers; no calls home; sound goes nowhere.
    arguments += ["--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run", "--mute-audio"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if phone:
        metrics = {"width": width, "height": height, "pixelRatio": 2.0, "touch": True, "mobile": True}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    service = webdriver.ChromeService(str(DRIVER), log_output=subprocess.DEVNULL)
    driver = webdriver.Chrome(options=options, service=service)
    if not phone:
        # The window's frame takes a part of its size.
        whole = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", whole)
    if dark:
        preference = {"name": "prefers-color-scheme", "value": "dark"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _LISTEN_FOR_VIOLATIONS})
    return driver
