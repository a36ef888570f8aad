"""Tokens of the karaoke dialect: for codes and secrets, renewed by a signature, one per app and user."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from openstage.database.engine import Database
from openstage.identity.codes import challenge_of
from openstage.identity.errors import TokenInvalid
from tests.oauth.conftest import CALLBACK, PASSWORD, Client, OauthServer, make_client
from tests.oauth.karaoke import USER_TOKEN, Api
from tests.oauth.person import Person

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture(scope="module")
async def http(server: OauthServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as client:
        yield client


@pytest.fixture
async def api(http: httpx.AsyncClient, client: Client) -> Api:
    return Api(http, client)


async def code_for(person: Person, client: Client, **more: str) -> str:
    """A code that the app gets by a redirect."""
    answer = await person.authorize(client_id=client.id, redirect_uri=CALLBACK, **more)
    return answer["code"]


async def sign_in(person: Person, api: Api) -> dict[str, Any]:
    token = await api.user_token(await code_for(person, api.client))
    assert token["error_code"] == "0", token
    return token


async def is_taken(server: OauthServer, token: str) -> bool:
    try:
        await server.identity.resolve(token)
    except TokenInvalid:
        return False
    return True


# --- for a code -------------------------------------------------------------------------------------------------------
async def test_a_code_from_a_redirect_gives_the_documented_reply(api: Api, person: Person, server: OauthServer) -> None:
    token = await api.user_token(await code_for(person, api.client))
    assert {name: type(value) for name, value in token.items()} == USER_TOKEN
    assert list(token) == list(USER_TOKEN)
    assert (token["error_code"], token["error_msg"], token["orig_acnt_type"]) == ("0", "", "1")
    assert token["scope"] == "profile works.read works.write"
    caller = await server.identity.resolve(token["access_token"])
    assert (caller.uid, caller.client_id) == (token["openid"], api.client.id)


async def test_the_kind_of_account_is_told_only_where_the_person_allows_the_profile(api: Api, person: Person) -> None:
    token = await api.user_token(await code_for(person, api.client, scope="works.read"))
    assert (token["scope"], token["orig_acnt_type"]) == ("works.read", "")


async def test_proof_keys_and_the_redirect_address_hold_where_they_are_sent(api: Api, person: Person) -> None:
    pkce = {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
    code = await code_for(person, api.client, **pkce)
    for wrong in ({}, {"code_verifier": "x" * 43}, {"code_verifier": VERIFIER, "redirect_uri": "https://evil.example"}):
        refused = await api.user_token(code, **wrong)
        assert (refused["error_code"], refused["access_token"]) == ("1122", ""), wrong
    assert (await api.user_token(code, code_verifier=VERIFIER, redirect_uri=CALLBACK))["error_code"] == "0"


async def test_a_code_is_used_once_however_many_race_for_it(api: Api, person: Person, server: OauthServer) -> None:
    code = await code_for(person, api.client)
    tokens = await asyncio.gather(*(api.user_token(code) for _ in range(6)))
    assert sorted(token["error_code"] for token in tokens) == ["0", *["1122"] * 5]
    # Two parties hold the code, so neither keeps what came of it (RFC 6749, 4.1.2).
    [token] = [token["access_token"] for token in tokens if token["error_code"] == "0"]
    assert not await is_taken(server, token)


async def test_codes_and_refresh_tokens_are_of_no_use_to_another_app(
    api: Api, person: Person, server: OauthServer
) -> None:
    other = Api(api.http, await make_client(server))
    assert (await other.user_token(await code_for(person, api.client)))["error_code"] == "1122"
    token = await sign_in(person, api)
    refused = await other.renew(token["refresh_token"], openid=token["openid"])
    assert (refused["error_code"], refused["access_token"]) == (1121, "")


async def test_a_user_has_one_token_per_app_and_the_new_one_ends_the_old(
    api: Api, person: Person, server: OauthServer
) -> None:
    elsewhere = await sign_in(person, Api(api.http, await make_client(server)))
    first, second = await sign_in(person, api), await sign_in(person, api)
    assert first["openid"] == second["openid"] != elsewhere["openid"]
    assert first["unionid"] == elsewhere["unionid"]
    assert not await is_taken(server, first["access_token"])
    assert await is_taken(server, second["access_token"])
    assert await is_taken(server, elsewhere["access_token"])
    assert (await api.renew(first["refresh_token"], openid=first["openid"]))["error_code"] == 1121
    why = (await server.identity.authorisations.explain(first["access_token"])).why
    assert "a newer one of the same app and user took its place" in why


# --- for the app itself -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/v2/getToken", "/test/api/v2/getToken"])
async def test_an_app_gets_a_token_of_its_own_on_both_paths(api: Api, server: OauthServer, path: str) -> None:
    token = await api.app_token(path)
    assert list(token) == ["access_token", "expires_in", "refresh_token", "error_code", "error_msg"]
    assert (token["error_code"], token["error_msg"]) == (0, "")
    assert (await server.identity.resolve(token["access_token"])).uid == ""
    again = await api.app_token(path)
    assert await is_taken(server, token["access_token"])  # several servers of an app may each hold one
    assert again["access_token"] != token["access_token"]


async def test_an_app_renews_its_own_token_without_an_openid(api: Api, server: OauthServer) -> None:
    token = await api.app_token()
    renewed = await api.renew(token["refresh_token"])
    assert list(renewed) == ["access_token", "expires_in", "error_code", "error_msg"]
    assert renewed["error_code"] == 0
    assert await is_taken(server, renewed["access_token"])
    assert not await is_taken(server, token["access_token"])
    assert (await api.renew(token["refresh_token"], openid="7d0e"))["error_code"] == 1121


# --- renewed ----------------------------------------------------------------------------------------------------------
async def test_a_refresh_token_is_kept_and_each_new_access_token_ends_the_one_before(
    api: Api, person: Person, server: OauthServer
) -> None:
    token = await sign_in(person, api)
    before, now = token["access_token"], int(time.time())
    for later in range(3):
        renewed = await api.renew(token["refresh_token"], openid=token["openid"], ts=now + later)
        assert renewed["error_code"] == 0
        assert not await is_taken(server, before)
        before = renewed["access_token"]
        assert await is_taken(server, before)
    assert (await api.renew(token["refresh_token"]))["error_code"] == 1121, "a user's needs the openid"
    other = await api.renew(token["refresh_token"], openid="0" * 32)
    assert (other["error_code"], "openid" in other["error_msg"]) == (1121, True)
    assert await is_taken(server, before)


async def test_a_signed_request_that_is_replayed_does_no_harm(
    api: Api, person: Person, server: OauthServer, module_database: Database
) -> None:
    token, now = await sign_in(person, api), int(time.time())
    renewed = await api.renew(token["refresh_token"], openid=token["openid"], ts=now - 10)
    # The reply may have been lost: the same again, and no other token.
    again = await api.renew(token["refresh_token"], openid=token["openid"], ts=now - 10)
    assert again["access_token"] == renewed["access_token"]
    newest = await api.renew(token["refresh_token"], openid=token["openid"], ts=now)
    replayed = await api.renew(token["refresh_token"], openid=token["openid"], ts=now - 10)
    assert (replayed["error_code"], replayed["access_token"]) == (1125, "")
    assert await is_taken(server, newest["access_token"])
    async with module_database.connection() as connection:
        await connection.execute("update access_token set issued_at = issued_at - interval '2 min'")
    replayed = await api.renew(token["refresh_token"], openid=token["openid"], ts=now)
    assert (replayed["error_code"], replayed["access_token"]) == (1125, "")
    assert await is_taken(server, newest["access_token"])


async def test_of_renewals_that_race_one_access_token_is_left(api: Api, person: Person, server: OauthServer) -> None:
    token, now = await sign_in(person, api), int(time.time())
    many = [api.renew(token["refresh_token"], openid=token["openid"], ts=now - later % 4) for later in range(12)]
    renewed = await asyncio.gather(*many)
    given = {each["access_token"] for each in renewed if each["error_code"] == 0}
    assert {each["error_code"] for each in renewed} <= {0, 1125}
    assert len(given) == 4, "one for each time that was signed"
    assert [await is_taken(server, each) for each in given].count(True) == 1
    assert (await api.renew(token["refresh_token"], openid=token["openid"], ts=now + 1))["error_code"] == 0


async def test_a_signature_holds_for_five_minutes_and_for_both_secrets_of_a_rotation(
    api: Api, person: Person, server: OauthServer
) -> None:
    token, now, old = await sign_in(person, api), int(time.time()), api.client.secret

    async def renew(ts: int, secret: str = old, **more: str) -> int:
        renewed = await api.renew(token["refresh_token"], openid=token["openid"], ts=ts, secret=secret, **more)
        code: int = renewed["error_code"]
        return code

    assert [await renew(now + off) for off in (-400, -290, 290, 400)] == [1126, 0, 0, 1126]
    assert await renew(now + 1, "another secret") == 1124
    assert await renew(now + 1, sign="f" * 32) == 1124
    new = (await server.identity.apps.rotate_secret(api.client.id)).client_secret
    assert [await renew(now + 2, old), await renew(now + 3, new)] == [0, 0]


async def test_a_kept_refresh_token_needs_the_secret_elsewhere_too(api: Api, person: Person) -> None:
    """Else whoever found the token could do on another interface what the signature keeps them from here."""
    token = await sign_in(person, api)
    query = {"client_id": api.client.id, "grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    assert (await api.http.get("/api/oauth2/token", params=query)).json()["code"] == "A21325"
    query["client_secret"] = api.client.secret
    assert (await api.http.get("/api/oauth2/token", params=query)).json()["code"] == "A00000"


async def test_a_token_of_another_interface_is_renewed_there_alone(api: Api, person: Person) -> None:
    code = await code_for(person, api.client)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **api.client.credentials}
    token = (await api.http.post("/oauth/token", data=form)).json()
    refused = await api.renew(token["refresh_token"], openid=token["openid"])
    assert (refused["error_code"], "another interface" in refused["error_msg"]) == (1121, True)


# --- what goes wrong --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"appid": ""}, 1001),
        ({"secret": None}, 1001),
        ({"code": ""}, 1001),
        ({"grant_type": "password"}, 1001),
        ({"grant_type": ["authorization_code"]}, 1001),
        ({"code": {"a": 1}}, 1001),
        ({"appid": "0" * 32}, 1120),
        ({"appid": "\U0001f600"}, 1120),
        ({"secret": "0" * 32}, 1120),
        ({"code": "never given"}, 1122),
        ({"code": "x" * 40_000}, 1122),
    ],
)
async def test_what_is_wrong_with_a_request_is_told(api: Api, change: dict[str, Any], code: int) -> None:
    body = {**api.proof, "code": "x", "grant_type": "authorization_code", **change}
    refused = await api.call("/oauth/v2/access_token", body)
    assert {name: type(value) for name, value in refused.items()} == USER_TOKEN
    assert refused["error_code"] == str(code)
    assert refused["error_msg"]
    assert not any(refused[name] for name in ("access_token", "refresh_token", "openid", "expires_in"))


@pytest.mark.parametrize(
    "path", ["/oauth/v2/access_token", "/api/v2/getToken", "/oauth/v2/refresh_token", "/oauth/v2/light_qr_stat"]
)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 1001),
        (b"{", 1002),
        (b"[]", 1002),
        (b'"x"', 1002),
        (b"\xff\xfe", 1002),
        (b'{"appid": "a", "appid": "b"}', 1002),
        (b'{"appid": "\\ud800"}', 1002),
        (b'{"appid": NaN}', 1002),
        (b'{"appid": ' + b"[" * 5000 + b"]" * 5000 + b"}", 1002),
        (b'{"appid": "' + b"x" * 70_000 + b'"}', 1003),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(api: Api, path: str, body: bytes, code: int) -> None:
    reply = await api.http.post(path, content=body)
    assert (reply.status_code, int(reply.json()["error_code"])) == (200, code)


async def test_other_methods_get_the_same_envelope(api: Api) -> None:
    reply = await api.http.get("/oauth/v2/access_token", params=api.proof)
    assert (reply.status_code, reply.json()["error_code"]) == (200, "1006")


@pytest.mark.parametrize(("state", "code"), [("pending", 1110), ("frozen", 1112), ("deleted", 1120)])
async def test_an_app_that_is_not_approved_gets_nothing(api: Api, server: OauthServer, state: Any, code: int) -> None:
    token = await api.app_token()
    await server.identity.apps.set_state(api.client.id, state)
    assert (await api.app_token())["error_code"] == code
    assert (await api.renew(token["refresh_token"]))["error_code"] == (1124 if state == "deleted" else code)
    refused = await api.call("/oauth/v2/light_qr", api.proof)
    assert refused["error_code"] == code


async def test_wrong_secrets_and_signatures_are_counted_and_the_wait_is_told(api: Api, person: Person) -> None:
    token = await sign_in(person, api)
    wrong = [api.renew(token["refresh_token"], openid=token["openid"], secret="guess") for _ in range(60)]
    codes = [each["error_code"] for each in await asyncio.gather(*wrong)]
    assert set(codes) == {1124, 1130}
    refused = await api.user_token("a code")
    assert refused["error_code"] == "1130"
    assert "try again in" in refused["error_msg"]


# --- beside others ----------------------------------------------------------------------------------------------------
async def calls(api: Api, token: str) -> Any:
    """What a call with a user's token answers: its code."""
    headers = {"X_Open_Access_Token": token, "X_Open_App_ID": api.client.id}
    return (await api.call("/karaoke/user/v2/get_user_work", {}, **headers))["code"]


