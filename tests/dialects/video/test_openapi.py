"""Sections 1.5 and 4 to 7: each reply of the document, each code, each place a parameter may come from."""

import asyncio
from typing import Literal

import pytest

from openstage.database.engine import Database
from openstage.identity.service import Identity
from openstage.works.models import State
from tests.support.openapi_client import Client, vars_of
from tests.support.works import enter_work

FULL_STATUS_FIELDS = {"img", "thumbnail", "swfurl", "urllist", "msg"}
OUR_FIELDS = {"state", "step", "percent", "notice"}
LISTED_FIELDS = {
    "fileId": str,
    "fileName": str,
    "createTime": int,
    "description": str,
    "fileSize": int,
    "fileStatus": int,
    "playCount": int,
    "duration": int,
    "img": str,
    "originalImg": str,
    "thumbnail": str,
    "pageUrl": str,
}


# --- section 4: status --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("uploading", "A00004"),
        ("waiting", "A00004"),
        ("publishing", "A00001"),
        ("reviewing", "A00001"),
        ("published", "A00000"),
        ("refused", "A00002"),
        ("failed", "A00007"),
        ("cancelled", "A00006"),
        ("expired", "A00003"),
    ],
)
async def test_status_tells_the_state(
    client: Client, module_database: Database, owner: tuple[int, int], state: State, code: str
) -> None:
    reason = "The file is cut off." if state in {"failed", "refused"} else ""
    file_id = await enter_work(module_database, owner, state=state, reason=reason)
    reply = await client.call("/api/file/fullStatus", file_id=file_id)
    assert reply["code"] == code
    assert reply["data"].keys() >= FULL_STATUS_FIELDS
    assert reply["msg"] == reply["data"]["msg"]
    assert reply["msg"].startswith(reason)
    if state != "published":
        assert reply["data"]["urllist"] == {"mp4": {}, "m3u8": {}}


async def test_the_status_of_a_published_video_is_the_documents(
    client: Client, module_database: Database, owner: tuple[int, int]
) -> None:
    file_id = await enter_work(module_database, owner)
    reply = await client.call("/api/file/fullStatus", file_id=file_id)
    data = reply["data"]
    assert data.keys() == FULL_STATUS_FIELDS | OUR_FIELDS
    assert (data["state"], data["step"], data["notice"]) == ("published", "", "")
    assert data["urllist"].keys() == {"mp4", "m3u8"}
    assert data["urllist"]["mp4"].keys() == {"1", "2"}
    assert data["urllist"]["m3u8"].keys() == {"96", "1"}
    addresses = [data["img"], data["thumbnail"], data["swfurl"], *data["urllist"]["mp4"].values()]
    assert all(address.startswith("http://") for address in addresses)
    assert data["msg"] == ""


async def test_a_video_plays_before_all_of_it_is_made_and_the_status_says_how_far_it_is(
    client: Client, module_database: Database, owner: tuple[int, int]
) -> None:
    file_id = await enter_work(module_database, owner)
    async with module_database.connection() as connection:
        await connection.execute(
            "update work set pending = true, step = 'chunk', percent = 41.234, notice = 'Slow.' where file_id = %s",
            (file_id,),
        )
        await connection.execute(
            "update rendition set complete = false"
            " from work where work.id = work_id and file_id = %s and (kind = 'mp4' or quality in ('a', '96'))",
            (file_id,),
        )
    reply = await client.call("/api/file/fullStatus", file_id=file_id)
    data = reply["data"]
    assert reply["code"] == "A00000"
    ours = {"state": "published", "step": "chunk", "percent": 41.2, "notice": "Slow."}
    assert {name: data[name] for name in OUR_FIELDS} == ours
    assert data["urllist"]["mp4"] == {}
    assert data["urllist"]["m3u8"].keys() == {"1"}, "what is whole"
    async with module_database.connection() as connection:
        await connection.execute(
            "update rendition set complete = false from work where work.id = work_id and file_id = %s", (file_id,)
        )
    reply = await client.call("/api/file/urllist", file_id=file_id)
    assert reply["data"]["m3u8"].keys() == {"96", "1"}, "or what grows: there is always something to play"


