"""The endpoints that apps and devices call: what they answer, and what they tell of what is wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.oauth.endpoints import DEVICE_GRANT, Endpoints
from openstage.settings import Settings
from tests.oauth.conftest import CALLBACK, Client, OauthServer, make_client
from tests.oauth.person import Person, problem


@pytest.fixture(scope="module")
async def http(server: OauthServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as client:
        yield client


async def tokens_for(http: httpx.AsyncClient, client: Client, person: Person, **more: str) -> dict[str, Any]:
    code = (await person.authorize(client_id=client.id, redirect_uri=CALLBACK, **more))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    reply = await http.post("/oauth/token", data=client.credentials | form)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def begin(http: httpx.AsyncClient, client: Client, **form: str) -> dict[str, Any]:
    reply = await http.post("/oauth/device", data={"client_id": client.id} | form)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def poll(http: httpx.AsyncClient, client: Client, device_code: str) -> httpx.Response:
    form = {"grant_type": DEVICE_GRANT, "client_id": client.id, "device_code": device_code}
    return await http.post("/oauth/token", data=form)


async def patience(database: Database) -> None:
    """The devices have waited as long as they were told to."""
    async with database.connection() as connection:
        await connection.execute("update device_grant set polled_at = null")


# --- metadata


async def test_metadata_is_what_the_rfc_asks_for(module_database: Database, module_settings: Settings) -> None:
    settings = module_settings.model_copy(update={"public_url": "https://stage.example"})
    identity = Identity(module_database, settings, Keys.load(settings.folder))
    endpoints = Endpoints(identity, settings)
    told = AuthorizationServerMetadata(await endpoints.metadata(None))  # type: ignore[arg-type]
    told.validate()
    assert told["issuer"] == "https://stage.example"
    served = {route.path for route in endpoints.routes()}  # type: ignore[attr-defined]
    named = {value.removeprefix("https://stage.example") for name, value in told.items() if name.endswith("_endpoint")}
    assert named - {"/oauth/authorize"} <= served


# --- who asks


@pytest.mark.parametrize(
    ("auth", "form", "error"),
    [
        (None, {}, "invalid_client"),
        (None, {"client_id": "ID"}, "invalid_client"),
        (None, {"client_id": "ID", "client_secret": "wrong"}, "invalid_client"),
        (None, {"client_id": "nobody", "client_secret": "SECRET"}, "invalid_client"),
        (("ID", "wrong"), {}, "invalid_client"),
        (("ID", "SECRET"), {"client_id": "other"}, "invalid_request"),
        (("ID", "SECRET"), {"client_secret": "SECRET"}, "invalid_request"),
    ],
)
async def test_an_app_proves_itself_in_one_way(
    http: httpx.AsyncClient, client: Client, auth: tuple[str, str] | None, form: dict[str, str], error: str
) -> None:
    real = {"ID": client.id, "SECRET": client.secret}
    basic = httpx.BasicAuth(real[auth[0]], real.get(auth[1], auth[1])) if auth else None
    fields = {name: real.get(value, value) for name, value in form.items()} | {"grant_type": "client_credentials"}
    refused = (
        await http.post("/oauth/token", data=fields, auth=basic)
        if basic
        else await http.post("/oauth/token", data=fields)
    )
    assert refused.json()["error"] == error
    assert refused.status_code == (401 if error == "invalid_client" else 400)
    scheme = 'Basic realm="openstage", error="invalid_client"' if error == "invalid_client" else None
    assert refused.headers.get("www-authenticate") == scheme
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/x-www-form-urlencoded", 400),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded", 400),
        (b'{"grant_type": "client_credentials"}', "application/json", 400),
        (b"grant_type=%FF%00\xff&\x00", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 5000, "application/x-www-form-urlencoded", 400),
        (b"a" * 100_000, "application/x-www-form-urlencoded", 400),
    ],
)
async def test_what_is_no_form_is_refused_in_oauths_words(
    http: httpx.AsyncClient, content: bytes, kind: str, status: int
) -> None:
    for path in ("/oauth/token", "/oauth/device", "/oauth/revoke", "/oauth/introspect"):
        refused = await http.post(
            path, content=content, headers={"Content-Type": kind, "Authorization": "Basic /////w=="}
        )
        assert refused.status_code in {status, 401}
        assert refused.json()["error"] in {"invalid_request", "invalid_client", "unsupported_grant_type"}


async def test_nothing_is_taken_from_an_address(http: httpx.AsyncClient, client: Client) -> None:
    query = client.credentials | {"grant_type": "client_credentials"}
    asked = await http.get("/oauth/token", params=query)
    assert (asked.status_code, asked.headers["allow"]) == (405, "POST")
    posted = await http.post("/oauth/token", params=query, data={"x": "1"})
    assert posted.status_code == 400


async def test_pages_of_other_sites_may_ask_for_tokens_and_nothing_else(http: httpx.AsyncClient) -> None:
    asked = await http.options("/oauth/token", headers={"Origin": "https://spa.example"})
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in asked.headers
    for path in ("/oauth/introspect", "/oauth/authorize", "/account"):
        reply = await http.get(path, headers={"Origin": "https://spa.example"})
        assert "access-control-allow-origin" not in reply.headers


# --- grants


async def test_an_app_gets_a_token_for_itself(http: httpx.AsyncClient, client: Client, public: Client) -> None:
    form = {"grant_type": "client_credentials", "scope": "works.read"}
    reply = await http.post("/oauth/token", data=form, auth=(client.id, client.secret))
    token = reply.json()
    assert token | {"access_token": ""} == {
        "access_token": "", "token_type": "Bearer", "expires_in": 86400, "scope": "works.read"
    }  # fmt: skip
    refused = await http.post("/oauth/token", data=form | {"client_id": public.id})
    assert refused.json()["error"] == "unauthorized_client"
    beyond = await http.post("/oauth/token", data=form | {"scope": 'works.read x"y'}, auth=(client.id, client.secret))
    assert beyond.json()["error"] == "invalid_scope"
    assert (await http.post("/oauth/token", data={"grant_type": "password"})).json()[
        "error"
    ] == "unsupported_grant_type"


async def test_refresh_tokens_rotate_and_a_used_one_ends_the_family(
    http: httpx.AsyncClient, client: Client, person: Person, module_database: Database
) -> None:
    first = await tokens_for(http, client, person)
    form = client.credentials | {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    raced = await asyncio.gather(*(http.post("/oauth/token", data=form) for _ in range(8)))
    answers = {(reply.json()["access_token"], reply.json()["refresh_token"]) for reply in raced}
    assert len(answers) == 1  # a reply may be lost: for a minute all hear the same
    assert raced[0].json()["refresh_token"] != first["refresh_token"]
    async with module_database.connection() as connection:
        await connection.execute(
            "update refresh_token set used_at = used_at - interval '61 s' where used_at is not null"
        )
    reused = await http.post("/oauth/token", data=form)
    assert reused.json()["error"] == "invalid_grant"
    for token in (first["access_token"], raced[0].json()["access_token"], raced[0].json()["refresh_token"]):
        told = await http.post("/oauth/introspect", data={"token": token}, auth=(client.id, client.secret))
        assert told.json() == {"active": False}


async def test_tokens_are_told_and_revoked_by_their_own_app_alone(
    server: OauthServer, http: httpx.AsyncClient, client: Client, public: Client, person: Person
) -> None:
    token = await tokens_for(http, client, person)
    other = await make_client(server)

    async def active(who: Client, which: str) -> bool:
        reply = await http.post("/oauth/introspect", data={"token": token[which]}, auth=(who.id, who.secret))
        return bool(reply.json()["active"])

    assert await active(client, "access_token")
    assert await active(client, "refresh_token")
    assert not await active(other, "access_token")
    assert (await http.post("/oauth/introspect", data={"token": "x", "client_id": public.id})).status_code == 401
    for form in ({"token": token["access_token"]}, {"token": "never given"}):
        assert (await http.post("/oauth/revoke", data=form, auth=(other.id, other.secret))).status_code == 200
    assert await active(client, "access_token")
    gone = await http.post("/oauth/revoke", data=client.credentials | {"token": token["refresh_token"]})
    assert gone.status_code == 200
    assert not await active(client, "access_token")


async def test_an_app_that_is_frozen_gets_nothing(server: OauthServer, http: httpx.AsyncClient, client: Client) -> None:
    await server.identity.apps.set_state(client.id, "frozen")
    refused = await http.post("/oauth/token", data=client.credentials | {"grant_type": "client_credentials"})
    assert refused.json()["error"] == "unauthorized_client"


# --- devices


async def test_a_device_waits_until_a_person_confirms(
    http: httpx.AsyncClient, public: Client, person: Person, module_database: Database
) -> None:
    told = await begin(http, public, scope="works.write", device_name="Living <room> TV")
    assert told["verification_uri_complete"] == f"{told['verification_uri']}?user_code={told['user_code']}"
    assert (told["interval"], told["expires_in"]) == (5, 900)
    waiting = await poll(http, public, told["device_code"])
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    assert (await poll(http, public, told["device_code"])).json()["error"] == "slow_down"
    page = await person.get("/device", user_code=told["user_code"].lower().replace("-", " "))
    assert told["user_code"] in page.text
    assert "Living &lt;room&gt; TV" in page.text
    assert "upload, change and delete works in your name" in page.text
    done = await person.post(page, "/device", decision="allow")
    assert (done.status_code, problem(done)) == (200, "")
    await patience(module_database)
    token = (await poll(http, public, told["device_code"])).json()
    assert (token["scope"], len(token["openid"])) == ("works.write", 32)
    again = await poll(http, public, told["device_code"])
    assert again.json()["error"] == "invalid_grant"


async def test_of_two_decisions_the_first_holds(http: httpx.AsyncClient, public: Client, person: Person) -> None:
    told = await begin(http, public)
    page = await person.get("/device", user_code=told["user_code"])
    replies = await asyncio.gather(
        *(person.post(page, "/device", decision=decision) for decision in ("refuse", "allow", "refuse", "allow"))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409]
    refused = await poll(http, public, told["device_code"])
    first = next(index for index, reply in enumerate(replies) if reply.status_code == 200)
    assert ("access_token" in refused.json()) == (first in {1, 3})
    assert (await person.get("/device", user_code=told["user_code"])).status_code == 409


async def test_of_many_polls_at_once_one_gets_the_tokens(
    http: httpx.AsyncClient, public: Client, person: Person
) -> None:
    told = await begin(http, public)
    page = await person.get("/device", user_code=told["user_code"])
    await person.post(page, "/device", decision="allow")
    replies = await asyncio.gather(*(poll(http, public, told["device_code"]) for _ in range(8)))
    assert [reply.status_code for reply in replies].count(200) == 1


async def test_a_device_hears_of_refusal_and_of_the_end(
    http: httpx.AsyncClient, client: Client, public: Client, person: Person, module_database: Database
) -> None:
    refused, late = await begin(http, public), await begin(http, public)
    page = await person.get("/device", user_code=refused["user_code"])
    await person.post(page, "/device", decision="refuse")
    assert (await poll(http, public, refused["device_code"])).json()["error"] == "access_denied"
    async with module_database.connection() as connection:
        await connection.execute("update device_grant set expires_at = now() - interval '1 s' where state = 'waiting'")
    assert (await poll(http, public, late["device_code"])).json()["error"] == "expired_token"
    unknown = await person.get("/device", user_code=late["user_code"])
    assert (unknown.status_code, "No device shows this code" in problem(unknown)) == (404, True)
    assert (await poll(http, public, "x" * 43)).json()["error"] == "invalid_grant"
    form = client.credentials | {"grant_type": DEVICE_GRANT, "device_code": refused["device_code"]}
    assert (await http.post("/oauth/token", data=form)).json()["error"] == "invalid_grant"  # another app's


# --- guesses


async def test_guessing_is_stopped_and_says_for_how_long(
    server: OauthServer, http: httpx.AsyncClient, client: Client
) -> None:
    form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": "wrong"}
    for _ in range(50):
        assert (await http.post("/oauth/token", data=form)).status_code == 401
    stopped = await http.post("/oauth/token", data=form | {"client_secret": client.secret})
    assert (stopped.status_code, stopped.json()["error"]) == (429, "slow_down")
    assert 1 <= int(stopped.headers["retry-after"]) <= 5
    elsewhere = await http.post(
        "/oauth/token", data=form | {"client_secret": client.secret}, headers={"X-Forwarded-For": "203.0.113.7"}
    )
    assert elsewhere.status_code == 200  # nobody locks an app out by trying
    other = await make_client(server)
    beside = await http.post("/oauth/token", data=other.credentials | {"grant_type": "client_credentials"})
    assert beside.status_code == 200  # nor its neighbours behind one address
    nobody = {"grant_type": "client_credentials", "client_secret": "wrong"}
    unknown = [
        (await http.post("/oauth/token", data=nobody | {"client_id": f"n{number}"})).status_code for number in range(52)
    ]
    assert unknown == [401] * 50 + [429] * 2
    dialect = (await http.get("/api/iqiyi/authorize", params=client.credentials)).json()
    assert dialect["code"] == "A00007"
    assert "try again in" in dialect["msg"]


async def test_guessing_at_devices_codes_is_stopped_for_the_person(
    http: httpx.AsyncClient, public: Client, person: Person
) -> None:
    told = await begin(http, public)
    pages = [await person.get("/device", user_code="BCDFGHJK") for _ in range(5)]
    assert (await person.get("/device", user_code=told["user_code"])).status_code == 200  # buys no further guesses
    pages += [await person.get("/device", user_code="BCDFGHJK") for _ in range(6)]
    assert [page.status_code for page in pages] == [404] * 10 + [429]
    assert int(pages[-1].headers["retry-after"]) <= 60
    right = await person.get("/device", user_code=told["user_code"])
    assert right.status_code == 429
