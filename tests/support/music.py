"""A running server of the music dialect, and an app that calls it with requests signed as the document says."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from openstage.storage.objects import ObjectStore
from tests.licensing.shelf import Item, add_item
from tests.licensing.shop import Customer, Shop

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(fields: Mapping[str, Any], client_id: str, secret: str, *, nonce: int | str | None = None) -> str:
    """A query with its signature, as PHP's http_build_query and md5 make it."""
    parameters = {name: str(value) for name, value in fields.items()}
    parameters |= {"client_id": client_id, "nonce_str": str(int(time.time()) if nonce is None else nonce)}
    return with_sign(urlencode(sorted(parameters.items())), secret)


def with_sign(query: str, secret: str) -> str:
    """A query as it is, with the signature of just this text."""
    return f"{query}&sign={hashlib.md5(f'{query}&client_secret={secret}'.encode()).hexdigest()}"


@dataclass
class MusicServer:
    """A running server, and its database and files to look behind."""

    address: str
    http: httpx.AsyncClient
    shop: Shop
    store: ObjectStore

    async def app(self, name: str = "A film maker") -> "App":
        """A new app."""
        made = await self.shop.apps.create(name)
        app_id = (await self.shop.apps.find(made.client_id)).id
        return App(self, Customer(app_id, made.client_id), made.client_secret)

    async def item(self, **more: Any) -> Item:
        """A new track that can be bought."""
        return await add_item(self.shop.database, self.store, **more)


@dataclass
class App:
    """An app that calls the server."""

    server: MusicServer
    customer: Customer
    secret: str = field(repr=False)

    async def reply(self, call: str, *, method: str = "GET", nonce: int | None = None, **fields: Any) -> httpx.Response:
        """The reply to a signed call."""
        query = signed(fields, self.customer.client_id, self.secret, nonce=nonce)
        return await self.send(f"/plus/audio/{call}", query, method=method)

    async def send(self, path: str, query: str, *, method: str = "GET") -> httpx.Response:
        """Send a query as it stands: behind the path, or as a form."""
        http = self.server.http
        if method == "GET":
            return await http.get(f"{path}?{query}")
        return await http.post(path, content=query, headers=FORM)

    async def get(self, call: str, **fields: Any) -> Any:
        """`data` of a call that does what was asked."""
        return data_of(await self.reply(call, **fields))

    async def buy(self, item: Item, warrant_name: str = "广州汽车集团股份有限公司", **fields: Any) -> Any:
        """`data` of a purchase."""
        fields = {"audio_id": item.audio_id, "permission_id": item.offer_id, "warrant_name": warrant_name, **fields}
        return data_of(await self.reply("purchase", method="POST", **fields))

    async def code(self, call: str, *, method: str = "GET", **fields: Any) -> int:
        """The code of a call that fails."""
        return code_of(await self.reply(call, method=method, **fields))

    async def purchases(self) -> int:
        """How many purchases the app has made."""
        return await self.server.shop.purchases(self.customer)


def data_of(reply: httpx.Response) -> Any:
    """What a successful reply holds; the envelope is the documented one."""
    envelope = reply.json()
    assert reply.status_code == 200
    assert set(envelope) == {"result", "data"}, envelope
    assert envelope["result"] is True
    return envelope["data"]


def code_of(reply: httpx.Response) -> int:
    """The code of a failure, in the documented envelope."""
    return failure_of(reply)["code"]  # type: ignore[no-any-return]


def failure_of(reply: httpx.Response) -> dict[str, Any]:
    """A failure: HTTP 200, the documented fields and types, a message that says something."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    envelope: dict[str, Any] = reply.json()
    assert set(envelope) == {"result", "message", "code"}, envelope
    assert envelope["result"] is False
    assert isinstance(envelope["code"], int)
    assert len(envelope["message"]) > 10
    assert "Traceback" not in envelope["message"]
    return envelope