async def test_other_peoples_videos_dont_exist(
    client: Client, identity: Identity, module_database: Database, owner: tuple[int, int]
) -> None:
    mine = await enter_work(module_database, owner)
    person = await client.get("/api/person/authorize", uid="somebody", **vars_of(client.credentials))
    other = await identity.apps.create("Another app")
    stranger = await identity.authorise(other.client_id, other.client_secret)
    for token in (person["data"]["access_token"], stranger.access_token):
        assert (await client.get("/api/file/fullStatus", access_token=token, file_id=mine))["code"] == "A00003"
        assert (await client.get("/api/file/urllist", access_token=token, file_id=mine))["code"] == "A00003"
        assert (await client.get("/api/file/videoListForExternal", access_token=token, file_ids=mine))["count"] == 0
        deletion = {"delete_type": 1, "file_ids": mine}
        assert (await client.get("/api/file/delete", access_token=token, **deletion))["code"] == "Q00001"
        assert (await client.get("/api/file/delete", access_token=token, delete_type=0))["code"] == "A00000"
    assert (await client.call("/api/file/fullStatus", file_id=mine))["code"] == "A00000"


# --- sections 5 and 6: lists and addresses ---------------------------------------------------------------------
async def test_a_listed_video_has_the_documents_fields(
    client: Client, module_database: Database, owner: tuple[int, int]
) -> None:
    file_id = await enter_work(module_database, owner)
    for path in ("/api/file/videoListForExternal", "/api/file/fetchvideolist"):
        reply = await client.call(path)
        assert (reply["code"], reply["count"]) == ("A00000", 1)
        (listed,) = reply["data"]
        assert {name: type(value) for name, value in listed.items()} == LISTED_FIELDS
        assert (listed["fileId"], listed["fileName"]) == (file_id, "meipai001")
        assert (listed["fileSize"], listed["fileStatus"], listed["duration"]) == (1000, 2, 10)
    one = await client.call("/api/file/videoForExternal", file_id=file_id)
    assert one["data"] == [listed]


async def test_only_published_videos_are_listed_and_counted(
    client: Client, module_database: Database, owner: tuple[int, int]
) -> None:
    states: list[State] = ["uploading", "publishing", "reviewing", "refused", "failed", "published", "published"]
    for state in states:
        await enter_work(module_database, owner, state=state)
    reply = await client.call("/api/file/videoListForExternal")
    assert (reply["count"], len(reply["data"])) == (2, 2)
    assert (await client.call("/api/file/count"))["data"] == {"count": 2}


async def test_pages_hold_everything_once(client: Client, module_database: Database, owner: tuple[int, int]) -> None:
    made = [await enter_work(module_database, owner, age=age) for age in range(25)]
    default = await client.call("/api/file/videoListForExternal")
    assert (default["count"], len(default["data"])) == (25, 20)
    pages = [await client.call("/api/file/videoListForExternal", page_size=10, page=page) for page in (1, 2, 3, 4)]
    assert [len(page["data"]) for page in pages] == [10, 10, 5, 0]
    assert [each["fileId"] for page in pages for each in page["data"]] == made
    for odd in ("0", "-1", "x", "", "101", "9" * 30):
        reply = await client.call("/api/file/videoListForExternal", page_size=odd, page=odd)
        assert reply["code"] == "A00000"
        assert len(reply["data"]) <= 25


@pytest.mark.parametrize("separator", [",", ";", ", ", ",,"])
async def test_file_ids_choose(
    client: Client, module_database: Database, owner: tuple[int, int], separator: str
) -> None:
    chosen = [await enter_work(module_database, owner) for _ in range(2)]
    await enter_work(module_database, owner)
    reply = await client.call("/api/file/videoListForExternal", file_ids=separator.join([*chosen, "f" * 32]))
    assert reply["count"] == 2
    assert {each["fileId"] for each in reply["data"]} == set(chosen)


