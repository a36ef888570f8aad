"""Whatever is sent to whatever call: an answer in the envelope, never a 500, and the server goes on."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openstage.settings import Settings
from tests.support.server import ServerProcess, server_process

UPLOAD_CALLS = ["/openupload", "/upload", "/uploadfinish", "/cancelupload", "/uploadstatus"]
API_CALLS = [
    "/api/iqiyi/authorize",
    "/api/enterprise/authorize",
    "/api/person/authorize",
    "/api/baidu/authorize",
    "/api/oauth2/token",
    "/api/file/info",
    "/api/file/fullStatus",
    "/api/file/videoListForExternal",
    "/api/file/fetchvideolist",
    "/api/file/videoForExternal",
    "/api/file/count",
    "/api/file/urllist",
    "/api/file/delete",
    "/api/download/getDownloadUri",
    "/api/no/such/call",
]
NAMES = [
    "access_token", "client_id", "client_secret", "refresh_token", "grant_type", "uid", "ouid", "nick", "file_id",
    "file_ids", "filetype", "filesize", "file_size", "range", "range_finished", "status", "file_name", "description",
    "tags", "file_type", "page", "page_size", "delete_type", "role", "device_id", "cb", "type",
]  # fmt: skip
ODD_VALUES = [
    "", "0", "-1", "1", "true", "body", "0-0", "0-10", "10-0", "-", "0-", "-5", "1e9", "NaN", "9" * 40, "0x10", "null",
    "\0", "%00", "../../etc/passwd", "' or 1=1 --", "<script>", "refresh_token", "a,b;c", "，", "é", "假期", "🎬",
    "x" * 5000,
]  # fmt: skip

names = st.sampled_from(NAMES)


@pytest.fixture(scope="module")
def server(module_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {
        "OPENSTAGE_DATA": str(module_settings.data),
        "OPENSTAGE_DATABASE_URL": module_settings.database_url,
        "OPENSTAGE_LISTEN": module_settings.listen,
        "OPENSTAGE_PIECE_TIMEOUT": "2",
    }
    with server_process("openstage.app:create_app", folder=tmp_path_factory.mktemp("fuzz"), env=env) as process:
        yield process
        assert "Traceback" not in process.log.read_text()


@pytest.fixture(scope="module")
def good_values(server: ServerProcess, module_settings: Settings) -> dict[str, str]:
    """Values that are right, so that what is sent gets past the first check now and then."""
    env = os.environ | {
        "OPENSTAGE_DATA": str(module_settings.data),
        "OPENSTAGE_DATABASE_URL": module_settings.database_url,
    }
    command = [sys.executable, "-m", "openstage.cli", "app", "create", "--name", "fuzz", "--json"]
    app = json.loads(subprocess.run(command, env=env, capture_output=True, check=True, timeout=60).stdout)
    credentials = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    with httpx.Client(base_url=server.address) as http:
        tokens = http.get("/api/iqiyi/authorize", params=credentials).json()["data"]
        opened = http.get("/openupload", headers={"access_token": tokens["access_token"], "filesize": "100"}).json()
    return {
        **credentials,
        "access_token": tokens["access_token"],
        "refresh_token": tokens["refresh_token"],
        "file_id": opened["data"]["file_id"],
        "file_ids": opened["data"]["file_id"],
        "filesize": "100",
        "file_size": "100",
        "range": "0-9",
    }


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=20) as client:
        yield client


def expect_envelope(path: str, status: int, body: bytes) -> None:
    assert status in ({200, 202} if path != "/upload" else {200, 202, 503}), (status, body[:500])
    reply = json.loads(body)
    assert isinstance(reply["code"], str)
    assert "Traceback" not in reply.get("msg", "")


FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=5000)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, object]:
    values = st.one_of(st.sampled_from(ODD_VALUES), st.text(max_size=50), st.just("GOOD"))
    header_values = st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50).map(str.strip),
        st.just("GOOD"),
        st.sampled_from(["0-9"]),
    )
    return {
        "path": draw(st.sampled_from(UPLOAD_CALLS + API_CALLS)),
        "method": draw(st.sampled_from(["GET", "POST", "POST", "PUT", "DELETE", "PATCH"])),
        "headers": draw(st.dictionaries(names, header_values, max_size=6)),
        "query": draw(st.lists(st.tuples(names, values), max_size=6)),
        "body": draw(st.sampled_from(["none", "form", "multipart", "bytes"])),
        "fields": draw(st.lists(st.tuples(st.one_of(names, st.sampled_from(["file", "upload"])), values), max_size=6)),
        "bytes": draw(st.binary(max_size=300)),
        "content_type": draw(
            st.sampled_from(
                [
                    "",
                    "multipart/form-data",
                    "multipart/form-data; boundary=x",
                    "application/x-www-form-urlencoded",
                    "a/b",
                ]
            )
        ),
    }


def send(http: httpx.Client, good: dict[str, str], request: dict[str, object]) -> None:
    def fill(pairs: object) -> list[tuple[str, str]]:
        items = pairs.items() if isinstance(pairs, dict) else pairs
        return [(name, good.get(name, "1") if value == "GOOD" else value) for name, value in items]  # type: ignore[attr-defined]

    query = "&".join(f"{name}={quote(value, safe='{}|^', errors='replace')}" for name, value in fill(request["query"]))
    headers = dict(fill(request["headers"]))
    content: bytes = b""
    if request["body"] == "form":
        pairs = fill(request["fields"])
        content = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in pairs).encode()
    elif request["body"] == "multipart":
        for name, value in fill(request["fields"]):
            head = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            content += head.encode() + value.encode("utf-8", "replace") + b"\r\n"
        content += b"--x--\r\n"
    elif request["body"] == "bytes":
        content = request["bytes"]  # type: ignore[assignment]
    if request["content_type"]:
        headers["content-type"] = str(request["content_type"])
    path = str(request["path"])
    reply = http.request(str(request["method"]), f"{path}?{query}", headers=headers, content=content)
    expect_envelope(path, reply.status_code, reply.content)


@FEW
@given(request_=requests())
def test_every_call_answers_in_the_envelope(
    http: httpx.Client, good_values: dict[str, str], request_: dict[str, object]
) -> None:
    send(http, good_values, request_)


@pytest.mark.slow
@MANY
@given(request_=requests())
def test_every_call_answers_in_the_envelope_at_length(
    http: httpx.Client, good_values: dict[str, str], request_: dict[str, object]
) -> None:
    send(http, good_values, request_)


@FEW
@given(
    target=st.binary(min_size=1, max_size=80).map(
        lambda raw: bytes(b for b in raw if b > 32 and b not in b'"<>\\`#\x7f')
    )
)
def test_raw_bytes_in_a_query_are_borne(server: ServerProcess, http: httpx.Client, target: bytes) -> None:
    where = urlsplit(server.address)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(
            b"GET /api/file/count?access_token=" + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 400"):
        # What no HTTP server takes; it is refused before it reaches us.
        assert http.get("/healthz").status_code == 200
        return
    expect_envelope("/api/file/count", int(head.split()[1]), body)
