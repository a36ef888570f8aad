"""What the folder store promises besides: durability, no half objects, clear words when the disk is full."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openstage.settings import Settings
from openstage.storage.errors import StorageFull, StorageUnavailable
from openstage.storage.folder import FolderStore, replacing
from openstage.storage.objects import open_store, store_at
from openstage.storage.space import free_bytes, require_space

MIB = 1024**2


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def test_an_object_is_a_file_that_others_may_serve(store: FolderStore, tmp_path: Path) -> None:
    assert store.local_path("works/a/1.mp4") == tmp_path / "objects" / "works" / "a" / "1.mp4"


async def test_a_file_on_the_same_disk_is_moved_not_copied(store: FolderStore, tmp_path: Path) -> None:
    path = tmp_path / "staged"
    path.write_bytes(b"x" * 1000)
    before = path.stat().st_ino
    await store.move_file("works/a/original", path)
    moved = store.local_path("works/a/original")
    assert moved is not None
    assert moved.stat().st_ino == before


@pytest.mark.skipif(
    not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == Path("/tmp").stat().st_dev,
    reason="needs two disks",
)
async def test_a_file_on_another_disk_is_copied_then_removed(store: FolderStore) -> None:
    path = Path(f"/dev/shm/openstage-test-{os.getpid()}")
    path.write_bytes(b"y" * 3 * MIB)
    try:
        await store.move_file("works/a/original", path)
        assert not path.exists()
        assert await store.get("works/a/original") == b"y" * 3 * MIB
    finally:
        path.unlink(missing_ok=True)


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record what is made durable, and renames, in their order."""
    events: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(f"sync {'folder' if path.is_dir() else 'file'} {path.name}")
        real_fsync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        events.append(f"rename to {target.name}")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    return events


async def test_bytes_are_durable_before_the_name_and_the_name_before_we_return(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events = synced(monkeypatch)
    await store.put("works/a/original", b"x")
    assert events[0].startswith("sync file")
    assert events[1:] == ["sync folder objects", "sync folder works", "rename to original", "sync folder a"]
    events.clear()
    (tmp_path / "staged").write_bytes(b"y")
    await store.move_file("works/a/moved", tmp_path / "staged")
    assert events == ["sync file staged", "rename to moved", "sync folder a"]


async def test_emptied_folders_do_not_stay(store: FolderStore, tmp_path: Path) -> None:
    await store.put("works/a/run/hls/1/00000.m4s", b"x")
    await store.put("works/b/original", b"x")
    await store.delete(["works/a/run/hls/1/00000.m4s"])
    assert not (tmp_path / "objects" / "works" / "a").exists()
    await store.delete_prefix("works/b")
    assert not (tmp_path / "objects" / "works").exists()


KILLED = """
import asyncio, os, sys
from pathlib import Path
from openstage.storage.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
real = os.fsync
def fsync(descriptor):
    print("written", flush=True)
    sys.stdin.read()
os.fsync = fsync
asyncio.run(store.put("works/a/original", b"x" * 5_000_000))
"""


async def test_a_writer_that_is_killed_leaves_no_object(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    remains = [path for path in folder.rglob("*") if path.is_file()]
    assert len(remains) == 1
    assert await FolderStore(folder).list() == []
    assert remains[0].exists(), "a young file may belong to another process"
    os.utime(remains[0], (0, 0))
    FolderStore(folder)
    assert not remains[0].exists()


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full. `/dev/full` is Linux's own disk without room; every write to it fails with ENOSPC."""
    monkeypatch.setattr(Path, "write_bytes", lambda _, data: os.write(os.open("/dev/full", os.O_WRONLY), data))
    monkeypatch.setattr("shutil.copyfile", lambda *_: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))


async def test_a_full_disk_is_told_and_nothing_half_stays(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await store.put("key", b"old")
    (tmp_path / "file").touch()
    with monkeypatch.context() as patch:
        full_disk(patch)
        with pytest.raises(StorageFull):
            await store.put("key", b"new")
        with pytest.raises(StorageFull):
            await store.put_file("key", tmp_path / "file")
    assert await store.get("key") == b"old"
    assert list((tmp_path / "objects" / ".incoming").iterdir()) == []


def test_a_replaced_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(StorageFull), replacing(path) as part:
        os.write(os.open("/dev/full", os.O_WRONLY), part.write_bytes(b"half").to_bytes())
    assert path.read_bytes() == b"old"
    with replacing(path) as part:
        part.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


async def test_a_folder_that_went_away_fails_its_check(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "objects").rename(tmp_path / "unmounted")
    with pytest.raises(StorageUnavailable):
        await store.check()


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="file"):
        FolderStore(tmp_path / "file" / "objects")


def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    assert open_store(Settings(data=tmp_path)).address == str(tmp_path / "objects")
    url = f"file://{tmp_path}/other%20folder"
    assert open_store(Settings(data=tmp_path, storage_url=url)).address == f"{tmp_path}/other folder"
    assert open_store(Settings(data=tmp_path, storage_url="memory://")).local_path("x") is None
    for odd in ("nonsense", "ftp://x/y", "s3://"):
        with pytest.raises(StorageUnavailable, match="storage URL"):
            store_at(odd)


def test_space_is_that_of_the_disk_on_which_the_folder_will_be(tmp_path: Path) -> None:
    free = free_bytes(tmp_path / "not" / "yet" / "there")
    disk = os.statvfs(tmp_path)
    assert abs(free - disk.f_bavail * disk.f_frsize) < 512 * MIB
    require_space(tmp_path, 1)
    with pytest.raises(StorageFull, match="needed"):
        require_space(tmp_path, free + 1024 * MIB)
    with pytest.raises(StorageFull, match="must stay free"):
        require_space(tmp_path, 0, reserve=free + 1024 * MIB)