@pytest.mark.parametrize("path", ["/api/file/videoListForExternal", "/api/file/delete"])
async def test_a_call_that_names_very_many_videos_is_refused(client: Client, path: str) -> None:
    form = {"access_token": client.token, "delete_type": "1", "file_ids": "a," * 10_001}
    reply = (await client.http.post(path, data=form)).json()
    assert reply["code"] != "A00000"
    assert "10000 videos" in reply["msg"]


async def test_addresses_are_given_for_what_plays(
    client: Client, module_database: Database, owner: tuple[int, int]
) -> None:
    file_id = await enter_work(module_database, owner)
    reply = await client.call("/api/file/urllist", file_id=file_id)
    assert reply["code"] == "A00000"
    assert reply["data"]["mp4"].keys() == {"1", "2"}
    assert reply["data"]["m3u8"].keys() == {"96", "1"}
    download = await client.call("/api/download/getDownloadUri", file_id=file_id)
    assert download["data"]["downloadUri"].startswith("http://")
    hidden = await enter_work(module_database, owner, state="reviewing")
    assert (await client.call("/api/file/urllist", file_id=hidden))["code"] == "A00001"


# --- section 7: deletion ------------------------------------------------------------------------------------------
async def test_deleting_hides_at_once_and_may_be_repeated(
    client: Client, module_database: Database, owner: tuple[int, int]
) -> None:
    keep, one, two = [await enter_work(module_database, owner) for _ in range(3)]
    for _ in range(2):
        assert (await client.call("/api/file/delete", delete_type=1, file_ids=f"{one};{two}"))["code"] == "A00000"
        assert [each["fileId"] for each in (await client.call("/api/file/videoListForExternal"))["data"]] == [keep]
        assert (await client.call("/api/file/fullStatus", file_id=one))["code"] == "A00003"


async def test_deleting_all_deletes_this_users_alone(
    client: Client, module_database: Database, owner: tuple[int, int]
) -> None:
    await enter_work(module_database, owner)
    await enter_work(module_database, owner)
    assert (await client.call("/api/file/delete", delete_type=0))["code"] == "A00000"
    assert (await client.call("/api/file/count"))["data"] == {"count": 0}


@pytest.mark.parametrize("kind", [None, "", "2", "00", "-1", "all", "true"])
async def test_an_odd_delete_type_deletes_nothing(
    client: Client, module_database: Database, owner: tuple[int, int], kind: str | None
) -> None:
    file_id = await enter_work(module_database, owner)
    parameters = {"file_ids": file_id} | ({} if kind is None else {"delete_type": kind})
    assert (await client.call("/api/file/delete", **parameters))["code"] == "A00010"
    assert (await client.call("/api/file/count"))["data"] == {"count": 1}


# --- parameters, paths and methods --------------------------------------------------------------------------------
@pytest.mark.parametrize("place", ["headers", "query", "form", "multipart", "mixed"])
async def test_parameters_come_from_anywhere(
    client: Client, module_database: Database, owner: tuple[int, int], place: str
) -> None:
    file_id = await enter_work(module_database, owner)
    parameters = {"access_token": client.token, "file_id": file_id}
    match place:
        case "headers":
            reply = await client.http.get("/api/file/fullStatus", headers=parameters)
        case "query":
            reply = await client.http.get("/api/file/fullStatus", params={**parameters, "cb": "callback", "x": "y"})
        case "form":
            reply = await client.http.post("/api/file/fullStatus", data=parameters)
        case "multipart":
            fields = {name: (None, value) for name, value in parameters.items()}
            reply = await client.http.post("/api/file/fullStatus", files=fields)
        case _:
            reply = await client.http.post(
                "/api/file/fullStatus", headers={"access_token": client.token}, data={"file_id": file_id}
            )
    assert reply.json()["code"] == "A00000"


