"""Byte ranges by RFC 9110: the arithmetic for itself, and on the wire."""

import asyncio
import email
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from openstage.delivery.models import StoredObject
from openstage.delivery.ranges import Unsatisfiable, not_modified, parse_ranges, precondition_failed
from openstage.delivery.responses import ObjectResponse, object_etag
from openstage.storage.objects import store_at
from tests.delivery.stage import FILE_ID, Stage
from tests.support.server import serving
from tests.support.waiting import wait_until

SIZE = 1000
KEY = f"works/{FILE_ID}/run1/mp4/1.mp4"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-", [(500, 1000)]),
        ("bytes=-1", [(999, 1000)]),
        ("bytes=-5000", [(0, 1000)]),
        ("bytes=0-5000", [(0, 1000)]),
        ("bytes=999-999", [(999, 1000)]),
        ("BYTES = 1-2", [(1, 3)]),
        ("bytes=0-0,-1", [(0, 1), (999, 1000)]),
        ("bytes= , 5-6 ,\t", [(5, 7)]),
        ("bytes=0-99,100-199", [(0, 200)]),
        ("bytes=500-600,0-9", [(500, 601), (0, 10)]),
        ("bytes=0-0,2000-", [(0, 1)]),
        # Malformed or strange: as if there were no Range.
        ("bytes=5-4", []),
        ("bytes=a-b", []),
        ("bytes=-", []),
        ("bytes=", []),
        ("bytes", []),
        ("bytes=1-2-3", []),
        ("bytes=+1-2", []),
        ("bytes=１-２", []),
        ("seconds=1-2", []),
        ("bytes=0-1,x", []),
        ("bytes=" + ",".join(f"{n * 10}-{n * 10}" for n in range(17)), []),
        ("bytes=0-" + "9" * 30, []),
    ],
)
def test_a_range_header_is_read_as_the_rfc_says(header: str, expected: list[tuple[int, int]]) -> None:
    assert [(r.start, r.end) for r in parse_ranges(header, SIZE)] == expected


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-,-0"])
def test_a_range_beyond_the_end_is_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_ranges(header, SIZE)


@given(st.text(max_size=40), st.integers(0, 10**12))
@example("bytes=0-", 0)
def test_whatever_the_header_says_ranges_lie_within_the_object(header: str, size: int) -> None:
    for text in (header, "bytes=" + header):
        try:
            ranges = parse_ranges(text, size)
        except Unsatisfiable:
            continue
        assert all(0 <= r.start < r.end <= size for r in ranges)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=10), st.integers(1, 50))
def test_the_ranges_cover_exactly_what_was_asked_for(asked: list[tuple[int, int]], size: int) -> None:
    asked = [(min(pair), max(pair)) for pair in asked]
    wanted = {byte for first, last in asked for byte in range(first, min(last + 1, size))}
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in asked)
    try:
        ranges = parse_ranges(header, size)
    except Unsatisfiable:
        assert not wanted
        return
    sent = [byte for r in ranges for byte in range(r.start, r.end)]
    assert set(sent) == wanted
    assert len(sent) == len(wanted), "no byte is sent twice"


def test_etags_are_compared_as_the_rfc_says() -> None:
    etag = '"abc"'
    for header in ('"abc"', 'W/"abc"', '"x", "abc"', "*", ' "x" ,W/"abc" '):
        assert not_modified({"if-none-match": header}, etag)
    for header in ('"x"', "abc", '"ab"', ""):
        assert not not_modified({"if-none-match": header}, etag)
    assert not not_modified({}, etag)
    assert precondition_failed({"if-match": 'W/"abc"'}, etag)
    assert precondition_failed({"if-match": '"x"'}, etag)
    assert not precondition_failed({"if-match": '"abc"'}, etag)
    assert not precondition_failed({"if-match": "*"}, etag)
    assert not precondition_failed({}, etag)


def test_an_etag_is_strong_and_tells_objects_apart() -> None:
    one = object_etag(StoredObject("works/a/run1/x", 5))
    assert one.startswith('"')
    assert one.endswith('"')
    assert (
        len({one, object_etag(StoredObject("works/a/run2/x", 5)), object_etag(StoredObject("works/a/run1/x", 6))}) == 3
    )


# --- on the wire ----------------------------------------------------------------------------------------------


