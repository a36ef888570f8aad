"""`MusicLibrary` against servers that behave badly, or know nothing but the document."""

import datetime as dt
import email.utils
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from openstage.client import MusicLibrary, OutcomeUnknownError, ProtocolError, Retry, UnreachableError
from openstage.client.music import ClockError, DownloadError, MusicError, signed

FAST = Retry(attempts=4, first_delay=0.001, longest_delay=0.01)
SECRET = "9b530aa85723c06a90879bee8f5096d7"
CONTENT = bytes(range(256)) * 40_000
DETAIL = {
    "audio": {"type": "签约供应商", "id": 1, "title": "T", "bpm": 95, "genres": [], "moods": [], "instruments": []},
    "purchase": {"id": 442, "permission_id": 27, "price": "812.50", "created_at": "2016-06-24 09:24:33"},
}

Handler = Callable[[httpx.Request], httpx.Response]


def library(handler: Handler, **options: Any) -> MusicLibrary:
    http = httpx.Client(transport=httpx.MockTransport(handler))
    return MusicLibrary("app", SECRET, "http://music.example", http=http, retry=FAST, **options)


def success(data: Any, **headers: str) -> httpx.Response:
    return httpx.Response(200, json={"result": True, "data": data}, headers=headers)


def failure(code: int, message: str = "no", **headers: str) -> httpx.Response:
    return httpx.Response(200, json={"result": False, "message": message, "code": code}, headers=headers)


def test_the_signature_is_the_documented_one() -> None:
    vectors = json.loads((Path(__file__).parents[2] / "docs" / "signing-vectors.json").read_text())
    for case in vectors["cases"]:
        made = signed("4fiodcz8xjl6p8nbzfex2", SECRET, case["parameters"], 1473820208.9)
        string = "&".join(f"{name}" for name in sorted(made))
        assert "sign" in string
        if "~" not in str(case["parameters"]):  # Python leaves it alone, browsers don't
            assert made["sign"] == case["form"]["sign"]


def test_a_lost_answer_to_a_purchase_is_asked_for_again_with_the_same_request() -> None:
    sent: list[dict[str, str]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(dict(parse_qsl(request.content.decode())))
        if len(sent) < 3:
            raise httpx.ReadTimeout("lost", request=request)
        return success({"id": 442, "url": "http://files.example/1"})

    assert library(handler).purchase(1, 2, "甲&乙").id == 442
    assert len({json.dumps(each) for each in sent}) == 1
    assert len(sent[0]["request_id"]) == 32
    sent.clear()
    with pytest.raises(OutcomeUnknownError):
        library(handler, repeats_purchases=False).purchase(1, 2, "A")
    assert len(sent) == 1


def test_a_clock_that_is_off_is_put_right_by_the_servers() -> None:
    offset = 7200
    nonces: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        now = time.time() + offset
        nonces.append(int(request.url.params["nonce_str"]))
        date = email.utils.format_datetime(dt.datetime.fromtimestamp(now, dt.UTC), usegmt=True)
        return success({"genres": []}, Date=date) if abs(nonces[-1] - now) < 600 else failure(1102, Date=date)

    client = library(handler)
    assert client.categories().genres == []
    assert client.categories().genres == []
    assert len(nonces) == 3, "the next call is right at once"


def test_a_server_that_denies_its_own_time_is_believed_once() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return failure(1102, Date="Wed, 14 Sep 2016 03:03:28 GMT")

    with pytest.raises(ClockError):
        library(handler).categories()
    with pytest.raises(ClockError):
        library(lambda _: failure(1102)).categories()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.Response(503, text="busy"), UnreachableError),
        (httpx.Response(200, text="<html>"), ProtocolError),
        (httpx.Response(200, json={"code": 0}), ProtocolError),
        (httpx.Response(200, json={"result": True}), ProtocolError),
        (httpx.Response(200, json={"result": True, "data": {"list": [{}]}}), ProtocolError),
        (httpx.Response(302, headers={"Location": "https://music.example/x?sign=1"}), ProtocolError),
        (failure(1001), MusicError),
        (failure(4711), MusicError),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_this_interface_is_told(reply: httpx.Response, error: type[Exception]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    with pytest.raises(error) as caught:
        library(handler).search("x")
    assert SECRET not in str(caught.value)


class Files:
    """A server of one file, as the document has it: without what Openstage adds."""

    def __init__(self, *, ranges: bool = True, etag: str = '"1"', sha256: str = "", lifetime: int = 10**6) -> None:
        self.ranges, self.etag, self.lifetime = ranges, etag, lifetime
        self.detail = {**DETAIL, "purchase": {**DETAIL["purchase"], **({"sha256": sha256} if sha256 else {})}}
        self.served = 0
        self.addresses = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/purchase-detail"):
            return success(self.detail)
        if request.url.path.endswith("/purchase-download"):
            self.addresses += 1
            self.served = 0
            return success({"url": f"http://files.example/{self.addresses}"})
        self.served += 1
        if self.served > self.lifetime:
            return httpx.Response(403, text="expired")
        headers = {"ETag": self.etag} if self.etag else {}
        if not self.ranges:
            return httpx.Response(200, content=CONTENT, headers=headers)
        start, end = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        piece = CONTENT[start : end + 1]
        headers["Content-Range"] = f"bytes {start}-{start + len(piece) - 1}/{len(CONTENT)}"
        return httpx.Response(206, content=piece, headers=headers)


@pytest.mark.parametrize(
    "files",
    [
        Files(),
        Files(ranges=False),
        Files(etag=""),
        Files(lifetime=1),
        Files(sha256=hashlib.sha256(CONTENT).hexdigest()),
    ],
    ids=["ranges", "no ranges", "no etag", "addresses of one request", "digest"],
)
def test_downloads_from_any_server(files: Files, tmp_path: Path) -> None:
    path = library(files).download(442, tmp_path)
    assert path == tmp_path / "purchase-442"
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_what_was_bought_is_refused(tmp_path: Path) -> None:
    files = Files(sha256="0" * 64)
    with pytest.raises(DownloadError, match="SHA-256"):
        library(files).download(442, tmp_path / "x.mp3")
    assert list(tmp_path.iterdir()) == []


def test_addresses_that_never_work_end_the_download(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="fresh address"):
        library(Files(lifetime=0)).download(442, tmp_path / "x.mp3")


@pytest.mark.parametrize(
    "name", ["../../x.mp3", "/etc/x.mp3", "..\\x.mp3", "x.mp3", "y\"; filename*=UTF-8''%2e%2E%2Fx.mp3; x=\""]
)
def test_a_servers_names_lead_nowhere_else(name: str, tmp_path: Path) -> None:
    class Named(Files):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            reply = super().__call__(request)
            reply.headers["Content-Disposition"] = f'attachment; filename="{name}"'
            return reply

    assert library(Named()).download(442, tmp_path) == tmp_path / "x.mp3"
