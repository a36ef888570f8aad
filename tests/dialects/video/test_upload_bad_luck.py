"""Senders that stall, drop, lie about lengths, or come twice: nothing recorded, nothing leaked."""

import asyncio
import hashlib
import random

import pytest

from openstage.errors import Unavailable
from tests.dialects.video.conftest import UploadServer
from tests.support.waiting import wait_until
from tests.uploads.wire import Answer, Exchange, multipart, query

SIZE = 3_000_000
CONTENT = random.Random(1).randbytes(SIZE)
HALF = SIZE // 2


def head(file_id: str, start: int = 0, end: int = SIZE) -> list[tuple[str, str]]:
    return [
        ("file_id", file_id),
        ("range", f"{start}-{end - 1}"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]


async def begin(server: UploadServer, file_id: str, start: int = 0, end: int = SIZE) -> Exchange:
    """A raw piece whose body is still to be sent."""
    return await Exchange.begin(server.address, "POST", "/upload", head(file_id, start, end), length=end - start)


async def leases(server: UploadServer, count: int) -> None:
    async def so_many() -> bool:
        return len(server.services.uploads._leases) == count

    await wait_until(so_many, what=f"{count} pieces in flight")


async def staged(server: UploadServer, file_id: str, end: int) -> None:
    """Wait until bytes of a piece in flight have reached the disk."""
    path = server.services.uploads.staging_path(file_id)

    async def there() -> bool:
        return path.exists() and path.read_bytes()[end - 1000 : end] == CONTENT[end - 1000 : end]

    await wait_until(there, what="bytes on the disk")


def is_whole(answer: Answer) -> bool:
    return answer.code == "A00000" and answer.json["range_md5"] == hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize("how", ["drop", "half_close"])
async def test_a_connection_lost_in_the_middle_of_a_piece(server: UploadServer, how: str) -> None:
    file_id = await server.open(SIZE)
    exchange = await begin(server, file_id)
    await exchange.send(CONTENT[:HALF])
    await leases(server, 1)
    if how == "drop":
        exchange.drop()
    else:
        exchange.half_close()
        answer = await exchange.answer()
        assert (answer.status, answer.code) == (503, "Q00001")
    await leases(server, 0)
    assert await server.received(file_id) == []
    assert is_whole(await server.send(file_id, f"0-{SIZE - 1}", CONTENT))


@pytest.mark.parametrize("multi", [False, True])
async def test_a_sender_that_stalls_is_dropped(server: UploadServer, multi: bool) -> None:
    file_id = await server.open(SIZE)
    headers = head(file_id)[:2]
    body = multipart(("file", CONTENT)) if multi else CONTENT
    exchange = await Exchange.begin(server.address, "POST", "/upload", headers, length=len(body))
    await exchange.send(body[:HALF])
    answer = await exchange.answer()
    assert (answer.status, answer.code) == (503, "Q00001")
    await leases(server, 0)
    assert await server.received(file_id) == []


async def test_a_stalled_spool_leaves_nothing(server: UploadServer) -> None:
    before = set(server.services.settings.staging_folder.iterdir())
    body = multipart(("file", CONTENT), ("file_id", "0" * 32), ("range", f"0-{SIZE}"))
    exchange = await Exchange.begin(server.address, "POST", "/upload", [], length=len(body))
    await exchange.send(body[:HALF])
    assert (await exchange.answer()).status == 503
    answer = await server.call("POST", "/upload", [], body)
    assert (answer.status, answer.code) == (200, "A00005")
    assert set(server.services.settings.staging_folder.iterdir()) == before


async def test_a_repeat_after_the_clients_own_time_out_is_served(server: UploadServer) -> None:
    file_id = await server.open(SIZE)
    stuck = await begin(server, file_id)
    await stuck.send(CONTENT[:HALF])
    await staged(server, file_id, 1_000_000)
    assert is_whole(await server.send(file_id, f"0-{SIZE - 1}", CONTENT))
    await stuck.send(b"x" * (SIZE - HALF))
    answer = await stuck.answer()
    assert (answer.status, answer.code) == (503, "Q00001")
    assert server.content(file_id) == CONTENT


async def test_two_different_pieces_for_one_range_at_once(server: UploadServer) -> None:
    file_id = await server.open(SIZE)
    other = random.Random(2).randbytes(SIZE)
    first, second = await begin(server, file_id), await begin(server, file_id)
    await first.send(CONTENT[:HALF])
    await second.send(other[:HALF])
    await first.send(CONTENT[HALF:])
    await second.send(other[HALF:])
    answers = [await first.answer(), await second.answer()]
    assert sorted(answer.code for answer in answers) == ["A00000", "A00010"]
    won = CONTENT if answers[0].code == "A00000" else other
    assert server.content(file_id) == won


async def test_a_repeat_that_stalls_or_differs_leaves_what_is_recorded(server: UploadServer) -> None:
    file_id = await server.open(SIZE)
    await server.send(file_id, f"0-{HALF - 1}", CONTENT[:HALF])
    stalls = await begin(server, file_id, 0, HALF)
    await stalls.send(CONTENT[: HALF // 2])
    assert (await stalls.answer()).status == 503
    assert (await server.send(file_id, f"0-{SIZE - 1}", b"x" * SIZE)).code == "A00010"
    assert await server.received(file_id) == [[0, HALF - 1]]
    assert server.content(file_id)[:HALF] == CONTENT[:HALF]


async def test_finish_and_cancel_in_the_middle_of_a_piece(server: UploadServer) -> None:
    token = query(access_token=server.token)
    file_id = await server.open(SIZE)
    exchange = await begin(server, file_id)
    await exchange.send(CONTENT[:HALF])
    await leases(server, 1)
    assert (await server.call("POST", f"/uploadfinish{token}&file_id={file_id}")).code == "A00010"
    assert (await server.call("POST", f"/cancelupload{token}&file_id={file_id}&status=2")).code == "A00000"
    await exchange.send(CONTENT[HALF:])
    assert (await exchange.answer()).code in {"A00005", "Q00001"}
    assert not server.services.uploads.staging_path(file_id).exists()
    await leases(server, 0)


CHUNKED = ("Transfer-Encoding", "chunked")


def as_chunks(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


async def test_a_chunked_body_needs_no_length(server: UploadServer) -> None:
    file_id = await server.open(SIZE)
    exchange = await Exchange.begin(server.address, "POST", "/upload", [*head(file_id), CHUNKED])
    for at in range(0, SIZE, 500_000):
        await exchange.send(as_chunks(CONTENT[at : at + 500_000]))
    await exchange.send(as_chunks(b""))
    assert is_whole(await exchange.answer())


@pytest.mark.parametrize("end", [b"", b"zz\r\n", b"-5\r\n"])
async def test_a_chunked_body_that_breaks_off_is_not_whole(server: UploadServer, end: bytes) -> None:
    file_id = await server.open(SIZE)
    exchange = await Exchange.begin(server.address, "POST", "/upload", [*head(file_id), CHUNKED])
    await exchange.send(as_chunks(CONTENT) + end)
    exchange.half_close()
    answer = await exchange.answer()
    assert (answer.status, answer.code) == (503, "Q00001")
    assert await server.received(file_id) == []


async def test_errors_are_told_even_to_a_client_that_sends_everything_first(server: UploadServer) -> None:
    body = CONTENT * 10  # more than sockets buffer
    file_id = await server.open(SIZE)
    answer = await server.call("POST", "/upload", [("file_id", file_id), ("range", "0-9")], body)
    assert (answer.status, answer.code) == (200, "A00010")
    answer = await server.call("POST", "/upload", [("file_id", "0" * 32), ("range", f"0-{len(body)}")], body)
    assert (answer.status, answer.code) == (200, "A00005")


async def test_a_client_that_asks_first_is_refused_before_it_sends(server: UploadServer) -> None:
    headers = [("file_id", "0" * 32), ("range", f"0-{SIZE}"), ("Expect", "100-continue")]
    exchange = await Exchange.begin(server.address, "POST", "/upload", headers, length=SIZE)
    answer = await exchange.answer()
    assert (answer.status, answer.code) == (200, "A00005")


async def test_a_database_that_is_away_is_503_for_upload_only(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await server.open(SIZE)

    def away(*_: object) -> None:
        raise Unavailable("The database does not answer; try again in a moment.")

    with monkeypatch.context() as patch:
        patch.setattr(server.services.database, "connection", away)
        answer = await server.send(file_id, f"0-{SIZE - 1}", CONTENT)
        assert (answer.status, answer.code) == (503, "Q00001")
        target = "/openupload" + query(access_token=server.token, filesize=5, filetype="mp4")
        answer = await server.call("GET", target)
        assert (answer.status, answer.code) == (200, "Q00001")
    assert is_whole(await server.send(file_id, f"0-{SIZE - 1}", CONTENT))


async def test_a_fault_of_ours_is_an_envelope_too(server: UploadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(server.services.database, "connection", broken)
    for target, status in (("/upload", 503), ("/openupload", 200)):
        headers = [("file_id", "0" * 32), ("range", "0-2"), ("access_token", server.token)]
        answer = await server.call("POST", target, headers, b"abc")
        assert (answer.status, answer.code) == (status, "Q00001")
        assert b"secret" not in answer.body


async def test_many_clients_at_once_on_one_file(server: UploadServer) -> None:
    file_id = await server.open(SIZE)
    step = 100_000
    spans = [(at, min(at + step, SIZE)) for at in range(0, SIZE, step)]
    spans += spans[::3] + [(at + 50_000, at + 150_000) for at in range(0, SIZE - step, 7 * step)]
    random.Random(3).shuffle(spans)
    limit = asyncio.Semaphore(8)

    async def one(start: int, end: int, multi: bool) -> str:
        async with limit:
            if not multi:
                return (await server.send(file_id, f"{start}-{end - 1}", CONTENT[start:end])).code
            fields = [("file_id", file_id), ("range", f"{start}-{end if end < SIZE else end - 1}")]
            return (await server.call("POST", "/upload", fields, multipart(("file", CONTENT[start:end])))).code

    codes = await asyncio.gather(*(one(*span, number % 2 == 0) for number, span in enumerate(spans)))
    assert set(codes) == {"A00000"}
    assert server.content(file_id) == CONTENT
    assert (await server.status(file_id))["missing"] == []
