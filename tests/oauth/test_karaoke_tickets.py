"""Signing in by a QR code: the device asks, the person decides on a phone, the app's server exchanges the code."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import av
import httpx
import pytest
import zxingcpp
from psycopg import sql

from openstage.database.engine import Database
from openstage.database.notices import Notices
from openstage.identity import tickets
from tests.oauth.conftest import PASSWORD, Client, OauthServer, make_client
from tests.oauth.karaoke import USER_TOKEN, Api
from tests.oauth.person import Person, policy, problem
from tests.support.waiting import wait_until

WAITING, SCANNED, CONFIRMED, REFUSED, OVER = range(5)


@pytest.fixture(scope="module")
async def http(server: OauthServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.address, timeout=60, verify=False) as client:
        yield client


@pytest.fixture
async def api(http: httpx.AsyncClient, client: Client) -> Api:
    return Api(http, client)


async def decide(person: Person, ticket: dict[str, Any], decision: str = "allow") -> httpx.Response:
    """Open the page behind the QR code and decide."""
    path = "/qr/" + ticket["qr_url"].rpartition("/")[2]
    return await person.post(await person.get(path), path, decision=decision)


def waiting_are(those: tickets.Tickets, count: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return those.waiting == count

    return holds


# --- from the QR code to tokens ---------------------------------------------------------------------------------------
async def test_a_device_signs_somebody_in(api: Api, server: OauthServer) -> None:
    """All of it: the app's server asks, the person signs in on the way, the server exchanges the code."""
    ticket = await api.ticket(device_name="Living room TV", device_id="A0:51:0B", scope="works.read,works.write")
    assert list(ticket) == [
        *("qr_ticket", "qr_url", "qr_png_url", "qr_svg_url", "user_code"),
        *("interval", "expires_in", "error_code", "error_msg"),
    ]
    assert ticket["expires_in"] == 600
    assert await api.status(ticket) == {"status": WAITING, "code": "", "error_code": 0, "error_msg": ""}
    async with server.person("zh-CN") as person:
        arrived = await person.get(httpx.URL(ticket["qr_url"]).path)
        assert (arrived.status_code, arrived.headers["location"][:13]) == (303, "/sign-in?next")
        assert (await api.status(ticket))["status"] == SCANNED
        page = await person.get(arrived.headers["location"])
        assert "A camera &lt;app&gt;" in page.text
        back = await person.post(page, "/sign-in", name="小明", password=PASSWORD)
        page = await person.get(back.headers["location"])
        for shown in (ticket["user_code"], "Living room TV", "A0:51:0B", "上传、修改和删除作品"):
            assert shown in page.text
        assert "查看您的用户名" not in page.text
        done = await person.post(page, "/qr/", decision="allow")
        assert "已完成" in done.text
    confirmed = await api.status(ticket)
    assert confirmed["status"] == CONFIRMED
    assert (await api.status(ticket)) == confirmed, "the reply may have been lost"
    token = await api.user_token(confirmed["code"])
    assert {name: type(value) for name, value in token.items()} == USER_TOKEN
    assert token["scope"] == "works.read works.write"
    assert (await api.status(ticket))["status"] == OVER
    assert (await server.identity.resolve(token["access_token"])).uid == token["openid"]
    assert (await api.user_token(confirmed["code"]))["error_code"] == "1122"


async def test_a_device_asks_with_a_token_of_its_app(api: Api, person: Person) -> None:
    app_token = (await api.app_token())["access_token"]
    headers = {"X_Open_Access_Token": app_token, "X_Open_App_ID": api.client.id, "Device_ID": "imei-42"}
    ticket = await api.call("/oauth/v2/light_qr", {}, **headers)
    assert ticket["error_code"] == 0
    assert "imei-42" in (await person.get(httpx.URL(ticket["qr_url"]).path)).text
    await decide(person, ticket)
    user_token = await api.user_token((await api.status(ticket))["code"])
    # With a user's token it would not be the app that asks.
    headers["X_Open_Access_Token"] = user_token["access_token"]
    assert (await api.call("/oauth/v2/light_qr", {}, **headers))["error_code"] == 1102
    assert (await api.call("/oauth/v2/light_qr", {}))["error_code"] == 1101
    assert (await api.call("/oauth/v2/light_qr", {**api.proof, "scope": "payment"}))["error_code"] == 1123


