"""The upload calls as the document and the clients seen have them: each placement, each reply, each code."""

import hashlib
import json
import re

import pytest

from tests.dialects.video.conftest import UploadServer
from tests.uploads.wire import Answer, Headers, multipart, query

CONTENT = bytes(range(256)) * 4  # 1,024 bytes, as in the document's example
OPENED = {"filetype": "mp4", "filesize": "1024"}

FORM = ("Content-Type", "application/x-www-form-urlencoded")
MULTIPART = ("Content-Type", 'multipart/form-data; boundary="----=_Part_7"')


def placed(path: str, how: str, parameters: dict[str, str]) -> tuple[str, str, Headers, bytes | None]:
    """A request with its parameters in one place: method, target, headers, body."""
    fields = list(parameters.items())
    urlencoded = query(**parameters)[1:].encode()
    table: dict[str, tuple[str, str, Headers, bytes | None]] = {
        "GET headers": ("GET", path, fields, None),
        "GET query": ("GET", path + query(**parameters), [], None),
        "GET query and headers": ("GET", path + query(**dict(fields[1:])), fields[:1], None),
        "POST headers": ("POST", path, fields, b""),
        "POST headers without a body": ("POST", path, fields, None),
        "POST query": ("POST", path + query(**parameters), [], b""),
        "POST form": ("POST", path, [FORM], urlencoded),
        "POST form without a type": ("POST", path, [], urlencoded),
        "POST multipart": ("POST", path + "?type=body", [MULTIPART], multipart(*fields)),
        "POST multipart without a boundary": (
            "POST",
            path,
            [("content-type", "multipart/form-data")],
            multipart(*fields),
        ),
        "POST multipart without a type": ("POST", path, [], multipart(*fields)),
        "POST multipart in lower case": ("POST", path, [MULTIPART], multipart(*fields, header="content-disposition")),
        "POST multipart without a last line end": ("POST", path, [MULTIPART], multipart(*fields, closing=b"--")),
        "POST mixed": ("POST", path + query(**dict(fields[:1])), fields[1:2], multipart(*fields[2:])),
    }
    return table[how]


PLACES = [
    "GET headers", "GET query", "GET query and headers", "POST headers", "POST headers without a body", "POST query",
    "POST form", "POST form without a type", "POST multipart", "POST multipart without a boundary",
    "POST multipart without a type", "POST multipart in lower case", "POST multipart without a last line end",
    "POST mixed",
]  # fmt: skip
EXTRA = {"role": "1", "device_id": "d", "uid": "u"}


async def state_of(server: UploadServer, file_id: str) -> object:
    return (await server.status(file_id))["state"]


async def received_all(server: UploadServer) -> str:
    file_id = await server.open(1024)
    assert (await server.send(file_id, "0-1023", CONTENT)).code == "A00000"
    return file_id


@pytest.mark.parametrize("how", PLACES)
async def test_every_call_takes_its_parameters_from_everywhere(server: UploadServer, how: str) -> None:
    token = {"access_token": server.token}
    opened = await server.call(*placed("/openupload", how, {**token, **OPENED, **EXTRA}))
    assert opened.code == "A00000", opened.json
    file_id = opened.json["data"]["file_id"]
    assert await state_of(server, file_id) == "open"

    status = await server.call(*placed("/uploadstatus", how, {**token, "file_id": file_id, **EXTRA}))
    assert status.json["data"]["missing"] == [[0, 1023]]

    cancelled = await server.call(*placed("/cancelupload", how, {"status": "2", **token, "file_id": file_id}))
    assert cancelled.json == {"code": "A00000"}
    assert await state_of(server, file_id) == "cancelled"

    file_id = await received_all(server)
    finish = {"range_finished": "true", **token, "file_id": file_id, **EXTRA}
    assert (await server.call(*placed("/uploadfinish", how, finish))).json == {"code": "A00000"}
    assert await state_of(server, file_id) == "finished"


@pytest.mark.parametrize("how", [how for how in PLACES if how.startswith("POST")])
async def test_finish_through_the_upload_url(server: UploadServer, how: str) -> None:
    file_id = await received_all(server)
    finish = {"range_finished": "true", "access_token": server.token, "file_id": file_id}
    for _ in range(2):
        answer = await server.call(*placed("/upload", how, finish))
        assert (answer.status, answer.json) == (202, {"code": "A00000", "file_id": file_id})
    assert await state_of(server, file_id) == "finished"


