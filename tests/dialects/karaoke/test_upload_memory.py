"""Large recordings are streamed: a real server process takes them without growing."""

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import psutil
import pytest

from tests.dialects.karaoke.conftest import SAMPLE, UPLOAD
from tests.support.openstage_server import OpenstageServer

MIB = 1024**2
GROWTH = 16 * MIB
"""What a server may grow by while it takes a file of any size: buffers, and what Python keeps of them."""


@dataclass
class Taken:
    """What an upload was answered, and what the server's processes grew by meanwhile."""

    code: int
    ugc_id: str
    growth: int
    seconds: float


def headers_of(openstage: OpenstageServer) -> dict[str, str]:
    app = openstage.create_app("A device with long songs")
    query = {"client_id": app["client_id"], "client_secret": app["client_secret"], "uid": "singer"}
    pair = httpx.get(f"{openstage.address}/api/person/authorize", params=query).json()["data"]
    return {
        "X-Open-Access-Token": pair["access_token"],
        "X-Open-App-ID": app["client_id"],
        "X-Open-ID": "singer",
        "Content-Type": "multipart/form-data; boundary=b7",
    }


async def body(size: int, fields: bytes) -> AsyncIterator[bytes]:
    """A WAV file of `size` bytes in front of its fields."""
    yield b'--b7\r\nContent-Disposition: form-data; name="ugc_file"; filename="a.wav"\r\n\r\n'
    yield b"RIFF" + struct.pack("<I", size - 8) + b"WAVE"
    yield b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 44100, 176400, 4, 16) + b"data" + struct.pack("<I", size - 44)
    left, samples = size - 44, bytes(range(256)) * 1024
    while left:
        yield samples[:left]
        left -= min(left, len(samples))
    yield b'\r\n--b7\r\nContent-Disposition: form-data; name="data"\r\n\r\n' + fields + b"\r\n--b7--\r\n"


async def upload(openstage: OpenstageServer, headers: dict[str, str], size: int) -> Taken:
    fields = json.dumps(SAMPLE | {"file_size": size, "file_name": "a.wav"}).encode()
    assert openstage.process is not None
    servers = psutil.Process(openstage.process.pid)
    processes = [servers, *servers.children(recursive=True)]
    before = {process.pid: process.memory_info().rss for process in processes}
    growth, done = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal growth
        while not done.is_set():
            for process in processes:
                if process.is_running():
                    growth = max(growth, process.memory_info().rss - before[process.pid])
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=openstage.address, timeout=120) as http:
        answer = (await http.post(UPLOAD, headers=headers, content=body(size, fields))).json()
        seconds = time.monotonic() - began
        done.set()
        await watching
        ugc_id = answer["data"].get("ugc_id", "")
        deleted = await http.post(
            "/karaoke/user/v2/del_user_work",
            headers=headers | {"Content-Type": "application/json"},
            json={"ugc_id": ugc_id},
        )
        assert deleted.json()["code"] == 0, deleted.text
    return Taken(answer["code"], ugc_id, growth, seconds)


@pytest.mark.parametrize("mebibytes", [64, pytest.param(500, marks=pytest.mark.slow)])
async def test_a_long_recording_costs_no_memory(openstage: OpenstageServer, mebibytes: int) -> None:
    headers = headers_of(openstage)
    await upload(openstage, headers, 4 * MIB)  # what grows once, grows now
    taken = await upload(openstage, headers, mebibytes * MIB)
    assert taken.code == 0
    assert taken.growth < GROWTH, f"{taken.growth / MIB:.1f} MiB in {taken.seconds:.1f} s"
