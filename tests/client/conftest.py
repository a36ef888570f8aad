"""Fixtures of the client's tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openstage.client import AsyncVideoCloud, Retry, VideoCloud
from tests.client.fake_cloud import FakeCloud, serving_cloud

FAST = Retry(attempts=4, first_delay=0.001, longest_delay=0.01)
PIECE = 10_000


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep records of uploads out of the developer's home."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "openstage" / "uploads"


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    """A foreign server: the document and nothing more."""
    with serving_cloud() as cloud:
        yield cloud


@pytest.fixture
def fake_with_status() -> Iterator[FakeCloud]:
    """A server that also tells what it has received."""
    with serving_cloud(status_call=True) as cloud:
        yield cloud


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file of several pieces and a rest, with a name as people have them."""
    path = tmp_path / "假期 film (1).mp4"
    path.write_bytes(content_of(5 * PIECE + 1234))
    return path


def content_of(size: int) -> bytes:
    """Bytes that differ from place to place."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def client(fake: FakeCloud, **options: Any) -> VideoCloud:
    """A client of a fake cloud that loses no time."""
    return VideoCloud("app", "s3cret-of-app", fake.address, **{"retry": FAST, "timeout": 5.0, **options})


def async_client(fake: FakeCloud, **options: Any) -> AsyncVideoCloud:
    """Like `client`, for asyncio."""
    return AsyncVideoCloud("app", "s3cret-of-app", fake.address, **{"retry": FAST, "timeout": 5.0, **options})
