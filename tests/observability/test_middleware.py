"""Around each request: an id that can be followed, a log line that gives nothing away, figures that add up."""

import asyncio
import json

import httpx
import pytest
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from openstage.observability import logs, metrics
from openstage.observability.middleware import Observed


async def echo(request: Request) -> Response:
    return Response(await request.body(), 201)


async def broken(request: Request) -> Response:
    raise RuntimeError("on purpose")


APP = Observed(
    Starlette(
        routes=[
            Route("/upload", echo, methods=["POST"]),
            Route("/media/{token}/{slug}/{resource:path}", echo),
            Route("/api/broken", broken),
        ]
    )
)


@pytest.fixture
async def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(APP, raise_app_exceptions=False), base_url="http://server")


async def test_a_request_id_is_given_back_or_made(client: httpx.AsyncClient) -> None:
    sent = await client.post("/upload", headers={"X-Request-Id": "from-the-proxy.1"})
    assert sent.headers["x-request-id"] == "from-the-proxy.1"
    made = [(await client.post("/upload")).headers["x-request-id"] for _ in range(2)]
    assert len(set(made)) == 2


@pytest.mark.parametrize("odd", ["", "a b", "x" * 65, "<script>", "a\tb"])
async def test_an_odd_request_id_is_replaced(client: httpx.AsyncClient, odd: str) -> None:
    reply = await client.post("/upload", headers={"X-Request-Id": odd})
    assert reply.headers["x-request-id"] != odd


async def test_log_lines_tell_the_path_but_no_token(
    client: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(form="json", level="info")
    await client.get("/media/abc.nonce.signature/slug/master.m3u8?access_token=2.secret")
    await client.post("/upload?file_id=capability", content=b"12345", headers={"access_token": "2.secret"})
    await asyncio.sleep(0)  # lines of requests answered together are written together, in the loop's next turn
    written = capfd.readouterr().err
    media, upload = (json.loads(line) for line in written.splitlines())
    assert (media["path"], media["status"]) == ("/media/…/slug/master.m3u8", 201)
    assert (upload["method"], upload["received"], upload["sent"]) == ("POST", 5, 5)
    for secret in ("2.secret", "capability", "signature"):
        assert secret not in written


async def test_requests_are_counted_whatever_becomes_of_them(client: httpx.AsyncClient) -> None:
    def count(surface: str, status: str) -> float:
        labels = {"surface": surface, "method": "GET" if surface == "video" else "POST", "status": status}
        return metrics.registry.get_sample_value("openstage_requests_total", labels) or 0.0

    before = (
        count("upload", "201"),
        count("video", "500"),
        metrics.registry.get_sample_value("openstage_received_bytes_total"),
    )
    await client.post("/upload", content=b"x" * 1000)
    await client.get("/api/broken")
    after = (
        count("upload", "201"),
        count("video", "500"),
        metrics.registry.get_sample_value("openstage_received_bytes_total"),
    )
    assert [now - then for now, then in zip(after, before, strict=True) if now is not None and then is not None] == [
        1,
        1,
        1000,
    ]
    assert metrics.registry.get_sample_value("openstage_requests_in_flight") == 0
    assert b"openstage_request_seconds_bucket" in generate_latest(metrics.registry)


async def received(
    headers: list[tuple[bytes, bytes]], *chunks: bytes, version: str = "1.1"
) -> list[tuple[bytes, bool]]:
    """What an application receives of a body that comes in these chunks until it is told that there are no more."""
    coming = iter([*({"body": chunk, "more_body": True} for chunk in chunks), {"body": b"", "more_body": False}])
    seen: list[tuple[bytes, bool]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        assert metrics.registry.get_sample_value("openstage_requests_in_flight") == 1
        while not seen or seen[-1][1]:
            message = await receive()
            seen.append((message["body"], message["more_body"]))

    async def receive() -> Message:
        return {"type": "http.request", **next(coming)}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "http_version": version, "method": "POST", "path": "/", "headers": headers}
    await Observed(application)(scope, receive, send)
    assert metrics.registry.get_sample_value("openstage_requests_in_flight") == 0
    return seen


async def test_the_end_of_a_body_is_known_with_its_last_byte() -> None:
    assert await received([(b"content-length", b"5")], b"123", b"45") == [(b"123", True), (b"45", False)]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-length", b"")],
        [(b"content-length", b"5" * 5000)],
        [(b"content-length", b"9")],
        [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")],
    ],
)
async def test_a_body_whose_length_is_not_announced_ends_where_the_server_says(
    headers: list[tuple[bytes, bytes]],
) -> None:
    assert await received(headers, b"123", b"45") == [(b"123", True), (b"45", True), (b"", False)]


async def test_the_end_of_a_body_in_http_2_is_where_its_last_frame_is() -> None:
    length = [(b"content-length", b"5")]
    assert await received(length, b"12345", version="2") == [(b"12345", True), (b"", False)]
