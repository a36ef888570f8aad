"""The pages in a real browser on a phone's screen, in both languages, by touch and by keyboard alone."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.keys import Keys
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from openstage.identity.codes import challenge_of
from tests.oauth.conftest import PASSWORD, OauthServer
from tests.support.browser import Browser, OpenBrowser, browse
from tests.support.server import serving

__all__ = ["browse"]

pytestmark = pytest.mark.browser
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture(scope="module")
async def app_address() -> AsyncIterator[str]:
    """The app that people are led back to: another origin than ours."""

    async def callback(request: Request) -> Response:
        return PlainTextResponse(f"heard {request.url.query}")

    async with serving(Starlette(routes=[Route("/callback", callback), Route("/favicon.ico", callback)])) as address:
        yield address


def look(browser: Browser, name: str) -> None:
    """Nothing sticks out of the screen, everything can be touched; keep a picture where one is asked for."""
    assert browser.js("document.documentElement.scrollWidth <= window.innerWidth")
    small = browser.js(
        "[...document.querySelectorAll('main button, main input:not([type=hidden]):not(.unseen)')]"
        ".filter(e => e.getBoundingClientRect().height < 40).length"
    )
    assert small == 0
    assert browser.js(
        "[...document.querySelectorAll('main input:not([type=hidden]):not(.unseen)')].every(e => e.labels.length)"
    )
    if folder := os.environ.get("OPENSTAGE_PICTURES"):
        browser.screenshot(Path(folder) / f"{name}.png")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en-GB", {"sign_in": "Sign in", "asks": "A karaoke app asks for access", "allow": "Allow", "done": "Done"}),
        ("zh-CN", {"sign_in": "登录", "asks": "A karaoke app 请求访问", "allow": "同意", "done": "已完成"}),
    ],
)
async def test_a_person_lets_an_app_and_a_device_in(
    server: OauthServer, browse: OpenBrowser, app_address: str, language: str, words: dict[str, str]
) -> None:
    made = await server.identity.apps.create("A karaoke app")
    app = await server.identity.apps.configure(made.client_id, redirects=[f"{app_address}/callback"], public=True)
    codes = await server.identity.devices.begin(app, ["works.write"], device="Living room TV")
    query = (
        f"response_type=code&client_id={app.client_id}&state=xyz"
        f"&code_challenge={challenge_of(VERIFIER)}&code_challenge_method=S256"
    )

    def at_the_browser() -> str:
        with browse(language=language, phone=True) as browser:
            browser.open(f"{server.address}/oauth/authorize?{query}")
            assert browser.text("h1") == words["sign_in"]
            look(browser, f"sign-in-{language}")
            # By keyboard alone: the first field has the focus.
            browser.press("小明" + Keys.TAB + "wrong password" + Keys.ENTER)
            browser.wait_js("document.querySelector('[role=alert]')")
            assert browser.js("document.activeElement.id") == "password"
            look(browser, f"wrong-password-{language}")
            browser.press(PASSWORD + Keys.ENTER)
            browser.wait_js("document.querySelector('.wants')")
            assert browser.text("h1") == words["asks"]
            look(browser, f"consent-{language}")
            complaints = [each for each in browser.complaints() if "403" not in each]
            assert complaints == []  # (the browser complains of the wrong password's status)
            browser.click("button[value=allow]")
            browser.wait_js("document.body.textContent.startsWith('heard')")
            heard = browser.text()
            browser.open(f"{server.address}/device")
            look(browser, f"device-{language}")
            browser.press(codes.user_code.replace("-", "").lower() + Keys.ENTER)
            browser.wait_js("document.querySelector('.shown-code')")
            assert browser.text(".shown-code") == codes.user_code
            look(browser, f"device-confirm-{language}")
            assert browser.text("button[value=allow]") == words["allow"]
            browser.click("button[value=allow]")
            browser.wait_js("document.querySelector('[role=status]')")
            assert browser.text("h1") == words["done"]
            browser.click("main a.button")
            browser.wait_js("document.querySelector('.account')")
            look(browser, f"account-{language}")
            assert browser.complaints() == []
            return heard

    heard = await asyncio.to_thread(at_the_browser)
    fields = dict(part.split("=", 1) for part in heard.removeprefix("heard ").split("&"))
    assert fields["state"] == "xyz"
    form = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "code": fields["code"],
        "code_verifier": VERIFIER,
    }
    async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as http:
        assert (await http.post("/oauth/token", data=form)).status_code == 200
    assert (await server.identity.poll(app, codes.device_code)).openid
