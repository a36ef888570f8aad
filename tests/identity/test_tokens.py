"""What a token promises: who it speaks for, how long, and how it is renewed."""

import asyncio
import re

import pytest

from openstage.database.engine import Database
from openstage.identity import tokens
from openstage.identity.errors import AppNotUsable, BadClient, BadUid, RefreshInvalid, TokenExpired, TokenInvalid
from openstage.identity.keys import Keys
from openstage.identity.models import AppCredentials, TokenPair
from openstage.identity.service import LONGEST_UID, Identity
from openstage.settings import Settings


@pytest.fixture
async def pair(identity: Identity, credentials: AppCredentials) -> TokenPair:
    return await identity.authorise(credentials.client_id, credentials.client_secret)


async def age(database: Database, table: str, column: str, seconds: int) -> None:
    """Move every moment of a column into the past."""
    async with database.connection() as connection:
        await connection.execute(f"update {table} set {column} = {column} - make_interval(secs => {seconds})")


async def test_an_access_token_looks_like_the_documented_ones(pair: TokenPair) -> None:
    assert re.fullmatch(r"2\.[0-9a-f]{32}", pair.access_token)


async def test_a_token_speaks_for_its_app_and_user(identity: Identity, credentials: AppCredentials) -> None:
    pair = await identity.authorise(credentials.client_id, credentials.client_secret, realm="person", uid="小明")
    caller = await identity.resolve(pair.access_token)
    assert (caller.client_id, caller.uid) == (credentials.client_id, "小明")


async def test_the_same_uid_is_the_same_user_and_another_realm_another(
    identity: Identity, credentials: AppCredentials
) -> None:
    async def user(realm: str, uid: str) -> int:
        pair = await identity.authorise(credentials.client_id, credentials.client_secret, realm=realm, uid=uid)  # type: ignore[arg-type]
        return (await identity.resolve(pair.access_token)).user_id

    assert await user("person", "7") == await user("person", "7")
    assert (
        len({await user("person", "7"), await user("person", "8"), await user("partner", "7"), await user("app", "")})
        == 4
    )


async def test_a_uid_is_never_cut(identity: Identity, credentials: AppCredentials) -> None:
    longest = "x" * LONGEST_UID
    assert await identity.authorise(credentials.client_id, credentials.client_secret, realm="person", uid=longest)
    with pytest.raises(BadUid):
        await identity.authorise(credentials.client_id, credentials.client_secret, realm="person", uid=longest + "y")


async def test_no_token_and_no_secret_stands_in_the_database(
    database: Database, pair: TokenPair, credentials: AppCredentials
) -> None:
    async with database.connection() as connection:
        dump = ""
        for table in ("app", "end_user", "token_family", "access_token", "refresh_token"):
            dump += str(await (await connection.execute(f"select * from {table}")).fetchall())
    assert credentials.client_id in dump
    for secret in (pair.access_token, pair.access_token[2:], pair.refresh_token, credentials.client_secret):
        assert secret not in dump
        assert repr(secret.encode())[2:-1] not in dump


@pytest.mark.parametrize("token", ["", "2.", "2." + "0" * 32, "\0", "é\ud800", "x" * 10_000])
async def test_what_was_never_issued_is_invalid(identity: Identity, token: str) -> None:
    with pytest.raises(TokenInvalid):
        await identity.resolve(token)


async def test_an_expired_token_says_so(
    identity: Identity, database: Database, pair: TokenPair, settings: Settings
) -> None:
    await age(database, "access_token", "expires_at", settings.access_token_lifetime + 1)
    with pytest.raises(TokenExpired):
        await identity.resolve(pair.access_token)


@pytest.mark.parametrize("state", ["pending", "rejected", "frozen", "deleted"])
async def test_an_app_that_may_not_work_is_told_why(
    identity: Identity, credentials: AppCredentials, pair: TokenPair, state: str
) -> None:
    await identity.apps.set_state(credentials.client_id, state)  # type: ignore[arg-type]
    with pytest.raises(AppNotUsable) as refusal:
        await identity.resolve_usable(pair.access_token)
    assert refusal.value.state == state
    await identity.apps.set_state(credentials.client_id, "approved")
    assert await identity.resolve_usable(pair.access_token)


async def test_wrong_credentials_are_refused(identity: Identity, credentials: AppCredentials) -> None:
    other = await identity.apps.create("Another app")
    for client_id, secret in [
        (credentials.client_id, ""),
        (credentials.client_id, credentials.client_secret + "0"),
        (credentials.client_id, other.client_secret),
        ("", ""),
        ("nobody", credentials.client_secret),
        (credentials.client_id + "\0", "é\ud800"),
    ]:
        with pytest.raises(BadClient):
            await identity.authorise(client_id, secret)


async def test_a_deleted_app_gets_no_token(identity: Identity, credentials: AppCredentials) -> None:
    await identity.apps.set_state(credentials.client_id, "deleted")
    with pytest.raises(BadClient):
        await identity.authorise(credentials.client_id, credentials.client_secret)