@pytest.mark.parametrize(
    "title",
    ["假期", "a{b}|c^d", "../../etc/passwd", "<script>alert(1)</script>", "🎬" * 100, "x" * 4000, "100%", "a+b&c=d"],
)
async def test_titles_are_kept_as_given(
    client: Client, module_database: Database, owner: tuple[int, int], title: str
) -> None:
    file_id = await enter_work(module_database, owner)
    reply = await client.call(
        "/api/file/info", file_id=file_id, file_name=title, description=title[:500], tags="青春,搞笑", file_type=27
    )
    assert reply == {"code": "A00000", "msg": ""}
    (listed,) = (await client.call("/api/file/videoListForExternal"))["data"]
    assert (listed["fileName"], listed["description"]) == (title, title[:500])


async def test_raw_utf8_in_a_query_is_taken(client: Client, module_database: Database, owner: tuple[int, int]) -> None:
    file_id = await enter_work(module_database, owner)
    host, _, port = str(client.http.base_url.netloc.decode()).partition(":")
    target = f"/api/file/info?access_token={client.token}&file_id={file_id}&file_name=假期{{|^}}&description=海边"
    reply = await raw_get(host, int(port), target.encode())
    assert b'"A00000"' in reply
    (listed,) = (await client.call("/api/file/videoListForExternal"))["data"]
    assert (listed["fileName"], listed["description"]) == ("假期{|^}", "海边")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"file_name": None}, "Q00001"),
        ({"file_name": ""}, "Q00001"),
        ({"description": None}, "Q00001"),
        ({"description": ""}, "A00000"),
        ({"file_id": None}, "Q00001"),
        ({"file_id": "f" * 32}, "Q00001"),
        ({"file_name": "x" * 4001}, "Q00001"),
        ({"file_type": "music"}, "Q00001"),
        ({"file_type": ""}, "A00000"),
        ({"tags": ",,"}, "A00000"),
    ],
)
async def test_metadata_is_checked(
    client: Client,
    module_database: Database,
    owner: tuple[int, int],
    changes: dict[str, str | None],
    code: str,
) -> None:
    given = {"file_id": await enter_work(module_database, owner), "file_name": "n", "description": "d", **changes}
    sent = {name: value for name, value in given.items() if value is not None}
    assert (await client.call("/api/file/info", **sent))["code"] == code


@pytest.mark.parametrize("path", ["/api/nothing", "/api/oauth2/nothing", "/api", "/api/file/", "/api/file/infos"])
async def test_unbuilt_paths_answer_in_the_envelope(client: Client, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        reply = await client.http.request(method, path, follow_redirects=True)
        assert (reply.status_code, reply.json()["code"]) == (200, "Q00002")


@pytest.mark.parametrize(
    "path", ["/openupload/", "/upload/", "/uploadfinish/", "/api/file/count/", "/api/iqiyi/authorize/"]
)
async def test_a_slash_at_the_end_makes_no_difference(client: Client, path: str) -> None:
    reply = await client.http.post(path)
    assert reply.status_code == 200
    assert reply.json()["code"] not in {"A00000", "Q00002"}


@pytest.mark.parametrize(("state", "code"), [("frozen", "A00008"), ("deleted", "A00009")])
async def test_an_app_that_is_stopped_can_send_no_more_pieces(
    client: Client, identity: Identity, state: Literal["frozen", "deleted"], code: str
) -> None:
    opened = await client.call("/openupload", filetype="mp4", filesize=6)
    headers = {"file_id": opened["data"]["file_id"], "file_size": "6"}
    for piece, expected in ((b"abc", "A00000"), (b"def", code)):
        place = {"range": "0-2" if expected == "A00000" else "3-5"}
        reply = await client.http.post("/upload", headers=headers | place, content=piece)
        assert (reply.status_code, reply.json()["code"]) == (200, expected)
        await identity.apps.set_state(client.credentials.client_id, state)


async def raw_get(host: str, port: int, target: bytes) -> bytes:
    """Send a request line as it is, as some clients do."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    reply = await reader.read()
    writer.close()
    await writer.wait_closed()
    return reply