async def test_without_a_camera_the_short_code_does(api: Api, person: Person) -> None:
    ticket = await api.ticket()
    page = await person.get("/device", user_code=ticket["user_code"].lower())
    await person.post(page, "/device", decision="allow")
    assert (await api.status(ticket))["status"] == CONFIRMED


async def test_what_the_qr_code_says_is_what_a_camera_reads(api: Api, http: httpx.AsyncClient) -> None:
    ticket = await api.ticket()
    picture = await http.get(httpx.URL(ticket["qr_png_url"]).path)
    assert picture.headers["content-type"] == "image/png"
    with av.open(io.BytesIO(picture.content), "r") as opened:
        pixels = next(opened.decode(video=0)).to_ndarray(format="gray")
    [read] = zxingcpp.read_barcodes(pixels)
    assert (read.format, read.text) == (zxingcpp.BarcodeFormat.QRCode, ticket["qr_url"])
    drawing = await http.get(httpx.URL(ticket["qr_svg_url"]).path)
    assert drawing.headers["content-type"].startswith("image/svg+xml")
    assert b"<script" not in drawing.content
    # Neither shows the device's own secret, and an unknown one is none.
    assert ticket["qr_ticket"] not in ticket["qr_url"] + ticket["qr_png_url"] + drawing.text
    assert (await http.get("/qr/abcdefghijkm.png")).status_code == 404


# --- who may do what --------------------------------------------------------------------------------------------------
async def test_who_photographs_the_screen_can_not_ask_for_the_outcome(
    api: Api, person: Person, server: OauthServer
) -> None:
    ticket = await api.ticket()
    await decide(person, ticket)
    for seen in (ticket["user_code"], ticket["qr_url"], ticket["qr_url"].rpartition("/")[2]):
        assert (await api.status({"qr_ticket": seen}))["error_code"] == 1127
    stranger = Api(api.http, await make_client(server))
    assert (await stranger.status(ticket))["error_code"] == 1127
    code = (await api.status(ticket))["code"]
    assert (await stranger.user_token(code))["error_code"] == "1122"
    # A ticket is no device code: those get tokens on other terms.
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": ticket["qr_ticket"]}
    assert (await api.http.post("/oauth/token", data=form | api.client.credentials)).json()["error"] == "invalid_grant"


async def test_the_first_of_two_who_decide_at_once_is_the_one(api: Api, server: OauthServer) -> None:
    ticket = await api.ticket()
    path = httpx.URL(ticket["qr_url"]).path
    people = []
    for name in ("小红", "小刚", "小丽"):
        await server.identity.accounts.create(name, PASSWORD)
        someone = server.person()
        await someone.sign_in(name, PASSWORD)
        people.append((someone, await someone.get(path)))
    decided = await asyncio.gather(*(someone.post(page, path, decision="allow") for someone, page in people))
    assert sorted(page.status_code for page in decided) == [200, 409, 409]
    token = await api.user_token((await api.status(ticket))["code"])
    record = await server.identity.tickets.find(ticket["qr_ticket"])
    assert token["error_code"] == "0"
    winner = [page.status_code for page in decided].index(200)
    assert record.account == ("小红", "小刚", "小丽")[winner]
    for someone, _ in people:
        await someone.__aexit__(None, None, None)


