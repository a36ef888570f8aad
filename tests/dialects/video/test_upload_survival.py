"""`kill -9` in the middle, thousands of sessions, gigabytes: what is acknowledged is kept, and memory stays flat."""

import asyncio
import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from openstage.settings import Settings
from tests.support.server import ServerProcess, server_process
from tests.uploads.application import upload_services
from tests.uploads.wire import Answer, Exchange, call, query

MIB = 1024**2
SIZE = 8 * MIB
STEP = 300_000
CONTENT = random.Random(5).randbytes(SIZE)


@pytest.fixture
async def token(settings: Settings) -> str:
    async with upload_services(settings) as services:
        return await services.token()


@contextmanager
def started(settings: Settings, folder: Path) -> Iterator[ServerProcess]:
    env = {"OPENSTAGE_DATA": str(settings.data), "OPENSTAGE_DATABASE_URL": settings.database_url}
    options = ("--http", "1", "--http1-buffer-size", str(MIB))
    with server_process("tests.uploads.application:create_app", folder=folder, env=env, options=options) as server:
        yield server


async def open_upload(address: str, token: str, size: int) -> str:
    answer = await call(address, "GET", "/openupload" + query(access_token=token, filesize=size, filetype="mp4"))
    return str(answer.json["data"]["file_id"])


async def send(address: str, file_id: str, start: int, data: bytes) -> Answer:
    headers = [("file_id", file_id), ("range", f"{start}-{start + len(data) - 1}")]
    return await call(address, "POST", "/upload", headers, data)


def server_of(process: ServerProcess) -> psutil.Process:
    """The process that serves, which the supervising one started."""
    children: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return max(children, key=lambda child: child.memory_info().rss)


def handles_of(process: psutil.Process) -> int:
    """What a process holds open, but for connections to the database: their pool grows and shrinks by itself."""
    return int(process.num_fds()) - len(process.net_connections("unix"))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
async def test_every_acknowledged_piece_outlives_kill_9(
    settings: Settings, token: str, tmp_path: Path, seed: int
) -> None:
    rest = [(at, min(at + STEP, SIZE)) for at in range(0, SIZE, STEP)]
    random.Random(seed).shuffle(rest)
    acknowledged: set[tuple[int, int]] = set()
    with started(settings, tmp_path) as server:
        file_id = await open_upload(server.address, token, SIZE)

        async def sender() -> None:
            while rest:
                start, end = rest.pop()
                if (await send(server.address, file_id, start, CONTENT[start:end])).code == "A00000":
                    acknowledged.add((start, end))
                    if len(acknowledged) == 5 + 3 * seed:
                        server.kill()

        stuck = await Exchange.begin(
            server.address, "POST", "/upload", [("file_id", file_id), ("range", f"0-{SIZE - 1}")], length=SIZE
        )
        outcomes = await asyncio.gather(*(sender() for _ in range(3)), return_exceptions=True)
        assert any(isinstance(outcome, Exception) for outcome in outcomes)
        stuck.drop()
    with started(settings, tmp_path) as server:
        status = await call(server.address, "GET", "/uploadstatus" + query(access_token=token, file_id=file_id))
        data = status.json["data"]
        missing = {at for start, end in data["missing"] for at in range(start, end + 1, STEP)}
        assert acknowledged
        assert not missing & {start for start, _ in acknowledged}
        for start, end in data["missing"]:
            for at in range(start, end + 1, STEP):
                piece = CONTENT[at : min(at + STEP, end + 1)]
                assert (await send(server.address, file_id, at, piece)).code == "A00000"
        finish = "/uploadfinish" + query(access_token=token, file_id=file_id, range_finished="true")
        assert (await call(server.address, "POST", finish)).code == "A00000"
    received = (settings.staging_folder / file_id).read_bytes()
    assert hashlib.md5(received).digest() == hashlib.md5(CONTENT).digest()


async def zeros(exchange: Exchange, length: int) -> None:
    block = bytes(MIB)
    for at in range(0, length, MIB):
        await exchange.send(block[: length - at])


async def test_gigabytes_and_many_sessions_leave_memory_and_files_flat(
    settings: Settings, token: str, tmp_path: Path
) -> None:
    with started(settings, tmp_path) as server:
        process = server_of(server)
        size = 32 * MIB

        async def upload() -> None:
            file_id = await open_upload(server.address, token, size)
            headers = [("file_id", file_id), ("range", f"0-{size - 1}")]
            exchange = await Exchange.begin(server.address, "POST", "/upload", headers, length=size)
            await zeros(exchange, size)
            assert (await exchange.answer()).code == "A00000"
            (settings.staging_folder / file_id).unlink()

        await asyncio.gather(*(upload() for _ in range(4)))
        memory, handles = process.memory_info().rss, handles_of(process)
        await asyncio.gather(*(upload() for _ in range(4)))
        limit = asyncio.Semaphore(8)

        async def session() -> None:
            async with limit:
                file_id = await open_upload(server.address, token, 10 * 1024**3)
                assert (await send(server.address, file_id, 5, b"abc")).code == "A00000"

        await asyncio.gather(*(session() for _ in range(200)))
        assert process.memory_info().rss - memory < 20 * MIB
        assert process.memory_info().rss < 200 * MIB
        assert handles_of(process) <= handles + 4


async def test_stalled_senders_cost_no_more_than_their_batches(settings: Settings, token: str, tmp_path: Path) -> None:
    with started(settings, tmp_path) as server:
        process = server_of(server)
        file_id = await open_upload(server.address, token, 10 * 1024**3)
        memory = process.memory_info().rss
        stalled = []
        for number in range(10):
            start = number * 64 * MIB
            headers = [("file_id", file_id), ("range", f"{start}-{start + 64 * MIB - 1}")]
            exchange = await Exchange.begin(server.address, "POST", "/upload", headers, length=64 * MIB)
            await zeros(exchange, 10 * MIB)
            stalled.append(exchange)
        assert process.memory_info().rss - memory < 10 * 3 * MIB
        for exchange in stalled:
            exchange.drop()
        answer = await call(server.address, "GET", "/uploadstatus" + query(access_token=token, file_id=file_id))
        assert json.loads(answer.body)["data"]["received"] == []
