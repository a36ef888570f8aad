"""Passkeys: added on the account's page, used to sign in, listed and removed; the password works beside them."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

from openstage.app import application
from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.settings import Settings
from tests.oauth.authenticator import Authenticator
from tests.oauth.conftest import PASSWORD, OauthServer
from tests.oauth.person import Form, Person, problem
from tests.oauth.test_browser import look
from tests.support.browser import Browser, OpenBrowser, browse
from tests.support.frontend import barriers
from tests.support.server import free_port, serving

__all__ = ["browse"]

FAILED = "That passkey didn&#39;t work. Try once more, or use your password."


@pytest.fixture(scope="module")
async def server(module_settings: Settings, module_database: Database) -> AsyncIterator[OauthServer]:
    """A server with a name: browsers make no passkeys for an address."""
    port = free_port()
    settings = module_settings.model_copy(
        update={"public_url": f"http://localhost:{port}", "listen": f"127.0.0.1:{port}"}
    )
    async with serving(application(settings), port=port):
        keys = Keys.load(settings.folder)
        identity = Identity(module_database, settings, keys)
        yield OauthServer(f"http://localhost:{port}", identity, settings, keys)


@pytest.fixture
async def name(server: OauthServer) -> str:
    """Somebody who has no passkey yet."""
    return (await server.identity.accounts.create(f"小明 {secrets.token_hex(4)}", PASSWORD)).name


@pytest.fixture
async def person(server: OauthServer, name: str) -> AsyncIterator[Person]:
    async with server.person() as someone:
        await someone.sign_in(name, PASSWORD)
        yield someone


async def options(person: Person, page: str, action: str, **fields: str) -> Any:
    """What the page's script is told to ask the authenticator for."""
    _, given = Form((await person.get(page)).text).to(action)
    reply = await person.http.post(f"{action}/options", data=given | fields, headers={"Origin": person.address})
    assert reply.headers["content-type"] == "application/json"
    assert reply.status_code == 200, reply.text
    return reply.json()


async def add(person: Person, authenticator: Authenticator, **changes: Any) -> str:
    """Add a passkey and give what the page complains of."""
    asked = await options(person, "/account", "/account/passkeys", old=PASSWORD)
    answer = authenticator.make(asked, **changes)
    return problem(await person.post(await person.get("/account"), "/account/passkeys", answer=answer))


async def use(person: Person, answer: str, following: str = "/device") -> tuple[int, str]:
    """Sign in with an answer, and give where that leads, or what the page complains of."""
    page = await person.get("/sign-in", next=following)
    reply = await person.post(page, "/sign-in/passkey", answer=answer)
    return reply.status_code, reply.headers.get("location") or problem(reply)


async def test_a_passkey_signs_its_person_in_and_leads_on(server: OauthServer, person: Person, name: str) -> None:
    authenticator = Authenticator(server.address)
    assert await add(person, authenticator) == ""
    assert "Remove the passkey of" in (await person.get("/account")).text
    async with server.person() as elsewhere:
        for _ in range(2):
            asked = await options(elsewhere, "/sign-in", "/sign-in/passkey")
            assert asked["userVerification"] == "required"
            assert await use(elsewhere, authenticator.use(asked)) == (303, "/device")
            assert name in (await elsewhere.get("/account")).text
            await elsewhere.post(await elsewhere.get("/account"), "/sign-out")
    # Told to make a second one, the authenticator sees that it has one.
    asked = await options(person, "/account", "/account/passkeys", old=PASSWORD)
    assert len(asked["excludeCredentials"]) == 1
    assert asked["user"]["name"] == name


@pytest.mark.parametrize(
    "changes",
    [{"origin": "https://evil.example"}, {"verified": False}, {"count": 0}],
    ids=["another site's", "nobody verified", "a copy of the authenticator"],
)
async def test_a_signature_that_does_not_fit_signs_nobody_in(
    server: OauthServer, person: Person, changes: dict[str, Any]
) -> None:
    authenticator = Authenticator(server.address)
    authenticator.count = 7
    assert await add(person, authenticator) == ""
    async with server.person() as elsewhere:
        asked = await options(elsewhere, "/sign-in", "/sign-in/passkey")
        assert await use(elsewhere, authenticator.use(asked, **changes)) == (403, FAILED)
        assert (await elsewhere.get("/account")).status_code == 303


async def test_an_answer_counts_once_and_in_the_browser_that_was_asked(server: OauthServer, person: Person) -> None:
    authenticator = Authenticator(server.address)
    assert await add(person, authenticator) == ""
    async with server.person() as one, server.person() as other:
        answer = authenticator.use(await options(one, "/sign-in", "/sign-in/passkey"))
        assert await use(other, answer) == (403, FAILED)
        assert await use(one, answer) == (303, "/device")
        await one.post(await one.get("/account"), "/sign-out")
        assert await use(one, answer) == (403, FAILED)
        # Nor does one that was asked for another purpose.
        asked = await options(one, "/sign-in", "/sign-in/passkey")
        made = Authenticator(server.address).make(asked | {"user": {"id": ""}, "rp": {"id": "localhost"}})
        assert await use(one, made) == (403, FAILED)


