"""People: names, passwords, sessions; addresses that codes may be sent to; what a token says of itself."""

import asyncio

import pytest

from openstage.database.engine import Database
from openstage.identity import tokens
from openstage.identity.accounts import acceptable_name, folded
from openstage.identity.errors import (
    BadName,
    BadPassword,
    BadRedirect,
    BadScope,
    NameTaken,
    RefreshInvalid,
    TokenInvalid,
    TooManyGuesses,
    UnknownAuthorisation,
    WrongPassword,
)
from openstage.identity.guesses import network
from openstage.identity.issuing import Terms
from openstage.identity.models import App, AppCredentials
from openstage.identity.passwords import require_good
from openstage.identity.redirects import acceptable
from openstage.identity.scopes import asked
from openstage.identity.service import Identity

PASSWORD = "four words of mine"


async def app_of(identity: Identity, credentials: AppCredentials) -> App:
    return await identity.apps.find(credentials.client_id)


async def test_a_password_is_kept_as_argon2id_and_opens_its_account_alone(
    identity: Identity, database: Database
) -> None:
    made = await identity.accounts.create("Zoë", PASSWORD)
    row = await database.fetch_one("select password from account where id = %(id)s", {"id": made.id})
    assert row is not None
    assert row[0].startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (await identity.accounts.verify("zoe\u0308", PASSWORD)).id == made.id
    for name, password in (("Zoë", PASSWORD + " "), ("Zoë", ""), ("nobody", PASSWORD), ("Zoë\0", "\ud800")):
        with pytest.raises(WrongPassword):
            await identity.accounts.verify(name, password)


async def test_one_name_has_one_account_in_all_its_spellings(identity: Identity) -> None:
    answers = await asyncio.gather(
        *(identity.accounts.create(name, PASSWORD) for name in ("Anna B", "anna b", "ＡＮＮＡ　ｂ", "annab")),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers].count(NameTaken) == 3
    assert folded("Straße") == folded("STRASSE")


@pytest.mark.parametrize("name", ["", "x", "x" * 41, "a\u202eb", "a\0b", "a\nb", "a  b", "\u200bab", "\ue000\ue000"])
def test_names_that_could_pass_for_others_are_refused(name: str) -> None:
    with pytest.raises(BadName):
        acceptable_name(name)


@pytest.mark.parametrize(
    "password", ["short", "password", "PassW0rd", "12345678", "aaaaaaaa", "abcdefgh", "my name is", "x" * 1001]
)
def test_passwords_that_are_tried_first_are_refused(password: str) -> None:
    with pytest.raises(BadPassword):
        require_good(password, name="My name is")