async def test_a_decision_counts_for_the_code_that_the_person_saw(api: Api, person: Person) -> None:
    """Swapped tickets, forged forms, frames: nothing is confirmed."""
    ticket, attackers = await api.ticket(), await api.ticket()
    path, other = httpx.URL(ticket["qr_url"]).path, httpx.URL(attackers["qr_url"]).path
    page = await person.get(path)
    assert policy(page)["frame-ancestors"] == "'none'"
    assert page.headers["x-frame-options"] == "DENY"
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "same-origin")
    mine = await person.get(other)
    swapped = mine.text.replace(attackers["user_code"], ticket["user_code"])
    assert (await person.post(httpx.Response(200, text=swapped), other, decision="allow")).status_code == 403
    forged = {"decision": "allow", "user_code": attackers["user_code"]}
    assert (await person.http.post(other, data=forged)).status_code == 403
    foreign = await person.http.post(other, data=forged, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    for each in (ticket, attackers):
        assert (await api.status(each))["status"] == SCANNED


async def test_a_person_refuses(api: Api, person: Person) -> None:
    ticket = await api.ticket()
    assert "Refused" in (await decide(person, ticket, "refuse")).text
    assert await api.status(ticket) == {"status": REFUSED, "code": "", "error_code": 0, "error_msg": ""}
    again = await person.get(httpx.URL(ticket["qr_url"]).path)
    assert (again.status_code, problem(again)) == (409, "This sign-in has been refused.")


async def test_what_nobody_decides_or_fetches_in_time_is_over(
    api: Api, person: Person, module_database: Database
) -> None:
    waiting, confirmed = await api.ticket(), await api.ticket()
    await decide(person, confirmed)
    code = (await api.status(confirmed))["code"]
    async with module_database.connection() as connection:
        await connection.execute("update device_grant set expires_at = now()")
        assert (await api.status(confirmed))["status"] == CONFIRMED, "its code has five minutes of its own"
        await connection.execute("update authorization_code set expires_at = now() where used_at is null")
    assert [(await api.status(each))["status"] for each in (waiting, confirmed)] == [OVER, OVER]
    assert (await api.user_token(code))["error_code"] == "1122"
    page = await person.get(httpx.URL(waiting["qr_url"]).path)
    assert (page.status_code, "Let the device show a new one" in page.text) == (404, True)
    assert (await person.get(httpx.URL(waiting["qr_png_url"]).path)).status_code == 404


# --- waiting ----------------------------------------------------------------------------------------------------------
async def test_a_device_that_waits_hears_of_each_change_at_once(api: Api, person: Person) -> None:
    ticket = await api.ticket()
    clock = asyncio.get_running_loop().time
    waiting = asyncio.create_task(api.status(ticket, wait=30))
    [early, _] = await asyncio.wait({waiting}, timeout=0.3)
    assert not early
    began = clock()
    page = await person.get(path := httpx.URL(ticket["qr_url"]).path)
    assert (await waiting)["status"] == SCANNED
    waiting = asyncio.create_task(api.status(ticket, wait=30, status=SCANNED))
    await person.post(page, path, decision="allow")
    assert (await waiting)["status"] == CONFIRMED
    assert clock() - began < 10
    # Nothing to wait for any more; and a change that was missed is told at once.
    assert (await api.status(ticket, wait=30))["status"] == CONFIRMED
    missed = await api.ticket()
    await person.get(httpx.URL(missed["qr_url"]).path)
    assert (await api.status(missed, wait=30, status=WAITING))["status"] == SCANNED
    assert (await api.status(missed, wait=1))["status"] == SCANNED
    assert (await api.status(missed, wait=-1))["error_code"] == 1001
    assert (await api.status({"qr_ticket": "none"}, wait=30))["error_code"] == 1127


async def test_who_waits_hears_of_the_end_of_the_ticket_and_of_the_server(
    server: OauthServer, api: Api, module_database: Database
) -> None:
    ticket = await api.ticket()
    async with module_database.connection() as connection:
        await connection.execute("update device_grant set expires_at = now() + interval '0.3 s'")
    assert (await api.status(ticket, wait=30))["status"] == OVER
    lone = tickets.Tickets(module_database, server.settings, server.keys)
    ticket = await api.ticket()
    waiting = [asyncio.create_task(lone.change(api.client.id, ticket["qr_ticket"], seconds=30)) for _ in range(50)]
    await wait_until(waiting_are(lone, 50), within=5, what="everybody waits")
    waiting[0].cancel()  # a client that goes away leaves nothing behind
    await wait_until(waiting_are(lone, 49), within=5, what="one has gone")
    lone.end()
    assert {each.state for each in await asyncio.gather(*waiting[1:])} == {"waiting"}
    assert lone.waiting == 0
    await lone.close()


async def test_nobody_waits_beyond_the_bound(
    server: OauthServer, api: Api, module_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "MOST_WAITING", 1)
    lone = tickets.Tickets(module_database, server.settings, server.keys)
    ticket = (await api.ticket())["qr_ticket"]
    first = asyncio.create_task(lone.change(api.client.id, ticket, seconds=30))
    await wait_until(waiting_are(lone, 1), within=5, what="the first waits")
    async with asyncio.timeout(5):
        assert (await lone.change(api.client.id, ticket, seconds=30)).state == "waiting"
    await lone.close()
    await first


async def test_a_lost_connection_loses_no_change(module_database: Database) -> None:
    """The one connection that hears of changes is cut: those who wait look by themselves, then it is back."""
    notices = Notices(module_database, "tests")
    with notices.bell("one") as bell:
        await notices.wait(bell, 5)  # rings when it begins to hear
        async with module_database.connection() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'openstage notices' and query like '%tests%'"
            )
            await notices.wait(bell, 20)  # rings when it hears again
            told = asyncio.create_task(notices.wait(bell, 20))
            await connection.execute(sql.SQL("notify tests, {}").format("another"))
            await connection.execute(sql.SQL("notify tests, {}").format("one"))
            async with asyncio.timeout(5):
                await told
    await notices.close()