async def test_rotation_keeps_the_old_secret_for_a_while(
    identity: Identity, database: Database, credentials: AppCredentials
) -> None:
    fresh = await identity.apps.rotate_secret(credentials.client_id)
    assert fresh.client_secret != credentials.client_secret
    for secret in (fresh.client_secret, credentials.client_secret):
        assert await identity.authorise(credentials.client_id, secret)
    await age(database, "app", "previous_secret_until", 2 * 24 * 3600)
    with pytest.raises(BadClient):
        await identity.authorise(credentials.client_id, credentials.client_secret)
    assert await identity.authorise(credentials.client_id, fresh.client_secret)


async def test_refreshing_gives_new_tokens_for_the_same_user(
    identity: Identity, credentials: AppCredentials, pair: TokenPair
) -> None:
    fresh = await identity.refresh(credentials.client_id, pair.refresh_token)
    assert len({pair.access_token, pair.refresh_token, fresh.access_token, fresh.refresh_token}) == 4
    assert await identity.resolve(fresh.access_token) == await identity.resolve(pair.access_token)
    assert await identity.refresh(credentials.client_id, fresh.refresh_token)


async def test_a_refresh_whose_reply_was_lost_can_be_repeated(
    identity: Identity, credentials: AppCredentials, pair: TokenPair
) -> None:
    answers = await asyncio.gather(*(identity.refresh(credentials.client_id, pair.refresh_token) for _ in range(8)))
    assert len(set(answers)) == 1
    assert await identity.resolve(answers[0].access_token)


async def test_a_refresh_token_used_again_later_revokes_what_came_of_it(
    identity: Identity, database: Database, credentials: AppCredentials, pair: TokenPair, settings: Settings
) -> None:
    fresh = await identity.refresh(credentials.client_id, pair.refresh_token)
    bystander = await identity.authorise(credentials.client_id, credentials.client_secret)
    await age(database, "refresh_token", "used_at", settings.refresh_grace + 1)
    with pytest.raises(RefreshInvalid):
        await identity.refresh(credentials.client_id, pair.refresh_token)
    for token in (pair.access_token, fresh.access_token):
        with pytest.raises(TokenInvalid):
            await identity.resolve(token)
    with pytest.raises(RefreshInvalid):
        await identity.refresh(credentials.client_id, fresh.refresh_token)
    assert await identity.resolve(bystander.access_token)


async def test_a_refresh_token_serves_its_own_app_only(
    identity: Identity, credentials: AppCredentials, pair: TokenPair
) -> None:
    other = await identity.apps.create("Another app")
    with pytest.raises(RefreshInvalid):
        await identity.refresh(other.client_id, pair.refresh_token)
    with pytest.raises(BadClient):
        await identity.refresh("nobody", pair.refresh_token)
    with pytest.raises(BadClient):
        await identity.refresh(credentials.client_id, pair.refresh_token, other.client_secret)
    assert await identity.refresh(credentials.client_id, pair.refresh_token, credentials.client_secret)


async def test_an_expired_refresh_token_is_refused(
    identity: Identity, database: Database, credentials: AppCredentials, pair: TokenPair, settings: Settings
) -> None:
    await age(database, "refresh_token", "expires_at", settings.refresh_token_lifetime + 1)
    with pytest.raises(RefreshInvalid):
        await identity.refresh(credentials.client_id, pair.refresh_token)


async def test_revoking_ends_the_whole_authorisation(
    identity: Identity, credentials: AppCredentials, pair: TokenPair
) -> None:
    fresh = await identity.refresh(credentials.client_id, pair.refresh_token)
    await identity.revoke(pair.access_token)
    await identity.revoke("never issued")
    for token in (pair.access_token, fresh.access_token):
        with pytest.raises(TokenInvalid):
            await identity.resolve(token)


async def test_signing_a_user_out_ends_their_tokens_alone(identity: Identity, credentials: AppCredentials) -> None:
    one = await identity.authorise(credentials.client_id, credentials.client_secret, realm="person", uid="1")
    two = await identity.authorise(credentials.client_id, credentials.client_secret, realm="person", uid="2")
    users = {user.uid: user for user in await identity.users.list(client_id=credentials.client_id)}
    assert users["1"].live_tokens == 1
    assert await identity.users.sign_out(users["1"].id) == 1
    with pytest.raises(TokenInvalid):
        await identity.resolve(one.access_token)
    assert await identity.resolve(two.access_token)


async def test_expired_families_are_forgotten(
    identity: Identity, database: Database, credentials: AppCredentials, pair: TokenPair, settings: Settings
) -> None:
    assert await identity.forget_expired() == 0
    await age(database, "access_token", "expires_at", settings.access_token_lifetime + 1)
    assert await identity.forget_expired() == 0
    await age(database, "refresh_token", "expires_at", settings.refresh_token_lifetime + 1)
    assert await identity.forget_expired() == 1


def test_successors_hang_on_the_servers_key(keys: Keys) -> None:
    key, other = keys.derive(b"one"), keys.derive(b"two")
    assert tokens.successor_access_token(key, "r") == tokens.successor_access_token(key, "r")
    assert tokens.successor_access_token(key, "r") != tokens.successor_access_token(other, "r")
    assert tokens.successor_access_token(key, "r")[2:] not in tokens.successor_refresh_token(key, "r")
