"""Authorization code: what an app is given, and what nobody is."""

import asyncio
import base64
import hashlib

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from openstage.database.engine import Database
from openstage.identity.codes import challenge_of
from tests.oauth.authlib_client import AsyncOAuth2Client
from tests.oauth.conftest import CALLBACK, Client, OauthServer, make_client
from tests.oauth.person import Person, policy, problem

VERIFIER = "dBjftJeZ4CVP-mBwZhe3x_k6LxfjYt_YJ1YJq0-9YxQ"


def proof(verifier: str = VERIFIER) -> dict[str, str]:
    return {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}


async def ask(server: OauthServer, client: Client, **form: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as http:
        return await http.post("/oauth/token", data=client.credentials | form)


async def code_for(person: Person, client: Client, **more: str) -> str:
    return (await person.authorize(client_id=client.id, redirect_uri=CALLBACK, **more))["code"]


async def works(server: OauthServer, token: str) -> str:
    """What the video dialect makes of a token."""
    async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as http:
        reply = await http.get("/api/file/count", headers={"Authorization": f"Bearer {token}"})
    return str(reply.json()["code"])


def test_the_challenge_is_that_of_the_rfc() -> None:
    # RFC 7636, appendix B
    octets = [116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186,
              22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121]  # fmt: skip
    verifier = base64.urlsafe_b64encode(bytes(octets)).rstrip(b"=").decode()
    assert verifier == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    for number in range(50):
        verifier = hashlib.sha512(b"%d" % number).hexdigest()[: 43 + number]
        assert challenge_of(verifier) == create_s256_code_challenge(verifier)


async def test_authlibs_own_client_signs_somebody_in(server: OauthServer, client: Client, person: Person) -> None:
    async with AsyncOAuth2Client(
        client.id, client.secret, redirect_uri=CALLBACK, scope="works.read profile", code_challenge_method="S256"
    ) as oauth:
        where = f"{server.address}/.well-known/oauth-authorization-server"
        told = (await oauth.request("GET", where, withhold_token=True)).json()
        # The server of the tests has another port than its settings say.
        metadata = {name: str(value).replace(told["issuer"], server.address) for name, value in told.items()}
        address, state = oauth.create_authorization_url(metadata["authorization_endpoint"], code_verifier=VERIFIER)
        page = await person.http.get(address)
        assert page.status_code == 200
        assert "A camera &lt;app&gt;" in page.text
        answer = await person.post(page, "/oauth/authorize", decision="allow")
        token = await oauth.fetch_token(
            metadata["token_endpoint"],
            authorization_response=answer.headers["location"],
            code_verifier=VERIFIER,
            state=state,
        )
        assert token["token_type"] == "Bearer"
        assert token["scope"] == "profile works.read"
        assert await works(server, token["access_token"]) == "A00000"
        inspected = await oauth.introspect_token(metadata["introspection_endpoint"], token=token["access_token"])
        assert inspected.json() | {"iat": 0, "exp": 0} == {
            "active": True, "iss": told["issuer"], "client_id": client.id, "sub": token["openid"],
            "scope": "profile works.read", "username": "小明", "token_type": "Bearer", "iat": 0, "exp": 0,
        }  # fmt: skip
        renewed = await oauth.refresh_token(metadata["token_endpoint"])
        assert renewed["access_token"] != token["access_token"]
        revoked = await oauth.revoke_token(metadata["revocation_endpoint"], token=renewed["access_token"])
        assert revoked.status_code == 200
        assert await works(server, renewed["access_token"]) == "A21332"


async def test_the_app_hears_state_and_issuer(server: OauthServer, client: Client, person: Person) -> None:
    heard = await person.authorize(client_id=client.id, redirect_uri=CALLBACK, state="a b&c=日")
    assert heard.address == CALLBACK
    assert heard["state"] == "a b&c=日"
    assert heard["iss"].startswith("http://127.0.0.1")
    refused = await person.authorize(decision="refuse", client_id=client.id, redirect_uri=CALLBACK, state="s")
    assert (refused["error"], refused["state"], "code" in refused) == ("access_denied", "s", False)


async def test_a_code_used_twice_ends_what_came_of_it(server: OauthServer, client: Client, person: Person) -> None:
    code = await code_for(person, client)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    first = (await ask(server, client, **form)).json()
    assert await works(server, first["access_token"]) == "A00000"
    second = await ask(server, client, **form)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert await works(server, first["access_token"]) == "A21332"
    explained = await server.identity.authorisations.explain(first["access_token"])
    assert "used twice" in explained.why


async def test_of_many_that_use_a_code_at_once_one_at_most_is_given_tokens(
    server: OauthServer, client: Client, person: Person
) -> None:
    code = await code_for(person, client)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    replies = await asyncio.gather(*(ask(server, client, **form) for _ in range(12)))
    given = [reply.json()["access_token"] for reply in replies if reply.status_code == 200]
    assert len(given) == 1
    assert await works(server, given[0]) == "A21332"  # the others ended it


@pytest.mark.parametrize(
    "change",
    [
        {"code": "x" * 43},
        {"redirect_uri": "https://app.example/callback/"},
        {"redirect_uri": ""},
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"code_verifier": VERIFIER[:42]},
    ],
)
async def test_a_code_is_bound_to_its_request(
    server: OauthServer, client: Client, person: Person, change: dict[str, str]
) -> None:
    code = await code_for(person, client, **proof())
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    refused = await ask(server, client, **(form | change))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await ask(server, client, **form)).status_code == 200


