"""The page behind a QR code on a phone's screen, from the code on a screen to the device's tokens."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
import zxingcpp
from selenium.webdriver.common.keys import Keys

from tests.oauth.conftest import PASSWORD, OauthServer, make_client
from tests.oauth.karaoke import Api
from tests.oauth.test_browser import look
from tests.support.browser import Browser, OpenBrowser, browse
from tests.support.frontend import barriers

__all__ = ["browse"]

pytestmark = pytest.mark.browser


@pytest.fixture
async def api(server: OauthServer) -> AsyncIterator[Api]:
    async with httpx.AsyncClient(base_url=server.address, timeout=60, verify=False) as http:
        yield Api(http, await make_client(server))


async def scanned(api: Api, ticket: dict[str, Any]) -> str:
    """The address that a phone's camera reads off the device's screen."""
    picture = await api.http.get(httpx.URL(ticket["qr_png_url"]).path)
    with av.open(io.BytesIO(picture.content), "r") as opened:
        [code] = zxingcpp.read_barcodes(next(opened.decode(video=0)).to_ndarray(format="gray"))
    return f"{api.http.base_url}".rstrip("/") + httpx.URL(code.text).path


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en-GB",
            {
                "in": "Sign in",
                "up": "Create an account",
                "asks": "asks for access",
                "done": "Done",
                "chosen": "Nothing was chosen",
                "refused": "This sign-in has been refused.",
            },
        ),
        (
            "zh-CN",
            {
                "in": "登录",
                "up": "注册账号",
                "asks": "请求访问",
                "done": "已完成",
                "chosen": "未作选择",
                "refused": "此次登录已被拒绝。",
            },
        ),
    ],
)
async def test_a_phone_lets_a_device_in(
    api: Api, browse: OpenBrowser, frontend: Path, language: str, words: dict[str, str]
) -> None:
    """A new person signs up on the way, by keyboard alone; the next device is let in at once, and one is refused."""
    device = {"device_name": "Living room TV\u202e 客厅电视", "device_id": "A0-51-0B-77-3C-19"}
    tickets = [await api.ticket(**device) for _ in range(3)]
    links = [await scanned(api, ticket) for ticket in tickets]

    def check(browser: Browser, picture: str) -> None:
        look(browser, f"{picture}-{language}")
        assert barriers(browser, frontend) == []

    def on_the_phone() -> None:
        with browse(language=language, phone=True) as browser:
            browser.open(links[0])
            assert browser.text("h1") == words["in"]
            check(browser, "qr-sign-in")
            browser.click(".other a")
            browser.wait_js("location.pathname === '/sign-up'")
            assert browser.text("h1") == words["up"]
            check(browser, "qr-sign-up")
            browser.press(f"歌手 {language}" + Keys.TAB + PASSWORD + Keys.ENTER)
            browser.wait_js("document.querySelector('.shown-code')")
            assert words["asks"] in browser.text("h1")
            assert browser.text(".shown-code") == tickets[0]["user_code"]
            for shown in ("Living room TV 客厅电视", "A0-51-0B-77-3C-19"):
                assert shown in browser.text("main")
            check(browser, "qr-confirm")
            # By keyboard: the first thing that can be reached in the card decides.
            browser.js("document.querySelector('main').focus()")
            browser.press(Keys.TAB)
            assert browser.js("document.activeElement.value") == "allow"
            browser.press(Keys.ENTER)
            browser.wait_js("document.querySelector('[role=status]')")
            assert browser.text("h1") == words["done"]
            check(browser, "qr-done")
            browser.open(links[1])
            browser.click("button[value=allow]")
            browser.wait_js("document.querySelector('[role=status]')")
            assert browser.complaints() == []
            # A form that went without its buttons, then a refusal; the code says so from then on.
            browser.open(links[2])
            browser.js("document.querySelector('form.decision').submit()")
            browser.wait_js("document.querySelector('[role=alert]')")
            assert words["chosen"] in browser.text("[role=alert]")
            check(browser, "qr-undecided")
            browser.click("button[value=refuse]")
            browser.wait_js("document.querySelector('[role=status]')")
            browser.open(links[2])
            assert browser.text("[role=alert]") == words["refused"]
            check(browser, "qr-refused")
            browser.open(links[0])
            check(browser, "qr-over")

    await asyncio.to_thread(on_the_phone)
    stood = [await api.status(ticket) for ticket in tickets]
    assert [each["status"] for each in stood] == [2, 2, 3]
    token = await api.user_token(stood[1]["code"])
    assert token["error_code"] == "0"