async def test_what_is_no_answer_is_told_and_does_no_harm(server: OauthServer, person: Person) -> None:
    nonsense = ["", "{", "[]", '{"response": {}}', json.dumps({"rawId": "x", "response": {"clientDataJSON": "e30"}})]
    for answer in nonsense:
        async with server.person() as somebody:
            assert await use(somebody, answer) == (403, FAILED)
        page = await person.get("/account")
        assert problem(await person.post(page, "/account/passkeys", answer=answer)) == FAILED
    unverified = Authenticator(server.address)
    assert await add(person, unverified, verified=False) == FAILED


async def test_to_add_one_takes_the_password_and_a_form_of_ours(server: OauthServer, person: Person) -> None:
    _, given = Form((await person.get("/account")).text).to("/account/passkeys")
    target = "/account/passkeys/options"
    wrong = await person.http.post(target, data=given | {"old": "wrong"}, headers={"Origin": server.address})
    assert (wrong.status_code, wrong.json()) == (403, {"message": "The name or the password is wrong."})
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = await person.http.post(target, data=given | {"old": PASSWORD}, headers=headers)
        assert refused.status_code == 403
    async with server.person() as stranger:
        assert (await stranger.http.post(target, data={"old": PASSWORD})).status_code == 403


async def test_a_removed_passkey_opens_nothing(server: OauthServer, person: Person, name: str) -> None:
    authenticator = Authenticator(server.address)
    assert await add(person, authenticator) == ""
    account = await server.identity.accounts.find(name)
    last = (await server.identity.passkeys.list(account.id))[-1]
    stranger = await server.identity.accounts.create("小红", PASSWORD)
    assert not await server.identity.passkeys.remove(stranger.id, last.id)
    page = await person.get("/account")
    assert "The passkey has been removed." in (await person.post(page, "/account/passkeys/remove", passkey="0")).text
    await person.post(page, "/account/passkeys/remove", passkey=str(last.id))
    async with server.person() as elsewhere:
        asked = await options(elsewhere, "/sign-in", "/sign-in/passkey")
        assert await use(elsewhere, authenticator.use(asked)) == (403, FAILED)


@pytest.mark.parametrize(
    ("address", "possible"),
    [
        ("https://sing.example", True),
        ("http://localhost:8080", True),
        ("http://sing.example", False),
        ("http://127.0.0.1:8080", False),
        ("https://[::1]", False),
    ],
)
async def test_passkeys_are_offered_where_browsers_make_them(
    module_settings: Settings, module_database: Database, address: str, possible: bool
) -> None:
    settings = module_settings.model_copy(update={"public_url": address})
    identity = Identity(module_database, settings, Keys.load(settings.folder))
    assert identity.passkeys.possible is possible


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
async def test_a_person_adds_a_passkey_and_signs_in_with_it(
    server: OauthServer, browse: OpenBrowser, frontend: Path, language: str
) -> None:
    name = f"歌手 {language}"
    await server.identity.accounts.create(name, PASSWORD)

    def in_the_browser() -> None:
        with browse(language=language, phone=True) as browser:
            given = VirtualAuthenticatorOptions(
                protocol="ctap2", transport="internal", has_resident_key=True, has_user_verification=True
            )
            given.is_user_verified = True
            browser.driver.add_virtual_authenticator(given)
            sign_in_and_add(browser)
            look(browser, f"passkeys-{language}")
            assert barriers(browser, frontend) == []
            browser.click("form[action='/sign-out'] button")
            browser.wait_js("location.pathname !== '/account/passkeys'")
            browser.open(f"{server.address}/sign-in?next=/device")
            browser.wait_js("!document.querySelector('form[data-passkey]').hidden")
            look(browser, f"passkey-sign-in-{language}")
            assert barriers(browser, frontend) == []
            browser.click("form[data-passkey] button")
            browser.wait_js("location.pathname === '/device'")
            assert browser.complaints() == []
            # A person who says no is told so, and may try again.
            browser.driver.delete_all_cookies()
            browser.driver.set_user_verified(False)
            browser.open(f"{server.address}/sign-in")
            browser.click("form[data-passkey] button")
            browser.wait_js("document.querySelector('form[data-passkey] [role=status]').textContent")
            assert browser.js("!document.querySelector('form[data-passkey] button').disabled")

    def sign_in_and_add(browser: Browser) -> None:
        browser.open(f"{server.address}/sign-in")
        browser.find("#name").send_keys(name)
        browser.find("#password").send_keys(PASSWORD)
        browser.click("form[action='/sign-in'] button")
        browser.wait_js("document.querySelector('form[data-passkey=create]') && location.pathname === '/account'")
        browser.find("#passkey-old").send_keys("not the password")
        browser.click("form[data-passkey=create] button")
        browser.wait_js("document.querySelector('form[data-passkey] [role=status]').textContent")
        assert all("403" in complaint for complaint in browser.complaints())
        browser.find("#passkey-old").clear()
        browser.find("#passkey-old").send_keys(PASSWORD)
        browser.click("form[data-passkey=create] button")
        browser.wait_js("document.querySelector('.said')")

    await asyncio.to_thread(in_the_browser)
    account = await server.identity.accounts.find(name)
    [passkey] = await server.identity.passkeys.list(account.id)
    assert passkey.name.startswith("Chrome")
    assert passkey.used_at is not None
