"""Signing in, up and out; the account: what works, and what nobody can make of it."""

import re
from pathlib import Path

import pytest

import openstage.console
from openstage.app import application
from openstage.console.account_messages import ACCOUNT_MESSAGES
from openstage.database.engine import Database
from openstage.oauth.people import browser_of
from openstage.settings import Settings
from tests.oauth.conftest import CALLBACK, PASSWORD, Client, OauthServer
from tests.oauth.person import Person, policy, problem
from tests.support.server import serving


async def test_somebody_signs_in_and_out(server: OauthServer) -> None:
    async with server.person() as someone:
        asked = await someone.get("/account")
        assert asked.headers["location"] == "/sign-in?next=%2Faccount"
        entered = await someone.sign_in(" 小明 ", PASSWORD)
        assert (entered.status_code, entered.headers["location"]) == (303, "/account")
        cookie = next(value for value in entered.headers.get_list("set-cookie") if "session" in value)
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        page = await someone.get("/account")
        assert "小明" in page.text
        left = await someone.post(page, "/sign-out")
        assert left.status_code == 303
        assert (await someone.get("/account")).status_code == 303


async def test_cookies_are_for_tls_alone_behind_https(module_settings: Settings) -> None:
    settings = module_settings.model_copy(update={"public_url": "https://stage.example"})
    async with serving(application(settings)) as address, Person(address) as someone:
        page = await someone.get("/sign-in")
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("__Host-openstage_form=")
        assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        assert (await someone.get("/sign-up")).headers["location"] == "/sign-in"  # closed unless it is set


async def test_a_stolen_session_id_from_before_is_worth_nothing(server: OauthServer, person: Person) -> None:
    before = person.http.cookies["openstage_session"]
    page = await person.get("/account")
    await person.post(page, "/sign-out")
    await person.sign_in("小明", PASSWORD)
    assert person.http.cookies["openstage_session"] != before
    async with server.person() as thief:
        thief.http.cookies.set("openstage_session", before)
        assert (await thief.get("/account")).status_code == 303


async def test_signing_out_everywhere_ends_all_browsers(server: OauthServer) -> None:
    await server.identity.accounts.create("two browsers", PASSWORD)
    async with server.person() as one, server.person() as two:
        for browser in (one, two):
            await browser.sign_in("Two Browsers", PASSWORD)
        await one.post(await one.get("/account"), "/sign-out", everywhere="1")
        assert (await two.get("/account")).status_code == 303


async def test_changing_the_password_keeps_this_browser_alone(server: OauthServer) -> None:
    await server.identity.accounts.create("changer", PASSWORD)
    async with server.person() as one, server.person() as two:
        for browser in (one, two):
            await browser.sign_in("changer", PASSWORD)
        page = await one.get("/account")
        wrong = await one.post(page, "/account/password", old="not it at all", new="a whole new password")
        assert (wrong.status_code, problem(wrong)) == (403, "The name or the password is wrong.")
        done = await one.post(page, "/account/password", old=PASSWORD, new="a whole new password")
        assert "has been changed" in done.text
        assert (await one.post(done, "/sign-out")).status_code == 303  # its forms are those of the new session
        assert (await two.get("/account")).status_code == 303
        assert (await two.sign_in("changer", PASSWORD)).status_code == 403
        assert (await two.sign_in("changer", "a whole new password")).status_code == 303


async def test_somebody_signs_up(server: OauthServer) -> None:
    async with server.person("zh-CN") as someone:
        page = await someone.get("/sign-up", next="/device?user_code=BCDF-GHJK")
        assert "注册账号" in page.text
        taken = await someone.post(page, "/sign-up", name="小明", password=PASSWORD)
        assert (taken.status_code, problem(taken)) == (409, "该用户名已被使用。")
        weak = await someone.post(page, "/sign-up", name="新人", password="12345678")
        assert weak.status_code == 400
        made = await someone.post(page, "/sign-up", name="新人", password=PASSWORD)
        assert made.headers["location"] == "/device?user_code=BCDF-GHJK"
        assert (await someone.get("/account")).status_code == 200


async def test_passwords_are_guessed_ten_times_at_once_and_no_more(server: OauthServer) -> None:
    await server.identity.accounts.create("guessed at", PASSWORD)
    async with server.person() as someone:
        for name in ("guessed at", "nobody at all"):
            answers = [(await someone.sign_in(name, "wrong guess")).status_code for _ in range(10)]
            assert answers == [403] * 10  # who exists and who doesn't is the same from outside
            stopped = await someone.sign_in(name.upper(), PASSWORD)
            assert stopped.status_code == 429
            assert int(stopped.headers["retry-after"]) <= 180
            assert "3 min" in problem(stopped)