async def test_a_token_of_standard_oauth_lives_beside_until_the_next_of_this_dialect(api: Api, person: Person) -> None:
    first = await sign_in(person, api)
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, **api.client.credentials}
    redeemed = await api.http.post("/oauth/token", data=form | {"code": await code_for(person, api.client)})
    standard = redeemed.json()["access_token"]
    assert [await calls(api, each) for each in (first["access_token"], standard)] == [0, 0]
    second = await sign_in(person, api)
    tokens = [first["access_token"], standard, second["access_token"]]
    assert [await calls(api, each) for each in tokens] == [1102, 1102, 0]


async def test_a_public_app_redeems_without_a_secret_and_makes_the_same_calls(
    http: httpx.AsyncClient, public: Client, person: Person
) -> None:
    api = Api(http, public)
    challenge = {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
    code = await code_for(person, public, **challenge)
    body = {"appid": public.id, "code": code, "grant_type": "authorization_code", "code_verifier": VERIFIER}
    assert (await api.call("/oauth/v2/access_token", body))["error_code"] == "1001"
    form = {"client_id": public.id, "redirect_uri": CALLBACK, **body}
    redeemed = await http.post("/oauth/token", data=form)
    assert await calls(api, redeemed.json()["access_token"]) == 0


async def test_of_a_disabled_account_a_code_and_tokens_are_refused_each_in_its_way(
    api: Api, server: OauthServer
) -> None:
    await server.identity.accounts.create("who leaves", PASSWORD)
    async with server.person() as someone:
        await someone.sign_in("who leaves", PASSWORD)
        token = await sign_in(someone, api)
        code = await code_for(someone, api.client)
    await server.identity.accounts.set_state("who leaves", "disabled")
    assert (await api.user_token(code))["error_code"] == "1108"
    assert await calls(api, token["access_token"]) == 1102
    assert (await api.renew(token["refresh_token"], openid=token["openid"]))["error_code"] == 1121