async def test_a_code_is_bound_to_its_app(server: OauthServer, client: Client, person: Person) -> None:
    code = await code_for(person, client)
    other = await make_client(server)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    assert (await ask(server, other, **form)).json()["error"] == "invalid_grant"
    assert (await ask(server, client, **form)).status_code == 200


async def test_a_challenge_can_not_be_taken_out_of_a_request(
    server: OauthServer, client: Client, person: Person
) -> None:
    code = await code_for(person, client)  # RFC 9700, 4.8.2
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    assert (await ask(server, client, **form)).json()["error"] == "invalid_grant"


async def test_an_expired_code_is_refused(
    server: OauthServer, client: Client, person: Person, module_database: Database
) -> None:
    code = await code_for(person, client)
    async with module_database.connection() as connection:
        await connection.execute(
            "update authorization_code set expires_at = now() - interval '1 s' where used_at is null"
        )
    refused = await ask(server, client, grant_type="authorization_code", code=code, redirect_uri=CALLBACK)
    assert refused.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"request": "eyJ"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
    ],
)
async def test_what_is_wrong_is_told_to_the_app(
    public: Client, person: Person, change: dict[str, str], error: str
) -> None:
    fields = {"response_type": "code", "client_id": public.id, "redirect_uri": CALLBACK, "state": "s", **proof()}
    page = await person.get("/oauth/authorize", **(fields | change))
    assert page.status_code == 303
    assert page.headers["location"].startswith(CALLBACK + "?")
    assert f"error={error}" in page.headers["location"]
    assert "state=s" in page.headers["location"]


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": "https://app.example:443/callback"},
        {"redirect_uri": "https://app.example@evil.example/callback"},
        {"redirect_uri": "HTTPS://app.example/callback"},
        {"redirect_uri": "https://app.example/%63allback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://127.0.0.1:9/callback"},
    ],
)
async def test_nobody_is_led_to_an_address_that_is_not_registered(
    client: Client, person: Person, change: dict[str, str]
) -> None:
    fields = {"response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK, "state": "s"}
    page = await person.get("/oauth/authorize", **(fields | change))
    assert page.status_code == 400
    assert "location" not in page.headers
    assert problem(page)


async def test_a_native_app_listens_on_any_port_of_its_own_machine(server: OauthServer, person: Person) -> None:
    made = await server.identity.apps.create("A native app")
    await server.identity.apps.configure(made.client_id, redirects=["http://127.0.0.1/done"], public=True)
    heard = await person.authorize(client_id=made.client_id, redirect_uri="http://127.0.0.1:49152/done", **proof())
    assert heard.address == "http://127.0.0.1:49152/done"
    other = await person.get(
        "/oauth/authorize", response_type="code", client_id=made.client_id, redirect_uri="http://127.0.0.1:1/else"
    )
    assert other.status_code == 400


@pytest.mark.parametrize(
    ("redirect", "allowed"),
    [("http://[::1]/done", "'self' http:"), ("com.example.app:/done", "'self' com.example.app:")],
)
async def test_the_consent_form_may_lead_back_to_the_app(
    server: OauthServer, person: Person, redirect: str, allowed: str
) -> None:
    made = await server.identity.apps.create("A native app")
    await server.identity.apps.configure(made.client_id, redirects=[redirect], public=True)
    page = await person.get("/oauth/authorize", response_type="code", client_id=made.client_id, **proof())
    assert policy(page)["form-action"] == allowed
    heard = await person.authorize(client_id=made.client_id, **proof())
    assert heard.address == redirect


async def test_who_is_not_signed_in_is_led_nowhere_before_they_are(server: OauthServer, client: Client) -> None:
    async with server.person() as stranger:
        page = await stranger.get(
            "/oauth/authorize", response_type="code", client_id=client.id, redirect_uri=CALLBACK, scope="everything"
        )
        assert page.status_code == 303
        assert page.headers["location"].startswith("/sign-in?next=%2Foauth%2Fauthorize")
        form = await stranger.http.get(page.headers["location"])
        assert "A camera &lt;app&gt;" in form.text
        back = await stranger.post(form, "/sign-in", name="小明", password="correct horse battery")
        assert back.headers["location"].startswith("/oauth/authorize?response_type=code")
        told = await stranger.http.get(back.headers["location"])
        assert "error=invalid_scope" in told.headers["location"]


async def test_consent_is_shown_to_people_alone_and_taken_from_our_form_alone(
    server: OauthServer, client: Client, person: Person
) -> None:
    fields = {"response_type": "code", "client_id": client.id, "redirect_uri": CALLBACK}
    page = await person.get("/oauth/authorize", **fields)
    rules = policy(page)
    assert rules["frame-ancestors"] == "'none'"
    assert page.headers["x-frame-options"] == "DENY"
    assert rules["form-action"] == "'self' https://app.example"
    assert page.headers["cache-control"] == "no-store"
    target = str(page.request.url)
    bare = await person.http.post(target, data={"decision": "allow"})
    assert (bare.status_code, "location" in bare.headers) == (403, False)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        given = {"decision": "allow", "form_token": page.text.split('name="form_token" value="')[1][:64]}
        forged = await person.http.post(target, data=given, headers=headers)
        assert forged.status_code == 403
    async with server.person() as other:
        await other.sign_in("小明", "correct horse battery")
        stolen = await other.http.post(target, data=given)
        assert stolen.status_code == 403


async def test_openid_is_the_apps_own_and_unionid_the_developers(server: OauthServer, person: Person) -> None:
    one, two, three = [await make_client(server) for _ in range(3)]
    developer = await server.identity.accounts.find("小明")
    for each in (one, two):
        await server.identity.apps.set_developer(each.id, developer)

    async def names(client: Client) -> tuple[str, str]:
        code = await code_for(person, client)
        token = (await ask(server, client, grant_type="authorization_code", code=code, redirect_uri=CALLBACK)).json()
        return token["openid"], token["unionid"]

    first, again, second, third = [await names(client) for client in (one, one, two, three)]
    assert first == again
    assert len({first[0], second[0], third[0]}) == 3
    assert first[1] == second[1] != third[1]
    assert {len(name) for name in (*first, *third)} == {32}


async def test_the_video_dialect_takes_codes_too(server: OauthServer, client: Client, person: Person) -> None:
    heard = await person.authorize(path="/api/oauth2/authorize", client_id=client.id, redirect_uri=CALLBACK)
    query = {**client.credentials, "grant_type": "authorization_code", "redirect_uri": CALLBACK, "code": heard["code"]}
    reply = (await person.get("/api/oauth2/token", **query)).json()
    assert reply["code"] == "A00000"
    assert reply["data"] == {name: reply[name] for name in ("access_token", "expires_in", "refresh_token")}
    assert await works(server, reply["access_token"]) == "A00000"
    again = (await person.get("/api/oauth2/token", **query)).json()
    assert again["code"] == "A21325"
    renewed = await person.get(
        "/api/oauth2/token", client_id=client.id, grant_type="refresh_token", refresh_token=reply["refresh_token"]
    )
    assert renewed.json()["code"] == "A21325"  # it has ended, because the code was used twice
    assert (await person.get("/api/oauth2/token", **(query | {"client_secret": "wrong"}))).json()["code"] == "A21324"


async def test_a_token_does_what_was_allowed_and_no_more(server: OauthServer, client: Client, person: Person) -> None:
    code = await code_for(person, client, scope="works.read")
    token = (await ask(server, client, grant_type="authorization_code", code=code, redirect_uri=CALLBACK)).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert (await person.http.get("/api/file/videoListForExternal", headers=headers)).json()["code"] == "A00000"
    for call in ("/openupload?filetype=mp4&filesize=1", "/api/file/delete?delete_type=0", "/api/file/info?file_id=1"):
        assert (await person.http.get(call, headers=headers)).json()["code"] == "A21330", call