async def test_ranges_on_the_wire(stage: Stage) -> None:
    body, address = stage.bodies[KEY], stage.media("1.mp4")
    size = len(body)
    whole = await stage.client.get(address)
    assert whole.status_code == 200
    assert whole.content == body
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/mp4"
    for header, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=0-1", 0, 2),
        ("bytes=70000-", 70000, size),
        ("bytes=-10", size - 10, size),
        ("bytes=10-9999999", 10, size),
        (f"bytes={size - 1}-", size - 1, size),
    ):
        part = await stage.client.get(address, headers={"range": header})
        assert part.status_code == 206
        assert part.content == body[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - start)
        assert part.headers["etag"] == whole.headers["etag"]
    beyond = await stage.client.get(address, headers={"range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"
    for ignored in ("bytes=9-5", "lines=1-2", "bytes=x"):
        reply = await stage.client.get(address, headers={"range": ignored})
        assert (reply.status_code, len(reply.content)) == (200, size)


async def test_several_ranges_come_as_multipart(stage: Stage) -> None:
    body, address = stage.bodies[KEY], stage.media("1.mp4")
    reply = await stage.client.get(address, headers={"range": "bytes=0-9,50000-50999,-5"})
    assert reply.status_code == 206
    assert int(reply.headers["content-length"]) == len(reply.content)
    head = f"Content-Type: {reply.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + reply.content)
    parts = message.get_payload()
    assert isinstance(parts, list)
    got = [(part["Content-Range"], part["Content-Type"]) for part in parts]  # type: ignore[index]
    assert got == [
        (f"bytes {start}-{end - 1}/{len(body)}", "video/mp4")
        for start, end in ((0, 10), (50000, 51000), (len(body) - 5, len(body)))
    ]
    for expected in (body[:10], body[50000:51000], body[-5:]):
        assert expected in reply.content


async def test_a_condition_decides_between_the_part_and_the_whole(stage: Stage) -> None:
    address = stage.media("1.mp4")
    etag = (await stage.client.head(address)).headers["etag"]
    for condition, status in (
        (etag, 206),
        ('"other"', 200),
        (f"W/{etag}", 200),
        ("Sat, 21 Nov 2026 10:00:00 GMT", 200),
    ):
        reply = await stage.client.get(address, headers={"range": "bytes=0-9", "if-range": condition})
        assert reply.status_code == status, condition
    reply = await stage.client.get(address, headers={"if-none-match": f'"x", {etag}', "range": "bytes=0-9"})
    assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", etag)
    assert (await stage.client.get(address, headers={"if-match": '"x"'})).status_code == 412


async def test_head_tells_what_get_would_send(stage: Stage) -> None:
    for address in (stage.media("1.mp4"), stage.media("master.m3u8")):
        head, got = await stage.client.head(address), await stage.client.get(address)
        assert head.status_code == 200
        assert head.content == b""
        for name in ("content-length", "content-type", "access-control-allow-origin"):
            assert head.headers[name] == got.headers[name], name


def open_files(key: str) -> int:
    """How often this process, which is the server too, holds the object open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += each.readlink().as_posix().endswith(key)
    return found


async def test_a_client_that_goes_away_frees_everything(stage: Stage) -> None:
    key = await stage.mp4("3", 32 * 1024 * 1024)
    host, port = stage.address.removeprefix("http://").split(":")
    path = stage.media("3.mp4").removeprefix(stage.address)
    clients = []
    for _ in range(10):
        client = socket.create_connection((host, int(port)))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        clients.append(client)

    async def all_open() -> bool:
        return open_files(key) == 10

    async def none_open() -> bool:
        return open_files(key) == 0

    await wait_until(all_open, within=10, what="ten open downloads")
    for client in clients:
        client.close()
    await wait_until(none_open, within=10, what="the end of the downloads")
    assert (await stage.client.get(stage.media("1.mp4"))).status_code == 200


async def test_a_client_that_takes_nothing_is_let_go_and_sees_that_it_was_cut(tmp_path: Path) -> None:
    store = store_at(f"file://{tmp_path}")
    size = 32 * 1024 * 1024
    await store.put("big", bytes(size))
    response = ObjectResponse(
        store, StoredObject("big", size), content_type="video/mp4", caching="private", send_timeout=0.3
    )

    async def let_go() -> bool:
        return open_files("big") == 0

    async with serving(Starlette(routes=[Route("/", lambda _: response)])) as address:
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n")
        await wait_until(let_go, within=10, what="the end of the stalled download")
        assert len(await asyncio.wait_for(reader.read(-1), 10)) < size
        writer.close()


async def test_a_store_that_fails_half_way_cuts_the_connection(tmp_path: Path) -> None:
    store = store_at(f"file://{tmp_path}")
    await store.put("short", bytes(1024 * 1024))
    response = ObjectResponse(
        store, StoredObject("short", 2 * 1024 * 1024), content_type="video/mp4", caching="private"
    )
    async with serving(Starlette(routes=[Route("/", lambda _: response)])) as address, httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(address)
