"""What can be done with uploads: open, receive pieces, ask, finish once, cancel, expire.

`open`, `finish`, `cancel` and `expire_due` are part of the caller's transaction, so that the work they belong to
changes with them; they keep the app's quota right themselves. Pieces are transactions of their own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from psycopg.types.multirange import Multirange

from openstage.database.engine import Connection, Database
from openstage.identity.errors import AppNotUsable
from openstage.identity.models import Caller
from openstage.identity.service import Identity
from openstage.settings import Settings
from openstage.storage.space import require_space
from openstage.uploads.errors import BadPiece, BadSize, MissingRanges, StagingLost, UnknownUpload
from openstage.uploads.incoming import Incoming, IncomingFiles
from openstage.uploads.leases import TAKEOVER_SECONDS, Lease, Leases
from openstage.uploads.models import PieceReceipt, Upload
from openstage.uploads.ranges import ByteRange
from openstage.uploads.staging import Buffer, PieceWriter, StagingFile

THREADS: Final = 16
"""Threads for digests and disk: more than cores, because a slow disk holds them."""
LONGEST_FILE_TYPE: Final = 64
"""Characters kept of what a client calls its file's type."""

MUCH_TO_COME: Final = 2**20
"""Bytes that must still be missing for it to be worth while to begin with what is there."""
LARGEST_POSITION: Final = 2**62
MOST_STRETCHES: Final = 4096
"""Separate stretches that what has been received may consist of: each piece after them costs all of them again, on the
disk too. Pieces in order, or in parallel, make a few; of 10 GiB in pieces of 1 MiB in random order there are 2,560."""

_COLUMNS: Final = "file_id, app_id, user_id, state, file_type, size, reserved, received, stored"


