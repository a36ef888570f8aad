"""What the store behind a URL promises besides: patience with faults, bounded parts, clear words."""

import os
from pathlib import Path

import pytest

from openstage.storage.errors import StorageFull, StorageUnavailable
from openstage.storage.objects import store_at
from openstage.storage.remote import RemoteStore
from tests.storage.conftest import Remote
from tests.support.server import free_port

MIB = 1024**2


def impatient(address: str, bucket: str = "tests") -> RemoteStore:
    return RemoteStore(f"s3://{bucket}/p?endpoint={address}&region=us-east-1", retries={"max_retries": 1})


async def test_passing_faults_are_ridden_out(remote: Remote) -> None:
    remote.server.faults = [500, 503]
    await remote.store.put("key", b"bytes")
    remote.server.faults = [503, 500]
    assert await remote.store.get("key") == b"bytes"


async def test_big_files_go_in_parts_and_a_part_is_sent_again(remote: Remote, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(30 * MIB))
    remote.server.faults = [503, 500]
    await remote.store.put_file("works/a/original", path)
    (stored,) = remote.server.objects.values()
    assert stored == path.read_bytes()
    assert remote.server.largest_part == 8 * MIB
    assert remote.server.uploads == {}


async def test_a_store_that_fails_for_good_is_unavailable_and_the_file_stays(remote: Remote, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 20 * MIB)
    store = impatient(remote.address)
    remote.server.faults = [500] * 100
    with pytest.raises(StorageUnavailable):
        await store.move_file("key", path)
    assert path.exists()
    remote.server.faults = []
    await store.move_file("key", path)
    assert not path.exists()
    assert len(await store.get("key")) == 20 * MIB


async def test_a_store_without_room_is_full(remote: Remote) -> None:
    remote.server.full = True
    with pytest.raises(StorageFull):
        await impatient(remote.address).put("key", b"x")


async def test_nobody_there_is_unavailable(remote: Remote) -> None:
    store = impatient(f"http://127.0.0.1:{free_port()}")
    for call in (store.get("key"), store.stat("key"), store.list(), store.check(), store.put("key", b"x")):
        with pytest.raises(StorageUnavailable) as caught:
            await call
        assert "s3://tests/p" in caught.value.message


async def test_a_bucket_that_does_not_exist_fails_the_check(remote: Remote) -> None:
    with pytest.raises(StorageUnavailable):
        await impatient(remote.address, bucket="nowhere").check()


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_named(remote: Remote, status: int) -> None:
    remote.server.faults = [status]
    with pytest.raises(StorageUnavailable, match="credentials"):
        await remote.store.get("key")


def test_addresses_hold_no_secrets() -> None:
    store = store_at("s3://user:secret@bucket/prefix?endpoint=http://127.0.0.1:1&region=x&aws_secret_access_key=secret")
    assert store.address == "s3://bucket/prefix"
