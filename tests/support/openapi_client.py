"""A client of the open API half of the video dialect, as they are written: everything in the query."""

from typing import Any

import httpx

from openstage.identity.models import AppCredentials

Reply = dict[str, Any]


class Client:
    """A client of one app."""

    def __init__(self, http: httpx.AsyncClient, credentials: AppCredentials) -> None:
        self.http = http
        self.credentials = credentials
        self.token = ""

    async def get(self, path: str, **parameters: object) -> Reply:
        reply = await self.http.get(path, params={name: str(value) for name, value in parameters.items()})
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/json"
        body: Reply = reply.json()
        return body

    async def call(self, path: str, **parameters: object) -> Reply:
        return await self.get(path, access_token=self.token, **parameters)


def vars_of(credentials: AppCredentials) -> dict[str, str]:
    return {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
