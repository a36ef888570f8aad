"""The object store behind a URL: S3 and what speaks like it, Google Cloud Storage, Azure, or memory for tests."""

import asyncio
import contextlib
import functools
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import obstore
from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url
from typing_extensions import override

from openstage.storage.errors import InvalidKey, ObjectMissing, StorageFull, StorageUnavailable
from openstage.storage.folder import replacing
from openstage.storage.port import ObjectStat, ObjectStore, check_key, check_prefix

if TYPE_CHECKING:  # obstore gives these names to type checkers only
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Store

T = TypeVar("T")

MIB = 1024**2
PIECE = 4 * MIB
"""Bytes of one ranged request; a stream holds two such pieces: the one that is sent and the next."""
PART = 8 * MIB
"""Bytes of one part of a multipart upload (S3 wants at least 5 MiB)."""
_MOST_PARTS = 9_000
"""S3 takes 10,000 parts."""
_PARTS_AT_ONCE = 4
_CALLS_AT_ONCE = 32
_DELETED_AT_ONCE = 1_000
_RETRIES: "RetryConfig" = {
    "max_retries": 6,
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=4), "base": 2},
    # A player or an uploading client waits meanwhile: longer than this it would give up before we do.
    "retry_timeout": timedelta(seconds=20),
}
_OPTIONS = {"endpoint", "region", "virtual_hosted_style_request", "allow_http", "skip_signature"}
_FULL = ("StorageFull", "QuotaExceeded", "InsufficientStorage", "Insufficient Storage", "EntityTooLarge")


