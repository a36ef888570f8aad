"""The object store in a folder of this machine.

A file is written beside the objects, made durable, then renamed to its key: readers, and a start after a crash,
meet whole objects only. obstore's own local store renames too but leaves durability to chance, so this one is ours.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from pathlib import Path

from typing_extensions import override

from openstage.errors import DomainError
from openstage.storage.errors import InvalidKey, ObjectMissing, StorageFull, StorageUnavailable
from openstage.storage.port import ObjectStat, ObjectStore, check_key, check_prefix

PIECE = 256 * 1024
"""Bytes that `stream` reads at once: faster than 1 MiB, as they stay in the processor's cache, and a slow reader
holds less."""
_INCOMING = ".incoming"
_STALE = 24 * 3600
"""Seconds after which a file in `.incoming` can only be the remains of a crash."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ATTEMPTS = 5


class FolderStore(ObjectStore):
    """Objects as files below one folder, named by their keys."""

    def __init__(self, folder: Path) -> None:
        """Take a folder, which is made if it is missing, and sweep what a crash left behind.

        Raises:
            StorageUnavailable: the folder can't be made or written.

        """
        self.folder = folder
        self._what = f"The object folder {folder}"
        self._incoming = folder / _INCOMING
        with _errors(self._what, missing=StorageUnavailable):
            self._incoming.mkdir(parents=True, exist_ok=True)
            _sweep(self._incoming)

    @property
    @override
    def address(self) -> str:
        return str(self.folder)

    @override
    def local_path(self, key: str) -> Path | None:
        return self._path(key)

    @override
    async def put(self, key: str, data: bytes) -> None:
        target = self._path(key)
        await asyncio.to_thread(self._store, target, lambda path: path.write_bytes(data))

    @override
    async def put_file(self, key: str, path: Path) -> None:
        target = self._path(key)
        await asyncio.to_thread(self._copy, target, path)

    @override
    async def move_file(self, key: str, path: Path) -> None:
        target = self._path(key)
        await asyncio.to_thread(self._move, target, path)

    @override
    async def get(self, key: str) -> bytes:
        with _errors(key):
            return await asyncio.to_thread(self._path(key).read_bytes)

    @override
    async def stat(self, key: str) -> ObjectStat:
        # One system call, microseconds: a thread would cost more than it.
        with _errors(key):
            found = os.stat(self._path(key))  # noqa: PTH116
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(f"{key} does not exist.")
        return file_stat(found)

    @override
    async def read(self, key: str, start: int, length: int) -> bytes:
        with self._open(key) as descriptor:
            return await _piece(key, descriptor, length, start)

    @override
    async def stream(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        with self._open(key) as descriptor:
            end = start + length
            while start < end:
                piece = await _piece(key, descriptor, min(PIECE, end - start), start)
                if not piece:
                    raise ObjectMissing(f"The object {key} is shorter than its record says.")
                start += len(piece)
                yield piece

    @override
    async def download(self, key: str, path: Path) -> None:
        await asyncio.to_thread(self._download, key, path)

    @override
    async def delete(self, keys: Iterable[str]) -> None:
        paths = [self._path(key) for key in keys]
        await asyncio.to_thread(self._delete, paths)

    @override
    async def delete_prefix(self, prefix: str) -> None:
        if not check_prefix(prefix):
            raise InvalidKey("Deleting everything is not offered.")
        path = self._path(check_prefix(prefix))
        await asyncio.to_thread(self._delete_folder, path)

    @override
    async def list(self, prefix: str = "") -> list[str]:
        return list(await asyncio.to_thread(self._list, check_prefix(prefix)))

    @override
    async def check(self) -> None:
        with _errors(self._what, missing=StorageUnavailable):
            await asyncio.to_thread(_try_writing, self._incoming)

    def _path(self, key: str) -> Path:
        return self.folder / check_key(key)

    @contextlib.contextmanager
    def _open(self, key: str) -> Iterator[int]:
        # Opening takes microseconds: a thread would cost more than it.
        with _errors(key):
            descriptor = os.open(f"{self.folder}/{check_key(key)}", os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _store(self, target: Path, write: Callable[[Path], object]) -> None:
        """Let `write` fill a fresh file, make that durable, and rename it to `target`."""
        incoming = self._incoming / uuid.uuid4().hex
        try:
            with _errors(self._what, missing=StorageUnavailable):
                write(incoming)
            self._move(target, incoming)
        finally:
            with contextlib.suppress(OSError):
                incoming.unlink()

    def _copy(self, target: Path, source: Path) -> None:
        with source.open("rb"):  # a file that can't be read is the caller's error, not the store's
            self._store(target, lambda copy: shutil.copyfile(source, copy))

    def _move(self, target: Path, source: Path) -> None:
        sync_path(source)
        with _errors(self._what, missing=StorageUnavailable):
            try:
                self._rename(source, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                return
        self._copy(target, source)
        source.unlink()

    def _rename(self, source: Path, target: Path) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._make_folders(target.parent)
                source.rename(target)
                break
            except FileNotFoundError:
                # A deletion may prune the folder between our making it and the rename.
                if attempt == _ATTEMPTS - 1 or not source.exists():
                    raise
        sync_path(target.parent)

    def _make_folders(self, folder: Path) -> None:
        """Make `folder` and those above it, each durably entered in the one that holds it."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            sync_path(new.parent)

    def _download(self, key: str, path: Path) -> None:
        with _errors(key):
            source = self._path(key).open("rb")
        with source, replacing(path) as part, part.open("wb") as file:
            shutil.copyfileobj(source, file, PIECE)

    def _delete(self, paths: Sequence[Path]) -> None:
        with _errors(self._what, missing=StorageUnavailable):
            for path in paths:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    path.unlink()
            for folder in {path.parent for path in paths}:
                self._prune(folder)

    def _delete_folder(self, folder: Path) -> None:
        with _errors(self._what, missing=StorageUnavailable):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)
            self._prune(folder.parent)

    def _prune(self, folder: Path) -> None:
        """Remove `folder` and those above it as far as they are empty."""
        while folder != self.folder:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return
            folder = folder.parent

    def _list(self, prefix: str) -> Sequence[str]:
        with _errors(self._what, missing=StorageUnavailable):
            found = _files(self.folder / prefix)
            return sorted(str(path.relative_to(self.folder)) for path in found)


def file_stat(found: os.stat_result) -> ObjectStat:
    """Tell size and etag of a file: a rename to the same key brings a new inode or time."""
    return ObjectStat(size=found.st_size, etag=f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}")


def sync_path(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to be written, which takes its place, durably, when the block ends well.

    Raises:
        StorageFull: there is no room.
        StorageUnavailable: the file can't be written.

    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with _errors(str(path.parent), missing=StorageUnavailable):
            yield part
            sync_path(part)
            part.replace(path)
            sync_path(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def _errors(what: str, *, missing: type[DomainError] = ObjectMissing) -> Iterator[None]:
    """Turn what the operating system says of `what` into what we say."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise missing(f"{what} does not exist.") from error
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"The disk is full: {what} can't be written.") from error
        raise StorageUnavailable(f"{what}: {error.strerror or error}.") from error


async def _piece(key: str, descriptor: int, length: int, start: int) -> bytes:
    """Read up to `length` bytes; fewer at the end of the file.

    What lies in the page cache is read at once, which takes microseconds where a thread takes a hundred of them; for
    what doesn't, a thread waits for the disk. The last byte tells: files are read from front to back.
    """
    with _errors(key):
        try:
            os.preadv(descriptor, [bytearray(1)], start + max(length, 1) - 1, os.RWF_NOWAIT)
        except OSError:  # not cached (EAGAIN), or a file system that can't tell (EOPNOTSUPP)
            return await asyncio.to_thread(os.pread, descriptor, length, start)
        return os.pread(descriptor, length, start)


def _files(folder: Path) -> Iterator[Path]:
    """Walk the objects below `folder`, which may vanish meanwhile."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _sweep(incoming: Path) -> None:
    """Remove what writers that were killed left; younger files may belong to another process."""
    for path in incoming.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()


def _try_writing(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