# --- the document's replies -------------------------------------------------------------------------------------------


async def test_openupload_answers_as_documented(server: UploadServer) -> None:
    answer = await server.call("GET", "/openupload", [("access_token", server.token), *OPENED.items()])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"code", "data", "msg"}
    assert (answer.code, answer.json["msg"]) == ("A00000", "")
    assert set(answer.json["data"]) == {"upload_url", "file_id"}
    assert re.fullmatch("[0-9a-f]{32}", answer.json["data"]["file_id"])
    assert answer.json["data"]["upload_url"] == server.services.settings.base("upload") + "/upload"


async def test_upload_answers_as_documented(server: UploadServer) -> None:
    file_id = await server.open(1024)
    answer = await server.send(file_id, "0-24", CONTENT[:25], ("file_size", "1024"))
    assert answer.json == {
        "code": "A00000",
        "range_md5": hashlib.md5(CONTENT[:25]).hexdigest(),
        "file_range_accepted": 25,
        "file_id": file_id,
    }


async def test_the_documents_example_in_two_pieces(server: UploadServer) -> None:
    file_id = await server.open(1024)
    for span, piece in (("513-1023", CONTENT[513:]), ("0-512", CONTENT[:513])):
        answer = await server.send(file_id, span, piece, ("file_size", "1024"))
        assert answer.json["file_range_accepted"] == len(piece)
    assert server.content(file_id) == CONTENT


async def test_what_is_received_and_missing_is_told_inclusively(server: UploadServer) -> None:
    file_id = await server.open(1024)
    await server.send(file_id, "100-199", CONTENT[100:200])
    assert await server.status(file_id) == {
        "file_id": file_id,
        "file_size": 1024,
        "state": "open",
        "received": [[100, 199]],
        "missing": [[0, 99], [200, 1023]],
    }
    finish = query(range_finished="true", access_token=server.token, file_id=file_id)
    for path in ("/uploadfinish", "/upload"):
        answer = await server.call("POST", path + finish)
        assert answer.code == "A00010"
        assert answer.json["data"] == {"missing": [[0, 99], [200, 1023]]}
    await server.send(file_id, "0-1023", CONTENT)
    assert (await server.call("GET", "/uploadfinish" + finish)).json == {"code": "A00000"}
    assert (await server.status(file_id))["missing"] == []


# --- pieces -----------------------------------------------------------------------------------------------------------


def as_multipart(file_id: str, span: str, piece: bytes) -> bytes:
    return multipart(("file_id", file_id), ("range", span), ("file_size", "1024"), ("file", piece))


@pytest.mark.parametrize("name", ["file", "upload", "anything"])
@pytest.mark.parametrize("boundary", ["----=_Part_7", "x", "a b'()+_,-./:=?", "b" * 70])
async def test_pieces_as_multipart(server: UploadServer, name: str, boundary: str) -> None:
    file_id = await server.open(1024)
    headers = [("file_id", file_id), ("file_size", "1024")]
    kind = ("Content-Type", f'multipart/form-data; boundary="{boundary}"')
    for span, piece in (("0-500", CONTENT[:500]), ("500-1023", CONTENT[500:])):
        body = multipart((name, piece), boundary=boundary)
        answer = await server.call("POST", "/upload?type=body", [*headers, ("range", span), kind], body)
        assert answer.json["range_md5"] == hashlib.md5(piece).hexdigest(), answer.json
    assert server.content(file_id) == CONTENT


@pytest.mark.parametrize("where", ["before", "after", "around"])
async def test_all_parameters_may_be_fields_before_or_after_the_piece(server: UploadServer, where: str) -> None:
    file_id = await server.open(1024)
    fields = [("file_id", file_id), ("range", "0-1023"), ("file_size", "1024"), ("role", "x")]
    split = {"before": 4, "after": 0, "around": 1}[where]
    body = multipart(*fields[:split], ("file", CONTENT), *fields[split:])
    answer = await server.call("POST", "/upload?type=body", [MULTIPART], body)
    assert answer.json["file_range_accepted"] == 1024, answer.json
    assert server.content(file_id) == CONTENT


