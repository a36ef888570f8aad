"""What the pages of QR codes and consent say and show: of names that turn text around, of forms that decide nothing."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from openstage.identity.labels import plain
from tests.oauth.conftest import CALLBACK, Client, OauthServer, make_client
from tests.oauth.karaoke import Api
from tests.oauth.person import Form, Person, problem

WAITING, SCANNED, CONFIRMED, REFUSED, OVER = range(5)
TURNING = "TV\u202egnivil\u2066\u2069\u200f\x07\x85 客厅"
"""A name that would be read from right to left, and turn what stands beside it."""
STRIPPED = "TVgnivil 客厅"
CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
async def api(server: OauthServer) -> AsyncIterator[Api]:
    async with httpx.AsyncClient(base_url=server.address, timeout=60, verify=False) as http:
        yield Api(http, await make_client(server))


def path_of(ticket: dict[str, str]) -> str:
    return httpx.URL(ticket["qr_url"]).path


async def undecided(person: Person, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
    """Send a page's form as a script or an old browser might: without saying which button."""
    target, given = Form(page.text).to(action)
    return await person.http.post(target, data=given | fields, headers={"Origin": person.address})


# --- names ------------------------------------------------------------------------------------------------------------
def test_a_plain_name_keeps_what_it_says() -> None:
    for name in ("Living room TV 客厅电视", "تلفاز غرفة المعيشة", "Ōkami 👩\u200d🎤", "a\u200cb"):
        assert plain(name) == name
    assert plain(" a\t\r\n b\u2028c ") == "a b c"
    assert plain(TURNING) == STRIPPED


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_devices_name_turns_no_text(api: Api, person: Person, server: OauthServer, language: str) -> None:
    ticket = await api.ticket(device_name=TURNING, device_id="A\u202e0")
    page = await person.get(path_of(ticket), lang=language)
    assert f"<bdi>{STRIPPED}</bdi>" in page.text
    assert "<bdi>A0</bdi>" in page.text
    assert not CONTROLS.search(page.text)
    # The operator's terminal is spared as well.
    assert (await server.identity.tickets.find(ticket["qr_ticket"])).device == STRIPPED


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_an_apps_name_turns_no_text(
    api: Api, client: Client, person: Person, server: OauthServer, language: str
) -> None:
    """Nor does one that was kept before such were refused."""
    apps = server.identity.apps
    assert (await apps.find((await apps.create(TURNING)).client_id)).name == STRIPPED
    for app in (client, api.client):
        await server.identity.apps._update(app.id, "name = %(value)s", TURNING + " <b>")
    ticket = await api.ticket()
    asked = {"response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK, "lang": language}
    async with server.person() as stranger:
        arrived = await stranger.get(path_of(ticket), lang=language)
        pages = [await stranger.get(arrived.headers["location"])]
    pages += [await person.get("/oauth/authorize", **asked), await person.get(path_of(ticket), lang=language)]
    for page in pages:
        assert f"<bdi>{STRIPPED} &lt;b&gt;</bdi>" in page.text
        assert not CONTROLS.search(page.text)
    title = re.search("<title>(.*)</title>", pages[1].text)
    assert title
    assert f"{STRIPPED} &lt;b&gt;" in title[1]
    assert "bdi" not in title[1]
    await person.post(pages[2], "/qr/", decision="allow")
    await api.user_token((await api.status(ticket))["code"])
    account = await person.get("/account")
    assert STRIPPED in account.text
    assert not CONTROLS.search(account.text)


# --- forms that decide nothing ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("language", "words"), [("en", "Nothing was chosen, so nothing has changed."), ("zh-CN", "未作选择")]
)
@pytest.mark.parametrize("decision", [None, "", "yes"])
async def test_a_form_without_a_decision_changes_nothing(
    api: Api, person: Person, language: str, words: str, decision: str | None
) -> None:
    ticket = await api.ticket()
    fields = {} if decision is None else {"decision": decision}
    page = await person.get(path_of(ticket), lang=language)
    for action, shown in (("/qr/", page), ("/device", await person.get("/device", user_code=ticket["user_code"]))):
        again = await undecided(person, shown, action, **fields)
        assert again.status_code == 400
        assert words in problem(again)
        assert ticket["user_code"] in again.text
        assert (await api.status(ticket))["status"] == SCANNED
        page = again
    # What is shown then can be decided on.
    assert (await person.post(page, "/device", decision="allow")).status_code == 200
    assert (await api.status(ticket))["status"] == CONFIRMED


async def test_an_app_hears_nothing_of_a_form_without_a_decision(client: Client, person: Person) -> None:
    asked = {"response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK}
    page = await person.get("/oauth/authorize", **asked)
    again = await undecided(person, page, "/oauth/authorize")
    assert (again.status_code, "location" in again.headers) == (400, False)
    assert "Nothing was chosen" in problem(again)
    done = await person.post(again, "/oauth/authorize", decision="refuse")
    assert "error=access_denied" in done.headers["location"]


# --- what is over -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("language", "used", "refused"),
    [
        ("en", "This code has been used already.", "This sign-in has been refused."),
        ("zh-CN", "该代码已被使用。", "此次登录已被拒绝。"),
    ],
)
async def test_what_is_over_says_why(api: Api, person: Person, language: str, used: str, refused: str) -> None:
    for decision, words in (("allow", used), ("refuse", refused)):
        ticket = await api.ticket()
        page = await person.get(path_of(ticket), lang=language)
        await person.post(page, "/qr/", decision=decision)
        # Opened again; sent again, by who has the page open still; typed.
        for again in (
            await person.get(path_of(ticket)),
            await person.post(page, "/qr/", decision="allow"),
            await person.get("/device", user_code=ticket["user_code"]),
        ):
            assert (again.status_code, problem(again)) == (409, words)


@pytest.mark.parametrize("decision", ["allow", "refuse"])
async def test_a_qr_code_is_shown_while_it_waits(api: Api, person: Person, decision: str) -> None:
    ticket = await api.ticket()
    path = path_of(ticket)
    pictures = [f"{path}.png", f"{path}.svg"]

    async def statuses() -> list[int]:
        return [each.status_code for each in await asyncio.gather(*map(api.http.get, pictures))]

    assert await statuses() == [200, 200]
    page = await person.get(path)
    assert await statuses() == [200, 200], "whoever scanned it may have given up"
    await person.post(page, "/qr/", decision=decision)
    assert await statuses() == [404, 404]
    for _ in range(35):
        over = await api.http.get(pictures[0])
        assert (over.status_code, over.headers["cache-control"]) == (404, "no-store"), "no guess"
