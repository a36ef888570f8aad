"""The backends of the object store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openstage.storage.objects import ObjectStore, store_at
from tests.storage.s3 import S3, store_in
from tests.support.server import serving


@dataclass
class Remote:
    """A store, and the S3 server behind it."""

    store: ObjectStore
    server: S3
    address: str


@pytest.fixture
async def remote(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Remote]:
    """A store in a bucket of a server that can be made to fail."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = S3()
    async with serving(server.app()) as address:
        yield Remote(store_in(address), server, address)


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """The store of each backend, empty."""
    if request.param == "folder":
        # Blanks and Chinese characters in the path are an operator's right.
        return store_at(f"file://{tmp_path}/对象 store")
    if request.param == "memory":
        return store_at("memory://")
    remote: Remote = request.getfixturevalue("remote")
    return remote.store
