"""Whose address counts when a proxy stands between."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from openstage.proxied import Proxied


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("127.0.0.1", ["6.6.6.6", "203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("127.0.0.1", ["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [" , "], "127.0.0.1"),
        ("203.0.113.9", ["127.0.0.1"], "203.0.113.9"),
    ],
)
async def test_only_what_trusted_proxies_say_is_believed(peer: str, said: list[str], client: str) -> None:
    seen = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])

    async def nothing() -> Message:
        return {}

    async def nobody(message: Message) -> None:
        pass

    app = Proxied(inner, "127.0.0.0/8, ::1, 10.0.0.0/8")
    headers = [(b"x-forwarded-for", value.encode()) for value in said]
    await app({"type": "http", "client": (peer, 1), "headers": headers}, nothing, nobody)
    assert seen == [client]
