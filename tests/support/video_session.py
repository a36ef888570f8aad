"""A client of the video cloud that has authorised itself, for tests from the outside."""

from typing import Any

import httpx

from tests.support.openstage_server import OpenstageServer
from tests.support.waiting import wait_for

PUBLISH_SECONDS = 120


class Session:
    """A client that has authorised itself."""

    def __init__(self, server: OpenstageServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.address, timeout=60)
        credentials = server.create_app()
        reply = self.http.get(
            "/api/iqiyi/authorize",
            params={"client_id": credentials["client_id"], "client_secret": credentials["client_secret"]},
        )
        self.token: str = reply.json()["data"]["access_token"]

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, path: str, **parameters: str) -> Any:
        return self.http.get(path, params={"access_token": self.token, **parameters}).json()

    def describe(self, file_id: str) -> None:
        assert self.call("/api/file/info", file_id=file_id, file_name="A clip", description="d")["code"] == "A00000"

    def published(self, file_id: str) -> Any:
        """Wait until the video plays; returns `data` of its status."""

        def look() -> Any:
            reply = self.call("/api/file/fullStatus", file_id=file_id)
            assert reply["code"] in {"A00000", "A00001"}, reply
            return reply["data"] if reply["code"] == "A00000" else None

        return wait_for(look, within=PUBLISH_SECONDS, what="publication", every=0.1)

    def whole(self, file_id: str) -> Any:
        """Wait until everything has been made of the video; returns `data` of its status."""

        def look() -> Any:
            data = self.published(file_id)
            return data if data["percent"] == 100 else None

        return wait_for(look, within=PUBLISH_SECONDS, what="the whole ladder", every=0.1)