@pytest.mark.parametrize(
    "address",
    [
        "https://a.example/x?y=1",
        "http://127.0.0.1:8000/x",
        "http://[::1]/",
        "http://localhost/x",
        "com.example.app:/done",
    ],
)
def test_addresses_that_may_be_registered(address: str) -> None:
    assert acceptable(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "http://a.example/x", "https:///x", "https://u@a.example/", "https://a.example/#x", "https://a.example/*",
        "https://a.example/\\x", "https://a.example/ x", "https://例.example/", "javascript:alert(1)",
        "data:text/html,x", "myapp:/x", "//a.example/x", "", "https://a.example:99999/", "https://[::1", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_addresses_that_may_not(address: str) -> None:
    with pytest.raises(BadRedirect):
        acceptable(address)


def test_a_request_gets_what_it_asks_for_or_all_that_it_may() -> None:
    assert asked("", ["works.write", "profile"]) == ["profile", "works.write"]
    assert asked(" works.write  works.write ", ["works.write", "profile"]) == ["works.write"]
    for beyond in ("works.read", "everything"):
        with pytest.raises(BadScope):
            asked(beyond, ["works.write"])


async def test_a_new_authorisation_can_end_the_earlier_ones(identity: Identity, credentials: AppCredentials) -> None:
    app = await app_of(identity, credentials)
    terms = Terms(only_one=True)
    raced = await asyncio.gather(*(identity.authorise_app(app, realm="person", uid="7", terms=terms) for _ in range(6)))
    other = await identity.authorise_app(app, realm="person", uid="8", terms=terms)

    async def holds(token: str) -> bool:
        try:
            await identity.resolve(token)
        except TokenInvalid:
            return False
        return True

    assert sum([await holds(each.pair.access_token) for each in raced]) == 1
    assert await holds(other.pair.access_token)
    ended = [await identity.authorisations.explain(each.pair.access_token) for each in raced]
    assert sum("a newer one" in each.why for each in ended) == 5


async def test_a_kept_refresh_token_works_again_and_again_and_ends_the_access_token_before(
    identity: Identity, credentials: AppCredentials
) -> None:
    app = await app_of(identity, credentials)
    issued = await identity.authorise_app(app, realm="person", uid="7", terms=Terms(keeps_refresh=True))
    before = issued.pair
    secret = credentials.client_secret
    for _ in range(3):
        after = await identity.refresh(app.client_id, issued.pair.refresh_token, secret)
        assert after.refresh_token == issued.pair.refresh_token
        assert await identity.resolve(after.access_token)
        with pytest.raises(TokenInvalid, match="newer"):
            await identity.resolve(before.access_token)
        assert "newer one" in (await identity.authorisations.explain(before.access_token)).why
        before = after
    with pytest.raises(RefreshInvalid, match="secret or signature"):
        await identity.refresh(app.client_id, issued.pair.refresh_token)
    await identity.authorisations.revoke_token(issued.pair.refresh_token, by="operator")
    with pytest.raises(RefreshInvalid):
        await identity.refresh(app.client_id, issued.pair.refresh_token, secret)


def test_no_code_looks_like_an_option_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(["-h", "--", "a-b"])
    monkeypatch.setattr("openstage.identity.tokens.secrets.token_urlsafe", lambda _: next(made))
    assert tokens.new_code() == "a-b"


async def test_a_token_explains_itself(identity: Identity, database: Database, credentials: AppCredentials) -> None:
    pair = await identity.authorise(credentials.client_id, credentials.client_secret, realm="person", uid="小明")
    found = await identity.authorisations.explain(pair.access_token)
    assert (found.kind, found.valid, found.why, found.app_name) == ("access_token", True, "", "A camera app")
    assert found.authorisation is not None
    assert (found.authorisation.uid, found.authorisation.scopes) == ("小明", ["works.read", "works.write"])
    assert (await identity.authorisations.explain(pair.refresh_token)).kind == "refresh_token"
    await identity.refresh(credentials.client_id, pair.refresh_token)
    assert "has been used" in (await identity.authorisations.explain(pair.refresh_token)).why
    await identity.apps.set_state(credentials.client_id, "frozen")
    assert "frozen" in (await identity.authorisations.explain(pair.access_token)).why
    async with database.connection() as connection:
        await connection.execute("update access_token set expires_at = now() - interval '1 s'")
    assert "expired" in (await identity.authorisations.explain(pair.access_token)).why
    await identity.authorisations.revoke(found.authorisation.number, by="operator")
    assert "the operator revoked it" in (await identity.authorisations.explain(pair.access_token)).why
    with pytest.raises(UnknownAuthorisation):
        await identity.authorisations.explain("2.never")


async def test_many_guesses_at_once_do_not_slip_through(identity: Identity, database: Database) -> None:
    waits: list[int] = []

    async def guess(address: str) -> bool:
        try:
            await identity.guesses.charge("password", address=address, target="somebody")
        except TooManyGuesses as stopped:
            waits.append(stopped.wait)
            return False
        return True

    taken = await asyncio.gather(*(guess(f"192.0.2.{number}") for number in range(30)))
    assert sum(taken) == 10
    assert len(waits) == 20
    assert 170 < max(waits) <= 180
    async with database.connection() as connection:
        await connection.execute("update guess set changed_at = changed_at - interval '361 s'")
    assert sum([await guess("192.0.2.1") for _ in range(5)]) == 2  # two have leaked
    async with database.connection() as connection:
        await connection.execute("update guess set changed_at = changed_at - interval '2 h'")
    assert await identity.guesses.forget() > 0


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_who_counts_as_one_guesser(address: str, counted: str) -> None:
    assert network(address) == counted


async def test_sessions_end_and_are_forgotten(identity: Identity, database: Database) -> None:
    account = await identity.accounts.create("somebody", PASSWORD)
    secret = await identity.sessions.begin(account, agent="Browser \0", address="192.0.2.1")
    assert await identity.sessions.find(secret)
    row = await database.fetch_one("select digest from session")
    assert row is not None
    assert bytes(row[0]) == tokens.digest(secret)
    async with database.connection() as connection:
        await connection.execute(
            "update session set seen_at = now() - interval '2 h', expires_at = now() + interval '9 s'"
        )
    assert await identity.sessions.find(secret)  # used: its life begins anew
    listed = await identity.sessions.list(account.id)
    assert [(each.agent, each.address) for each in listed] == [("Browser \ufffd", "192.0.2.1")]
    async with database.connection() as connection:
        row = await (await connection.execute("select expires_at > now() + interval '1 day' from session")).fetchone()
        assert row == (True,)
        await connection.execute("update session set expires_at = now()")
    assert await identity.sessions.find(secret) is None
    assert await identity.forget_expired() == 1