async def test_a_right_password_starts_the_count_anew(server: OauthServer) -> None:
    await server.identity.accounts.create("clumsy", PASSWORD)
    async with server.person() as someone:
        for _ in range(3):
            for _ in range(5):
                assert (await someone.sign_in("clumsy", "wrong guess")).status_code == 403
            assert (await someone.sign_in("clumsy", PASSWORD)).status_code == 303
            await someone.post(await someone.get("/account"), "/sign-out")


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/account\n//evil",
        "/w/x",
        "javascript:alert(1)",
        "",
    ],
)
async def test_nobody_is_led_elsewhere_by_signing_in(server: OauthServer, following: str) -> None:
    async with server.person() as someone:
        page = await someone.get("/sign-in", next=following)
        entered = await someone.post(page, "/sign-in", name="小明", password=PASSWORD, next=following)
        assert entered.headers["location"] == "/account"


async def test_forms_of_other_sites_are_refused(server: OauthServer, person: Person) -> None:
    token = (await person.get("/account")).text.split('name="form_token" value="')[1][:64]
    for path in ("/sign-in", "/sign-up", "/sign-out", "/account/withdraw", "/account/password", "/device"):
        for fields, headers in (
            ({}, {}),
            ({"form_token": "0" * 64}, {}),
            ({"form_token": token}, {"Origin": "https://evil.example"}),
            ({"form_token": token}, {"Sec-Fetch-Site": "cross-site"}),
        ):
            refused = await person.http.post(path, data=fields, headers=headers)
            assert refused.status_code == 403, path
    async with server.person() as stranger:  # signing somebody in as somebody else takes a form of theirs, too
        forged = await stranger.http.post("/sign-in", data={"form_token": token, "name": "小明", "password": PASSWORD})
        assert forged.status_code == 403
    assert (await person.get("/account")).status_code == 200


async def test_a_person_withdraws_what_they_allowed(
    server: OauthServer, client: Client, person: Person, module_database: Database
) -> None:
    code = (await person.authorize(client_id=client.id, redirect_uri=CALLBACK, scope="profile"))["code"]
    issued = await server.identity.redeem(client.app, code, redirect=CALLBACK)
    page = await person.get("/account")
    assert "A camera &lt;app&gt;" in page.text
    assert "see your name" in page.text
    done = await person.post(page, "/account/withdraw", client_id=client.id)
    assert "Access has been withdrawn." in done.text
    assert (await server.identity.authorisations.explain(issued.pair.access_token)).why.endswith(
        "the person withdrew it."
    )


async def test_disabling_ends_everything_at_once(server: OauthServer, client: Client) -> None:
    await server.identity.accounts.create("to be disabled", PASSWORD)
    async with server.person() as someone:
        await someone.sign_in("to be disabled", PASSWORD)
        one, two = [(await someone.authorize(client_id=client.id, redirect_uri=CALLBACK))["code"] for _ in range(2)]
        issued = await server.identity.redeem(client.app, one, redirect=CALLBACK)
        await server.identity.accounts.set_state("to be disabled", "disabled")
        assert (await someone.get("/account")).status_code == 303
        assert not (await server.identity.authorisations.explain(issued.pair.access_token)).valid
        form = {"grant_type": "authorization_code", "code": two, "redirect_uri": CALLBACK}
        late = await someone.http.post("/oauth/token", data=client.credentials | form)
        assert late.json()["error"] == "invalid_grant"
        refused = await someone.sign_in("to be disabled", PASSWORD)
        assert (refused.status_code, "disabled" in problem(refused)) == (403, True)


async def test_pages_are_for_nobodys_frame_and_nobodys_cache(server: OauthServer, person: Person) -> None:
    async with server.person() as stranger:
        pages = [await stranger.get("/sign-in"), await stranger.get("/sign-up")]
    pages += [await person.get("/device"), await person.get("/account")]
    for page in pages:
        assert page.status_code == 200
        rules = policy(page)
        assert (rules["frame-ancestors"], rules["form-action"], rules["default-src"]) == ("'none'", "'self'", "'none'")
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"


async def test_the_language_changes_and_nothing_else(client: Client, person: Person) -> None:
    page = await person.get("/oauth/authorize", response_type="code", client_id=client.id, redirect_uri=CALLBACK)
    link = re.search(r'href="(\?[^"]*lang=zh-CN)"', page.text)
    assert link
    chinese = await person.http.get("/oauth/authorize" + link[1].replace("&amp;", "&"))
    assert "请求访问" in chinese.text
    assert client.id in chinese.text


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
            "Safari, iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/156.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox, Linux"),
        ("python-httpx/0.28", ""),
    ],
)
def test_browsers_are_called_as_people_call_them(agent: str, shown: str) -> None:
    assert browser_of(agent) == shown


def test_every_text_is_in_both_languages_and_used() -> None:
    root = Path(openstage.console.__file__).parents[1]
    templates = "".join(path.read_text() for path in (root / "console" / "templates" / "account").glob("*.html"))
    code = "".join(path.read_text() for path in (root / "oauth").glob("*.py"))
    for key, (english, chinese) in ACCOUNT_MESSAGES.items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), key
        assert not re.search(r"[\u4e00-\u9fff]", english), key
        assert re.search(r"[\u4e00-\u9fff]", chinese), key
        assert key.startswith("scope_") or f'"{key}"' in templates or f"'{key}'" in templates or f'"{key}"' in code, key