class RemoteStore(ObjectStore):
    """Objects in a bucket. Credentials come from the environment, as the provider's own tools take them."""

    def __init__(self, url: str, *, retries: "RetryConfig" = _RETRIES) -> None:
        """Take a URL such as `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-1`.

        Args:
            url: bucket and prefix; `endpoint`, `region`, `virtual_hosted_style_request`, `allow_http` and
                `skip_signature` may follow as its query.
            retries: how stubborn a single request is.

        Raises:
            StorageUnavailable: the URL can't be understood.

        """
        parts = urlsplit(url)
        options: dict[str, Any] = {name: value for name, value in parse_qsl(parts.query) if name in _OPTIONS}
        client: ClientConfig = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)}
        if options.pop("allow_http", "") in {"1", "true"} or options.get("endpoint", "").startswith("http://"):
            client["allow_http"] = True
        self._threads = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="objects")
        self._address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
        try:
            if parts.scheme == "memory":
                self._store = from_url("memory:///")
            else:
                self._store = from_url(
                    urlunsplit(parts._replace(query="", fragment="")),
                    client_options=client,
                    retry_config=retries,
                    **options,
                )
        except (BaseError, ValueError) as error:
            raise StorageUnavailable(f"The storage URL {self._address} can't be used: {error}") from error

    @property
    @override
    def address(self) -> str:
        return self._address

    @override
    def local_path(self, key: str) -> Path | None:
        check_key(key)
        return None

    @override
    async def put(self, key: str, data: bytes) -> None:
        with self._errors(key):
            await self._run(obstore.put, check_key(key), data, use_multipart=False)

    @override
    async def put_file(self, key: str, path: Path) -> None:
        check_key(key)
        with path.open("rb"):  # a file that can't be read is the caller's error, not the store's
            size = path.stat().st_size  # noqa: ASYNC240
        with self._errors(key):
            await self._run(
                obstore.put,
                key,
                path,
                use_multipart=size > PART,
                chunk_size=max(PART, math.ceil(size / _MOST_PARTS)),
                max_concurrency=_PARTS_AT_ONCE,
            )

    @override
    async def move_file(self, key: str, path: Path) -> None:
        await self.put_file(key, path)
        path.unlink()  # noqa: ASYNC240

    @override
    async def get(self, key: str) -> bytes:
        with self._errors(key):
            return await self._run(_read_all, check_key(key))

    @override
    async def stat(self, key: str) -> ObjectStat:
        with self._errors(key):
            found = await self._run(obstore.head, check_key(key))
        etag = found["e_tag"] or f"{found['last_modified'].timestamp():.6f}-{found['size']:x}"
        return ObjectStat(size=found["size"], etag=etag.removeprefix("W/").strip('"'))

    @override
    async def read(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            return await self._range(key, start, length)
        except StorageUnavailable:
            # A range that begins at the end or after it is an error of the store; only the size tells it from others.
            if start < (await self.stat(key)).size:
                raise
            return b""

    @override
    async def stream(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        check_key(key)
        end = start + length
        offsets = range(start, end, PIECE)
        ahead: asyncio.Task[bytes] | None = None
        try:
            for offset in offsets:
                wanted = min(PIECE, end - offset)
                piece = await ahead if ahead else await self._range(key, offset, wanted)
                ahead = None
                if len(piece) != wanted:
                    raise ObjectMissing(f"The object {key} is shorter than its record says.")
                following = offset + PIECE
                if following < end:
                    ahead = asyncio.create_task(self._range(key, following, min(PIECE, end - following)))
                yield piece
        finally:
            if ahead:
                ahead.cancel()

    @override
    async def download(self, key: str, path: Path) -> None:
        size = (await self.stat(key)).size
        with replacing(path) as part, part.open("wb") as file:
            async with contextlib.aclosing(self.stream(key, 0, size)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)

    @override
    async def delete(self, keys: Iterable[str]) -> None:
        wanted = [check_key(key) for key in keys]
        for first in range(0, len(wanted), _DELETED_AT_ONCE):
            await self._delete(wanted[first : first + _DELETED_AT_ONCE])

    @override
    async def delete_prefix(self, prefix: str) -> None:
        if not check_prefix(prefix):
            raise InvalidKey("Deleting everything is not offered.")
        await self.delete(await self.list(prefix))

    @override
    async def list(self, prefix: str = "") -> list[str]:
        with self._errors(prefix):
            return sorted(await self._run(_list_all, check_prefix(prefix) or None))

    @override
    async def check(self) -> None:
        try:
            await self.list("check")
        except ObjectMissing as error:
            raise StorageUnavailable(f"The bucket of {self._address} does not exist.") from error

    async def _range(self, key: str, start: int, length: int) -> bytes:
        with self._errors(key):
            return bytes(await self._run(obstore.get_range, check_key(key), start=start, length=length))

    async def _delete(self, keys: Sequence[str]) -> None:
        try:
            with self._errors("delete"):
                await self._run(obstore.delete, keys)
        except ObjectMissing:
            # Some stores stop at the first missing object of a batch: then one by one.
            for key in keys:
                with contextlib.suppress(ObjectMissing), self._errors(key):
                    await self._run(obstore.delete, key)

    async def _run(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run one of obstore's blocking calls, which let go of the interpreter, in a thread of ours.

        Its asynchronous ones answer from threads of their own; now and then one of those comes too late and kills a
        process that is about to end (SIGABRT, seen with obstore 0.12 on CPython 3.11).
        """
        called = functools.partial(call, self._store, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self._threads, called)

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn what obstore raises into what we raise."""
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(f"There is no object {key} in {self._address}.") from error
        except InvalidPathError as error:
            raise InvalidKey(f"{key[:80]!r} is not an object key.") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StorageUnavailable(f"The store {self._address} refuses our credentials.") from error
        except (BaseError, OSError) as error:
            text = str(error)
            if any(word in text for word in _FULL):
                raise StorageFull(f"The store {self._address} has no room left.") from error
            raise StorageUnavailable(f"The store {self._address} does not answer: {text.splitlines()[0]}") from error


def _read_all(store: "Store", key: str) -> bytes:
    return bytes(obstore.get(store, key).bytes())


def _list_all(store: "Store", prefix: str | None) -> list[str]:
    return [entry["path"] for page in obstore.list(store, prefix, chunk_size=1000) for entry in page]