async def test_a_declared_boundary_is_found_after_a_preamble(server: UploadServer) -> None:
    file_id = await server.open(1024)
    body = b"This is a multi-part message.\r\n" + as_multipart(file_id, "0-1023", CONTENT)
    for headers in ([MULTIPART], [MULTIPART, ("range", "0-1024")]):
        assert (await server.call("POST", "/upload", headers, body)).code == "A00000"
    assert (await server.call("POST", "/upload", [], body)).code == "A00010"


async def test_a_last_piece_may_finish_the_upload(server: UploadServer) -> None:
    finishes = ("range_finished", "true")
    for body in (multipart(finishes, ("file", CONTENT)), multipart(("file", CONTENT), finishes)):
        file_id = await server.open(1024)
        headers = [("file_id", file_id), ("range", "0-1024"), ("access_token", server.token), MULTIPART]
        answer = await server.call("POST", "/upload", headers, body)
        assert (answer.status, answer.code, answer.json["file_range_accepted"]) == (202, "A00000", 1024)
        assert await state_of(server, file_id) == "finished"


LIKE_A_FORM = b"range=0-5&file_id=x&" + b"a" * 1004
LIKE_MULTIPART = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"-" * 977


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        *((kind, CONTENT) for kind in ("application/x-www-form-urlencoded", "video/mp4", "", "multipart/form-data")),
        *((kind, LIKE_A_FORM) for kind in ("application/x-www-form-urlencoded", "", "multipart/form-data")),
        *((kind, LIKE_MULTIPART) for kind in ("application/x-www-form-urlencoded", "")),
    ],
)
async def test_raw_bodies_are_never_taken_for_forms(server: UploadServer, kind: str, content: bytes) -> None:
    file_id = await server.open(1024)
    headers = [("file_id", file_id), ("range", "0-1023"), *([("Content-Type", kind)] if kind else [])]
    assert (await server.call("POST", "/upload", headers, content)).json["file_range_accepted"] == 1024
    assert server.content(file_id) == content


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize(
    ("span", "length", "accepted"),
    [
        ("0-1023", 1024, True),
        ("0-1024", 1024, True),
        ("0-511", 512, True),
        ("0-512", 512, True),
        ("0-512", 513, True),
        ("0-0", 1, True),
        ("512-512", 1, True),
        ("bytes=0-511", 512, True),
        (" 0 - 511 ", 512, True),
        ("0-511/1024", 512, True),
        ("0-512", 511, False),
        ("0-512", 514, False),
        ("0-512", 1024, False),
        ("0-1024", 1025, False),
        ("0-1025", 1025, False),
        ("1024-1024", 1, False),
        ("2000-2010", 11, False),
        ("5-5", 0, False),
        ("0-511", 0, False),
        ("10-5", 5, False),
        ("-5", 5, False),
        ("0-", 1024, False),
        ("a-b", 5, False),
        ("0-5,7-9", 9, False),
        ("0--5", 5, False),
        ("99999999999999999999-99999999999999999999", 1, False),
        ("999999999999999999-999999999999999999", 1, False),
        ("", 5, False),
    ],
)
async def test_both_readings_of_range(
    server: UploadServer, span: str, length: int, accepted: bool, multi: bool
) -> None:
    file_id = await server.open(1024)
    piece = (CONTENT * 2)[:length]
    if multi:
        answer = await server.call("POST", "/upload", [MULTIPART], as_multipart(file_id, span, piece))
    else:
        answer = await server.send(file_id, span, piece)
    assert answer.status == 200
    assert answer.code == ("A00000" if accepted else "A00010"), answer.json
    if accepted:
        assert answer.json["range_md5"] == hashlib.md5(piece).hexdigest()
    else:
        assert await server.received(file_id) == []


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (CONTENT[:512] + b"\r\n", 512),  # two more than the range allows: not content
        (CONTENT[:510] + b"\r\n", 512),  # the inclusive reading: content
        (CONTENT[:509] + b"\r\n", 511),  # the exclusive reading: content
        (CONTENT[:511] + b"\r\n", None),
        (CONTENT[:512] + b"\n\r", None),
        (CONTENT[:512] + b"\r\r", None),
        (CONTENT[:512] + b"\r", None),
        (CONTENT[:512] + b"\r\n\r\n", None),
        (CONTENT[:508] + b"\r\n", None),
    ],
)
@pytest.mark.parametrize("early", [False, True])
async def test_an_extra_line_end_before_the_closing_delimiter(
    server: UploadServer, content: bytes, kept: int | None, early: bool
) -> None:
    file_id = await server.open(1024)
    fields = [("file_id", file_id), ("range", "0-511")]
    body = multipart(("file", content), *([] if early else fields), closing=b"--")
    answer = await server.call("POST", "/upload", [*(fields if early else []), MULTIPART], body)
    assert answer.code == ("A00000" if kept else "A00010"), answer.json
    if kept:
        assert answer.json["file_range_accepted"] == kept
        assert answer.json["range_md5"] == hashlib.md5(content[:kept]).hexdigest()


