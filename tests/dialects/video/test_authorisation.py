"""Sections 2 and 3 of the document: tokens for apps and their users, and what every call makes of a token."""

import pytest

from openstage.database.engine import Database
from openstage.identity.service import Identity
from tests.support.openapi_client import Client, vars_of


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/api/iqiyi/authorize", {}),
        ("/api/enterprise/authorize", {}),
        ("/api/person/authorize", {"uid": "小明"}),
        ("/api/baidu/authorize", {"ouid": "77", "nick": "昵称"}),
    ],
)
async def test_authorize_answers_as_documented(client: Client, path: str, more: dict[str, str]) -> None:
    reply = await client.get(path, **vars_of(client.credentials), **more)
    assert reply["code"] == "A00000"
    assert {name: type(value) for name, value in reply["data"].items()} == {
        "access_token": str,
        "expires_in": int,
        "refresh_token": str,
    }
    assert (await client.get("/api/file/count", access_token=reply["data"]["access_token"]))["code"] == "A00000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "wrong"}, "A21324"),
        ({"client_id": "unknown"}, "A21324"),
        ({"client_id": ""}, "Q00001"),
        ({"client_secret": ""}, "Q00001"),
    ],
)
async def test_bad_clients_are_told_so(client: Client, changes: dict[str, str], code: str) -> None:
    reply = await client.get("/api/iqiyi/authorize", **{**vars_of(client.credentials), **changes})
    assert reply["code"] == code
    assert reply["msg"]


async def test_refresh_answers_flat_and_under_data(client: Client) -> None:
    first = (await client.get("/api/iqiyi/authorize", **vars_of(client.credentials)))["data"]
    reply = await client.get(
        "/api/oauth2/token",
        client_id=client.credentials.client_id,
        grant_type="refresh_token",
        refresh_token=first["refresh_token"],
    )
    flat = {name: reply[name] for name in ("access_token", "expires_in", "refresh_token")}
    assert reply == {"code": "A00000", "data": flat, **flat}
    assert flat["access_token"] != first["access_token"]
    assert (await client.get("/api/file/count", access_token=flat["access_token"]))["code"] == "A00000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"refresh_token": "unknown"}, "A21325"),
        ({"refresh_token": ""}, "A21323"),
        ({"grant_type": ""}, "A21323"),
        ({"grant_type": "password"}, "A21328"),
        ({"client_id": "unknown"}, "A21324"),
    ],
)
async def test_bad_refreshes_are_told_so(client: Client, changes: dict[str, str], code: str) -> None:
    first = (await client.get("/api/iqiyi/authorize", **vars_of(client.credentials)))["data"]
    parameters = {
        "client_id": client.credentials.client_id,
        "grant_type": "refresh_token",
        "refresh_token": first["refresh_token"],
    }
    assert (await client.get("/api/oauth2/token", **{**parameters, **changes}))["code"] == code


@pytest.mark.parametrize(
    "path",
    [
        "/api/file/info",
        "/api/file/fullStatus",
        "/api/file/videoListForExternal",
        "/api/file/fetchvideolist",
        "/api/file/videoForExternal",
        "/api/file/count",
        "/api/file/urllist",
        "/api/file/delete",
        "/api/download/getDownloadUri",
    ],
)
async def test_every_call_checks_the_token(client: Client, module_database: Database, path: str) -> None:
    more = {"file_id": "0" * 32, "file_name": "n", "description": "d", "delete_type": "1", "file_ids": "0" * 32}
    for token in ("", "2." + "0" * 32, "nonsense"):
        assert (await client.get(path, access_token=token, **more))["code"] == "A21332"
    async with module_database.connection() as connection:
        await connection.execute("update access_token set expires_at = now()")
    assert (await client.call(path, **more))["code"] == "A21327"


async def test_a_deleted_app_is_told_so_and_a_frozen_one_may_look(client: Client, identity: Identity) -> None:
    await identity.apps.set_state(client.credentials.client_id, "frozen")
    assert (await client.call("/api/file/count"))["code"] == "A00000"
    assert (await client.call("/api/file/delete", delete_type=0))["code"] == "A00008"
    await identity.apps.set_state(client.credentials.client_id, "deleted")
    assert (await client.call("/api/file/count"))["code"] == "A00009"