class Uploads:
    """The uploads whose staging files this process holds."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        identity: Identity,
        *,
        takeover: float = TAKEOVER_SECONDS,
        on_begun: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            database: where uploads are recorded.
            settings: folders and limits.
            identity: keeps the apps' quota.
            takeover: the silence in seconds after which a piece gives way to another for its range.
            on_begun: told an upload's file id when its first bytes are recorded and much is still to come: once, unless
                they are sent again. Pieces don't wait for it.

        """
        self._database = database
        self._settings = settings
        self._identity = identity
        self._leases = Leases(takeover)
        self._on_begun = on_begun
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="uploads")
        self._folder = settings.staging_folder
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.incoming = IncomingFiles(settings, self._pool)

    def close(self) -> None:
        """End the threads, once what they write is written."""
        self._pool.shutdown()

    def staging_path(self, file_id: str) -> Path:
        """Where the bytes of an upload lie until its original is stored."""
        if not _is_file_id(file_id):
            raise UnknownUpload
        return self._folder / file_id

    # --- sessions -----------------------------------------------------------------------------------------------
    async def open(
        self, connection: Connection, caller: Caller, *, file_id: str, file_type: str = "", size: int
    ) -> None:
        """Declare a file of `size` bytes that is going to be sent in pieces, and take its bytes from the app's quota.

        Raises:
            BadSize: negative, or beyond `settings.max_upload`.
            QuotaExceeded: the app has no room for it.
            StorageFull: the disk has no more than its reserve free.

        """
        if not 0 <= size <= self._settings.max_upload:
            raise BadSize(f"A file may have up to {self._settings.max_upload} bytes, not {size}.")
        require_space(self._folder, 0, reserve=self._settings.min_free)
        await self._identity.reserve(connection, caller.app_id, size)
        await connection.execute(
            """
            insert into upload (file_id, app_id, user_id, node, state, file_type, size, reserved)
            values (%(file_id)s, %(app)s, %(user)s, %(node)s, 'open', %(type)s, %(size)s, %(size)s)
            """,
            {
                "file_id": file_id,
                "app": caller.app_id,
                "user": caller.user_id,
                "node": self._settings.base("upload"),
                "type": file_type.replace("\0", "\ufffd")[:LONGEST_FILE_TYPE],
                "size": size,
            },
        )

    async def status(self, file_id: str, caller: Caller | None = None) -> Upload:
        """Tell what an upload is and what of it has been received, in whatever state it is.

        Raises:
            UnknownUpload: there is none, or it is not the caller's, where one is given.

        """
        async with self._database.connection() as connection:
            upload = await _select(connection, file_id)
        if upload is None or (caller is not None and not _owns(caller, upload)):
            raise UnknownUpload
        return upload

    async def finish(self, connection: Connection, caller: Caller, file_id: str) -> bool:
        """Declare a file complete: once, whatever is repeated; afterwards no piece can change it.

        No fence is needed here: a piece writes only bytes that aren't recorded, and only while it leases them, so when
        all are recorded there is none left that could write.

        Returns:
            Whether this call finished it; False if one before did.

        Raises:
            UnknownUpload: not the caller's, never opened, cancelled or expired.
            MissingRanges: bytes are missing.
            StagingLost: its bytes are gone from the disk.

        """
        upload = await _select(connection, file_id, lock=True)
        if upload is None or not _owns(caller, upload) or upload.state not in {"open", "finished"}:
            raise UnknownUpload
        if upload.state == "finished":
            return False
        if upload.missing:
            raise MissingRanges(upload.missing)
        await asyncio.to_thread(self._require_staging, upload)
        await _end(connection, upload, "finished")
        await self._identity.settle(connection, upload.app_id, reserved=upload.reserved, stored=upload.size)
        return True

    async def cancel(self, connection: Connection, caller: Caller, file_id: str) -> bool:
        """Give an unfinished upload up and its bytes back to the quota. Call `discard` once that is committed.

        Returns:
            Whether this call cancelled it; False if one before did.

        Raises:
            UnknownUpload: not the caller's, never opened, finished or expired.

        """
        upload = await _select(connection, file_id, lock=True)
        if upload is None or not _owns(caller, upload) or upload.state not in {"open", "cancelled"}:
            raise UnknownUpload
        if upload.state == "cancelled":
            return False
        await _end(connection, upload, "cancelled")
        await self._identity.settle(connection, upload.app_id, reserved=upload.reserved, stored=0)
        return True

    async def expire_due(self, connection: Connection, *, limit: int = 500) -> list[str]:
        """Expire unfinished uploads whose last piece is older than `settings.upload_lifetime`.

        Returns:
            Their file ids, at most `limit`; call `discard` for each once that is committed.

        """
        cursor = await connection.execute(
            f"""
            select {_COLUMNS} from upload
            where state = 'open' and last_piece_at < now() - make_interval(secs => %(lifetime)s)
            order by id limit %(limit)s for update skip locked
            """,
            {"lifetime": self._settings.upload_lifetime, "limit": limit},
        )
        due = [_upload(row) for row in await cursor.fetchall()]
        for upload in due:
            await _end(connection, upload, "expired")
            await self._identity.settle(connection, upload.app_id, reserved=upload.reserved, stored=0)
        return [upload.file_id for upload in due]

    async def adopt(self, connection: Connection, file_id: str, incoming: Incoming) -> None:
        """Make a file that has come in whole the bytes of an open upload of its size, so that it can be finished."""
        await incoming.place(self.staging_path(file_id))
        await connection.execute(
            """
            update upload set received = int8multirange(int8range(0, size)), last_piece_at = now()
            where file_id = %s and state = 'open' and size = %s
            """,
            (file_id, incoming.size),
        )

    async def mark_stored(self, connection: Connection, file_id: str) -> None:
        """Note that the original is in the object store, so that its staging file isn't needed any more."""
        await connection.execute("update upload set stored = true where file_id = %s", (file_id,))

    # --- staging files ------------------------------------------------------------------------------------------
    async def discard(self, file_id: str) -> None:
        """Remove the staging file of an upload that was cancelled, expired or stored; repeating it does no harm."""
        path = self.staging_path(file_id)
        await self._leases.fence(file_id)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def sweep(self) -> int:
        """Remove staging files that no upload needs: cancelled, expired or stored. Returns how many.

        Files of no upload at all stay: they aren't ours to judge.
        """
        names = await asyncio.to_thread(lambda: [path.name for path in self._folder.iterdir()])
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                select file_id from upload
                where file_id = any(%s) and (state in ('cancelled', 'expired') or (state = 'finished' and stored))
                """,
                ([name for name in names if _is_file_id(name)],),
            )
            done = [file_id for (file_id,) in await cursor.fetchall()]
        for file_id in done:
            await self.discard(file_id)
        return len(done) + await self.incoming.sweep()

    def _require_staging(self, upload: Upload) -> None:
        try:
            length = self.staging_path(upload.file_id).stat().st_size
        except FileNotFoundError:
            if upload.size:
                raise StagingLost from None
            self.staging_path(upload.file_id).touch(mode=0o600)  # an empty file needs no piece
            return
        if length != upload.size:
            raise StagingLost

    # --- pieces -------------------------------------------------------------------------------------------------
    async def piece(
        self,
        file_id: str,
        chunks: AsyncIterator[Buffer],
        *,
        start: int,
        shortest: int,
        longest: int | None = None,
        stated_size: int | None = None,
    ) -> PieceReceipt:
        """Receive one piece. What is acknowledged is durable; if anything goes wrong, nothing is recorded.

        The piece leases its bytes first, so that of two requests for the same bytes one waits for the other, or takes
        over from one that has fallen silent. Bytes that are recorded already are compared, not written.

        Args:
            file_id: the upload; to know it is to be allowed.
            chunks: the piece as it arrives.
            start: position of its first byte.
            shortest: bytes it has at least; these are leased before any is read.
            longest: bytes it has at most, if that is not the same; the few between are kept in memory.
            stated_size: what the sender believes the whole file's size to be, if it says so.

        Raises:
            UnknownUpload: no open upload has this id.
            AppNotUsable: its app was frozen or deleted meanwhile.
            BadPiece: too short or long, beyond the end, different from what is recorded, a wrong size is stated, or
                what has been received is in too many stretches already.
            Superseded: another request took over.
            StorageFull: no room.
            Unavailable: database or disk are away.

        """
        path = self.staging_path(file_id)
        longest = shortest if longest is None else longest
        if start < 0 or start + longest > LARGEST_POSITION:
            raise BadPiece("The range is out of all proportion.")
        if shortest > self._settings.max_piece:
            raise BadPiece(f"A piece may have up to {self._settings.max_piece} bytes.")
        async with self._leases.hold(file_id, start, start + shortest) as lease:
            size, empty, received = await self._target(file_id, start, start + longest)
            longest = min(longest, size - start)
            _require_fit(size, stated_size, start, shortest)
            require_space(self._folder, shortest, reserve=self._settings.min_free)
            staging = StagingFile(path, size=size, received=received, create=empty)
            writer = PieceWriter(self._pool, staging, lease, rivals=len(self._leases) - 1)
            try:
                tail = await writer.take_in(chunks, longest=longest)
                if writer.received < shortest or (size and not writer.received and not tail):
                    raise BadPiece("The piece is shorter than its range.")
                if tail:
                    await self._lease_more(file_id, lease, staging, start + shortest + len(tail))
                    await writer.write(tail)
                with lease.work():
                    await writer.finish()
                    whole = await self._record(file_id, lease.start, lease.end)
                if start == 0 and size - lease.end >= MUCH_TO_COME and not whole:
                    self._on_begun(file_id)
                return PieceReceipt(staging.md5.hexdigest(), lease.end - lease.start, whole)
            finally:
                writer.close()

    async def _lease_more(self, file_id: str, lease: Lease, staging: StagingFile, end: int) -> None:
        await self._leases.extend(file_id, lease, end)
        # Whoever held these bytes until now may have recorded them.
        staging.received = (await self._target(file_id, lease.start, end))[2]

    async def _target(self, file_id: str, start: int, end: int) -> tuple[int, bool, list[ByteRange]]:
        """Size of an open upload, whether nothing has been received yet, and what has been of start…end."""
        row = await self._database.fetch_one(
            """
            select size, isempty(received), received * int8multirange(int8range(%(start)s, %(end)s)),
                   (select count(*) from unnest(received)) >= %(most)s
                   and not received && int8range(%(start)s - 1, %(end)s + 1), app.state
            from upload join app on app.id = app_id
            where file_id = %(file_id)s and upload.state = 'open'
            """,
            {"file_id": file_id, "start": start, "end": end, "most": MOST_STRETCHES},
        )
        if row is None:
            raise UnknownUpload
        if row[4] != "approved":
            raise AppNotUsable(row[4])
        if row[3]:
            raise BadPiece(
                f"What has been received is in {MOST_STRETCHES} separate stretches, which is as many as may be: "
                "send pieces that join them (uploadstatus tells what is missing)."
            )
        return row[0], row[1], list(_ranges(row[2]))

    async def _record(self, file_id: str, start: int, end: int) -> bool:
        """Add a range to what has been received; tells whether the file is whole now."""
        row = await self._database.fetch_one(
            """
            update upload
            set received = received + int8multirange(int8range(%(start)s, %(end)s)), last_piece_at = now()
            where file_id = %(file_id)s and state = 'open' and size >= %(end)s
            returning received @> int8range(0, size)
            """,
            {"file_id": file_id, "start": start, "end": end},
        )
        if row is None:
            raise UnknownUpload
        return bool(row[0])


def _require_fit(size: int, stated_size: int | None, start: int, length: int) -> None:
    if stated_size is not None and stated_size != size:
        raise BadPiece(f"The file has {size} bytes, as declared when the upload was opened, not {stated_size}.")
    if start + length > size:
        raise BadPiece(f"The range goes beyond the end of the file, which has {size} bytes.")


def _is_file_id(text: str) -> bool:
    return len(text) == 32 and all(character in "0123456789abcdef" for character in text)


def _owns(caller: Caller, upload: Upload) -> bool:
    return (upload.app_id, upload.user_id) == (caller.app_id, caller.user_id)


def _ranges(value: Multirange[int]) -> tuple[ByteRange, ...]:
    return tuple((part.lower or 0, part.upper or 0) for part in value)


def _upload(row: tuple[Any, ...]) -> Upload:
    file_id, app_id, user_id, state, file_type, size, reserved, received, stored = row
    return Upload(file_id, app_id, user_id, state, file_type, size, reserved, _ranges(received), stored)


async def _select(connection: Connection, file_id: str, *, lock: bool = False) -> Upload | None:
    if not _is_file_id(file_id):
        return None
    query = f"select {_COLUMNS} from upload where file_id = %s" + (" for update" if lock else "")
    row = await (await connection.execute(query.encode(), (file_id,))).fetchone()
    return _upload(row) if row else None


async def _end(connection: Connection, upload: Upload, state: str) -> None:
    await connection.execute(
        "update upload set state = %s, ended_at = now(), reserved = 0 where file_id = %s and state = 'open'",
        (state, upload.file_id),
    )