async def test_a_repeated_piece_is_answered_as_before_unless_it_differs(server: UploadServer) -> None:
    file_id = await server.open(1024)
    first = await server.send(file_id, "0-511", CONTENT[:512])
    assert (await server.send(file_id, "0-511", CONTENT[:512])).body == first.body
    assert (await server.send(file_id, "0-511", b"x" * 512)).code == "A00010"
    assert (await server.send(file_id, "0-1023", CONTENT)).code == "A00000"
    assert server.content(file_id) == CONTENT


# --- codes ------------------------------------------------------------------------------------------------------------


async def test_unknown_and_ended_uploads(server: UploadServer) -> None:
    finished = await received_all(server)
    token = query(access_token=server.token)
    await server.call("POST", f"/uploadfinish{token}&file_id={finished}")
    cancelled = await server.open(1024)
    await server.call("POST", f"/cancelupload{token}&file_id={cancelled}")
    for file_id in (finished, cancelled, "0" * 32, "../../etc/passwd", "x", "假期"):
        answer = await server.call("POST", "/upload", [("file_id", file_id), ("range", "0-1023")], CONTENT)
        assert (answer.status, answer.code) == (200, "A00005")
    assert (await server.call("POST", f"/cancelupload{token}&file_id={finished}")).code == "A00005"
    assert (await server.call("POST", f"/uploadfinish{token}&file_id={cancelled}")).code == "A00005"
    for path in ("/uploadfinish", "/cancelupload", "/uploadstatus"):
        assert (await server.call("GET", f"{path}{token}&file_id={'0' * 32}")).code == "A00005"
        assert (await server.call("GET", f"{path}{token}")).code == "A00010"


async def test_the_calls_that_need_a_token_say_so(server: UploadServer) -> None:
    file_id = await server.open(1024)
    stranger = await server.services.token()
    for path, target in {
        "/openupload": "/openupload" + query(**OPENED),
        "/uploadfinish": "/uploadfinish" + query(file_id=file_id, range_finished="true"),
        "/upload": "/upload" + query(file_id=file_id, range_finished="true"),
        "/cancelupload": "/cancelupload" + query(file_id=file_id, status=2),
        "/uploadstatus": "/uploadstatus" + query(file_id=file_id),
    }.items():
        assert (await server.call("POST", target, [], b"")).code == "A21332"
        assert (await server.call("POST", target + "&access_token=2." + "0" * 32, [], b"")).code == "A21332"
        if path != "/openupload":
            assert (await server.call("POST", target + f"&access_token={stranger}", [], b"")).code == "A00005"
    assert (await server.call("POST", "/cancelupload", [FORM], f"file_id={file_id}".encode())).code == "A21332"
    assert await state_of(server, file_id) == "open"


async def test_an_expired_token(server: UploadServer) -> None:
    token = await server.services.token()
    caller = await server.services.identity.resolve(token)
    async with server.services.database.connection() as connection:
        await connection.execute(
            "update access_token set expires_at = now() where family_id in"
            " (select id from token_family where app_id = %s)",
            (caller.app_id,),
        )
    assert (await server.call("GET", "/openupload" + query(access_token=token, **OPENED))).code == "A21327"


@pytest.mark.parametrize(
    ("state", "code"), [("pending", "A00005"), ("rejected", "A00007"), ("frozen", "A00008"), ("deleted", "A00009")]
)
async def test_openupload_tells_the_state_of_the_app(server: UploadServer, state: str, code: str) -> None:
    token = await server.services.token()
    caller = await server.services.identity.resolve(token)
    async with server.services.database.connection() as connection:
        await connection.execute("update app set state = %s where id = %s", (state, caller.app_id))
    answer = await server.call("GET", "/openupload" + query(access_token=token, **OPENED))
    assert (answer.status, answer.code) == (200, code)
    assert answer.json["msg"]


