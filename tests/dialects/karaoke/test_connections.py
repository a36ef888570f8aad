"""Replies arrive, and connections stay, whatever a call does with its body."""

import asyncio

import pytest

from openstage.app import application
from openstage.settings import Settings
from tests.support.server import serving


@pytest.mark.parametrize(
    "path", ["/karaoke/user/v2/get_user_info", "/karaoke/user/v2/nothing", "/oauth/v2/nothing", "/play/nothing"]
)
async def test_a_reply_is_not_lost_when_the_body_comes_after_the_head(path: str, settings: Settings) -> None:
    body = b"x" * 3000
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(application(settings)) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        for _ in range(20):  # on one connection
            writer.write(head)
            await writer.drain()
            await asyncio.sleep(0)
            for start in range(0, len(body), 1000):
                writer.write(body[start : start + 1000])
                await writer.drain()
            reply = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = int(reply.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            assert b'"code":' in await reader.readexactly(length) or b"error_code" in reply
        writer.close()
        await writer.wait_closed()