# --- for the operator -------------------------------------------------------------------------------------------------
async def test_a_ticket_and_its_code_tell_whose_they_are(api: Api, person: Person, server: OauthServer) -> None:
    async def holder(text: str) -> str | None:
        found = (await server.identity.authorisations.explain(text)).holder
        return found.account if found else None

    ticket = await api.ticket()
    assert await holder(ticket["qr_ticket"]) is None
    await decide(person, ticket)
    code = (await api.status(ticket))["code"]
    assert await holder(ticket["qr_ticket"]) == await holder(code) == "小明"
    token = await api.user_token(code)
    assert await holder(token["access_token"]) == "小明"


async def test_a_ticket_explains_itself(api: Api, person: Person, server: OauthServer) -> None:
    async def why(ticket: dict[str, Any]) -> str:
        found = await server.identity.authorisations.explain(ticket["qr_ticket"])
        assert found.kind == "qr_ticket"
        return found.why

    ticket, refused = await api.ticket(), await api.ticket()
    assert await why(ticket) == "Nobody has confirmed it yet."
    await decide(person, refused, "refuse")
    assert await why(refused) == "The person refused."
    await decide(person, ticket)
    assert await why(ticket) == ""
    token = await api.user_token((await api.status(ticket))["code"])
    assert await why(ticket) == "Its code has been exchanged for tokens."
    await server.identity.authorisations.revoke_openid(token["openid"], by="operator")
    assert "the operator revoked it" in await why(ticket)


async def test_wrong_tickets_are_counted_and_right_ones_answered_all_the_same(api: Api) -> None:
    ticket = await api.ticket()
    replies = [await api.status({"qr_ticket": f"guess {number}"}) for number in range(52)]
    # Who looks at the status alone asks for a new ticket where this one is lost, and goes on where it only must wait.
    assert {(each["error_code"], each["status"]) for each in replies} == {(1127, 4), (1130, 0)}
    assert "try again in" in replies[-1]["error_msg"]
    assert (await api.status(ticket))["status"] == WAITING


async def test_links_are_not_found_by_trying(person: Person) -> None:
    found = [(await person.get(f"/qr/guess{number}")).status_code for number in range(12)]
    assert found == [*[404] * 10, *[429] * 2]
