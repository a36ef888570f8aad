"""A real browser for tests: headless Chromium from Debian's packages (Firefox ESR in the slow tier), through selenium.

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
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement

from tests.support.waiting import wait_for

Kind = Literal["chromium", "firefox"]
PHONE = (375, 667)
"""A small phone's screen in CSS pixels."""
_PROGRAMS: dict[Kind, tuple[str, ...]] = {
    "chromium": ("/usr/bin/chromium", "/usr/bin/chromedriver"),
    "firefox": ("/usr/bin/firefox-esr",),
}
# Runs before any of a page's own scripts.
_LISTEN_FOR_VIOLATIONS = """
    window.cspViolations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
        window.cspViolations.push(`${event.violatedDirective}: ${event.blockedURI || event.sourceFile}`));
"""


def missing(kind: Kind = "chromium") -> str:
    """Why this machine has no such browser; empty when it has."""
    absent = [program for program in _PROGRAMS[kind] if not Path(program).exists()]
    if kind == "firefox" and not _geckodriver():
        absent.append("geckodriver")
    return f"browser tests left out, not installed: {', '.join(absent)}" if absent else ""


class Browser:
    """One browser window with nothing remembered from before."""

    def __init__(self, driver: WebDriver, kind: Kind) -> None:
        self.driver = driver
        self.kind = kind

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
        if self.kind == "chromium":
            log = self.driver.get_log("browser")  # type: ignore[attr-defined]
            found += [entry["message"] for entry in log if entry["level"] in {"SEVERE", "WARNING"}]
        return found

    def screenshot(self, path: Path) -> None:
        """Write what is on the screen as a PNG."""
        assert self.driver.save_screenshot(str(path))


OpenBrowser = Callable[..., contextlib.AbstractContextManager[Browser]]
"""The type of the fixture `browse`: `open_browser` that skips the test where there is no browser."""


@contextlib.contextmanager
def open_browser(
    kind: Kind = "chromium",
    *,
    language: str = "en-GB",
    size: tuple[int, int] = (1280, 800),
    phone: bool = False,
    dark: bool = False,
) -> Iterator[Browser]:
    """Start a browser and end it with the block.

    Args:
        kind: which.
        language: what it asks servers for (Accept-Language).
        size: of the page in CSS pixels.
        phone: a touch screen of `PHONE` with two device pixels per CSS pixel instead (Chromium).
        dark: prefer dark colours (Chromium).

    """
    driver = _chromium(language, size, phone=phone, dark=dark) if kind == "chromium" else _firefox(language, size)
    try:
        driver.set_page_load_timeout(30)
        yield Browser(driver, kind)
    finally:
        driver.quit()


@pytest.fixture
def browse() -> OpenBrowser:
    """`open_browser`, or a skipped test."""
    if reason := missing():
        pytest.skip(reason)
    return open_browser


def _chromium(language: str, size: tuple[int, int], *, phone: bool, dark: bool) -> WebDriver:
    options = webdriver.ChromeOptions()
    options.binary_location = _PROGRAMS["chromium"][0]
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
    service = webdriver.ChromeService(_PROGRAMS["chromium"][1], log_output=subprocess.DEVNULL)
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


def _firefox(language: str, size: tuple[int, int]) -> WebDriver:
    options = webdriver.FirefoxOptions()
    options.binary_location = _PROGRAMS["firefox"][0]
    options.add_argument("-headless")
    options.add_argument(f"--width={size[0]}")
    options.add_argument(f"--height={size[1]}")
    options.set_preference("intl.accept_languages", language)
    service = webdriver.FirefoxService(_geckodriver() or "geckodriver", log_output=subprocess.DEVNULL)
    return webdriver.Firefox(options=options, service=service)


def _geckodriver() -> str | None:
    return shutil.which("geckodriver")
