"""What every object store promises, on each backend of the port."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from openstage.storage.errors import InvalidKey, ObjectMissing
from openstage.storage.objects import ObjectStat, ObjectStore

MIB = 1024**2


def a_file(folder: Path, size: int) -> Path:
    path = folder / "a file"
    path.write_bytes(os.urandom(size))
    return path


async def test_bytes_come_back_as_they_were_put(store: ObjectStore) -> None:
    await store.put("works/a/original", b"the bytes")
    assert await store.get("works/a/original") == b"the bytes"
    assert (await store.stat("works/a/original")).size == 9


async def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    await store.put("empty", b"")
    assert await store.get("empty") == b""
    assert (await store.stat("empty")).size == 0
    assert await store.read("empty", 0, 10) == b""


async def test_a_second_put_replaces_the_first_and_changes_the_etag(store: ObjectStore) -> None:
    await store.put("key", b"one")
    before = await store.stat("key")
    await store.put("key", b"two")
    assert await store.get("key") == b"two"
    after = await store.stat("key")
    assert after.etag != before.etag
    assert after == await store.stat("key") == ObjectStat(3, after.etag)
    assert '"' not in after.etag


async def test_a_big_file_is_stored_whole_and_stays_where_it_was(store: ObjectStore, tmp_path: Path) -> None:
    path = a_file(tmp_path, 21 * MIB + 7)
    await store.put_file("works/a/run/mp4/1.mp4", path)
    assert (await store.stat("works/a/run/mp4/1.mp4")).size == 21 * MIB + 7
    await store.download("works/a/run/mp4/1.mp4", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["a file", "copy"]


async def test_a_moved_file_is_gone_from_where_it_was(store: ObjectStore, tmp_path: Path) -> None:
    path = a_file(tmp_path, 1000)
    expected = path.read_bytes()
    await store.move_file("works/a/original", path)
    assert not path.exists()
    assert await store.get("works/a/original") == expected


async def test_a_source_that_is_missing_is_an_os_error(store: ObjectStore, tmp_path: Path) -> None:
    for call in (store.put_file, store.move_file):
        with pytest.raises(FileNotFoundError):
            await call("key", tmp_path / "nowhere")
    assert await store.list() == []


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 3, b"abc"), (3, 4, b"defg"), (5, 100, b"fghij"), (9, 1, b"j"), (10, 5, b""), (50, 5, b""), (2, 0, b"")],
)
async def test_a_range_ends_with_the_object(store: ObjectStore, start: int, length: int, expected: bytes) -> None:
    await store.put("key", b"abcdefghij")
    assert await store.read("key", start, length) == expected


async def test_a_stream_gives_a_range_in_pieces(store: ObjectStore, tmp_path: Path) -> None:
    path = a_file(tmp_path, 10 * MIB)
    await store.put_file("key", path)
    pieces = [piece async for piece in store.stream("key", 5, 9 * MIB)]
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= 4 * MIB
    assert b"".join(pieces) == path.read_bytes()[5 : 5 + 9 * MIB]


async def test_a_stream_can_be_left_early(store: ObjectStore, tmp_path: Path) -> None:
    await store.put_file("key", a_file(tmp_path, 10 * MIB))
    before = len(list(Path("/proc/self/fd").iterdir()))
    async with aclosing(store.stream("key", 0, 10 * MIB)) as pieces:
        async for _ in pieces:
            break
    # Connections that the store keeps for the next request were there before the stream was.
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert [task for task in asyncio.all_tasks() if "_range" in repr(task) and not task.cancelling()] == []


async def test_a_stream_of_more_than_there_is_says_so(store: ObjectStore) -> None:
    await store.put("key", b"short")
    with pytest.raises(ObjectMissing):
        _ = [piece async for piece in store.stream("key", 0, 6)]


async def test_what_is_missing_is_missing(store: ObjectStore, tmp_path: Path) -> None:
    await store.put("works/a/original", b"x")
    for key in ("works/b/original", "works/a", "works/a/original/more"):
        with pytest.raises(ObjectMissing):
            await store.get(key)
        with pytest.raises(ObjectMissing):
            await store.stat(key)
        with pytest.raises(ObjectMissing):
            await store.read(key, 0, 1)
        with pytest.raises(ObjectMissing):
            await store.download(key, tmp_path / "copy")
        with pytest.raises(ObjectMissing):
            _ = [piece async for piece in store.stream(key, 0, 1)]
    assert list(tmp_path.glob("**/*.part")) == []
    assert not (tmp_path / "copy").exists()


async def test_listing_goes_by_whole_parts_of_keys(store: ObjectStore) -> None:
    for key in ("works/ab/1", "works/ab/2/3", "works/abc/1", "other"):
        await store.put(key, b"x")
    assert await store.list("works/ab") == ["works/ab/1", "works/ab/2/3"]
    assert await store.list("works/ab/") == ["works/ab/1", "works/ab/2/3"]
    assert await store.list() == ["other", "works/ab/1", "works/ab/2/3", "works/abc/1"]
    assert await store.list("nothing") == []


async def test_deleting_removes_what_is_named_and_bears_what_is_missing(store: ObjectStore) -> None:
    for key in ("works/a/1", "works/a/2", "works/b/1"):
        await store.put(key, b"x")
    await store.delete(["works/a/1", "works/a/never", "nothing/at/all"])
    await store.delete([])
    assert await store.list() == ["works/a/2", "works/b/1"]


async def test_deleting_a_prefix_spares_its_neighbours(store: ObjectStore) -> None:
    for key in ("works/ab/1", "works/ab/2/3", "works/abc/1"):
        await store.put(key, b"x")
    await store.delete_prefix("works/ab/")
    await store.delete_prefix("works/ab")
    assert await store.list() == ["works/abc/1"]
    with pytest.raises(InvalidKey):
        await store.delete_prefix("")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        ".incoming/x",
        "a\x00b",
        "a\\b",
        "é",
        "a b",
        "a?b",
        "x" * 2000,
        "a/" * 600 + "b",
    ],
)
async def test_only_keys_of_ours_are_taken(store: ObjectStore, key: str, tmp_path: Path) -> None:
    path = a_file(tmp_path, 1)
    with pytest.raises(InvalidKey):
        await store.put(key, b"x")
    with pytest.raises(InvalidKey):
        await store.put_file(key, path)
    with pytest.raises(InvalidKey):
        await store.move_file(key, path)
    with pytest.raises(InvalidKey):
        await store.get(key)
    with pytest.raises(InvalidKey):
        await store.stat(key)
    with pytest.raises(InvalidKey):
        await store.delete([key])
    with pytest.raises(InvalidKey):
        store.local_path(key)
    assert path.exists()


async def test_a_store_that_answers_passes_its_check(store: ObjectStore) -> None:
    await store.check()