async def test_openupload_tells_when_the_quota_is_used_up(server: UploadServer) -> None:
    token = await server.services.token()
    caller = await server.services.identity.resolve(token)
    async with server.services.database.connection() as connection:
        await connection.execute("update app set quota = 1500 where id = %s", (caller.app_id,))
    await server.open(1000, token)
    answer = await server.call("GET", "/openupload" + query(access_token=token, filetype="mp4", filesize=501))
    assert answer.code == "A00018"
    await server.open(500, token)


@pytest.mark.parametrize("size", ["", "abc", "-1", "1.5", "9" * 18, "9" * 30, "1e3"])
async def test_openupload_refuses_odd_sizes(server: UploadServer, size: str) -> None:
    answer = await server.call("GET", "/openupload" + query(access_token=server.token, filetype="mp4", filesize=size))
    assert answer.code == "A00010"


async def test_an_empty_file_can_be_uploaded(server: UploadServer) -> None:
    file_id = await server.open(0)
    assert (await server.send(file_id, "0-0", b"")).json["file_range_accepted"] == 0
    finish = query(access_token=server.token, file_id=file_id)
    assert (await server.call("POST", "/uploadfinish" + finish)).code == "A00000"


@pytest.mark.parametrize("stated", ["1023", "99999999999999", "abc", "-1"])
async def test_another_file_size_midway_is_refused_and_does_no_harm(server: UploadServer, stated: str) -> None:
    file_id = await server.open(1024)
    await server.send(file_id, "0-511", CONTENT[:512])
    assert (await server.send(file_id, "512-1023", CONTENT[512:], ("file_size", stated))).code == "A00010"
    assert await server.received(file_id) == [[0, 511]]
    assert (await server.send(file_id, "512-1023", CONTENT[512:])).code == "A00000"


@pytest.mark.parametrize(("path", "odd"), [("/cancelupload", "status=1"), ("/uploadfinish", "range_finished=false")])
async def test_finish_and_cancel_must_mean_it(server: UploadServer, path: str, odd: str) -> None:
    file_id = await received_all(server)
    target = path + query(access_token=server.token, file_id=file_id)
    assert (await server.call("GET", f"{target}&{odd}")).code == "A00010"
    assert await state_of(server, file_id) == "open"


async def test_every_method_gets_the_envelope(server: UploadServer) -> None:
    for method in ("GET", "DELETE", "PATCH", "BREW"):
        answer = await server.call(method, "/upload" + query(file_id="0" * 32, range="0-5"))
        assert (answer.status, answer.code) == (200, "Q00002")
    file_id = await server.open(1024)
    headers = [("file_id", file_id), ("range", "0-1023")]
    assert (await server.call("PUT", "/upload", headers, CONTENT)).code == "A00000"


# --- browsers ---------------------------------------------------------------------------------------------------------

ALLOWED = (
    "authtoken, device_id, spath, role, origin, filetype, filesize, file_size, access_token, content-type, range, "
    "file_id, range_finished, status"
)


def is_open_to_browsers(answer: Answer) -> bool:
    return (
        answer.headers["access-control-allow-origin"] == "*"
        and answer.headers["access-control-allow-methods"] == "post,put,get,head,options"
        and answer.headers["access-control-max-age"] == "21600"
        and answer.headers["access-control-allow-headers"] == ALLOWED
        and "access-control-allow-credentials" not in answer.headers
    )


@pytest.mark.parametrize("path", ["/openupload", "/upload", "/uploadfinish", "/cancelupload", "/uploadstatus"])
async def test_browsers_may_call_from_anywhere(server: UploadServer, path: str) -> None:
    headers = [("Origin", "https://elsewhere.example"), ("Access-Control-Request-Headers", "file_id, range")]
    for method in ("OPTIONS", "HEAD"):
        answer = await server.call(method, path, headers)
        assert (answer.status, answer.body) == (200, b"")
        assert is_open_to_browsers(answer)
    assert is_open_to_browsers(await server.call("POST", path, headers, b""))
    assert json.loads((await server.call("POST", path, headers, b"")).body)["code"] != "A00000"
