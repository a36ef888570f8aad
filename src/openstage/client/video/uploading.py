"""Sending one file: open, describe, send what is missing, finish; going on where an earlier run stopped."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from openstage.client.errors import ApiError, ClientError, FileChangedError, ProtocolError, UnreachableError
from openstage.client.source import Source
from openstage.client.video import wire
from openstage.client.video.errors import (
    DigestMismatchError,
    FailedError,
    InvalidInputError,
    OAuthError,
    UnknownFileError,
    UploadCancelledError,
    VideoNotFoundError,
)
from openstage.client.video.journal import Journal, Record
from openstage.client.video.models import Progress, State, Video
from openstage.client.video.pieces import MultipartPiece, Piece
from openstage.client.video.ranges import Range, cut, from_wire, missing, total
from openstage.client.video.session import Session

Framing = Literal["raw", "multipart"]
"""How a piece is put into a request: as the whole body, or as one part of a form (the document's way)."""

MIB: Final = 1024**2
SMALLEST_PIECE: Final = 8 * MIB
LARGEST_PIECE: Final = 64 * MIB
FRESH_STARTS: Final = 2
FINISH_ROUNDS: Final = 5
DIGEST_ATTEMPTS: Final = 3
_LOST: Final = (UnknownFileError, VideoNotFoundError, UploadCancelledError, FailedError)
"""What servers say to metadata for a file_id that they have forgotten."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to upload, and what is uploaded."""

    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    category: int | None = None
    piece_size: int | None = None
    parallel: int = 3
    framing: Framing = "raw"
    on_progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        if self.parallel < 1 or (self.piece_size is not None and self.piece_size < 1):
            raise ValueError("piece_size and parallel must be at least 1")
        if any("," in tag for tag in self.tags):
            raise ValueError("a tag can't hold a comma: commas separate tags on the wire")

    def piece_size_for(self, size: int) -> int:
        """Bytes per piece: 8 MiB, more for files above 8 GiB so that there are about a thousand, at most 64 MiB."""
        return self.piece_size or min(LARGEST_PIECE, max(SMALLEST_PIECE, -(-size // 1024)))


class Upload:
    """One run of sending one file."""

    def __init__(self, session: Session, source: Source, journal: Journal, options: Options) -> None:
        self._session = session
        self._source = source
        self._journal = journal
        self._options = options
        self._identity = source.identity()
        self._lock = threading.RLock()  # progress and records are touched by all workers
        self._acknowledged = self._in_flight = self._resumed = 0

    async def run(self) -> Video:
        """Send the file, or what is missing of it.

        Raises:
            ClientError: it could not be done; what was acknowledged is on record for the next run.

        """
        record = await self._resume()
        for chances in range(FRESH_STARTS, -1, -1):
            resumed = record is not None
            record = record or await self._open()
            try:
                await self._describe(record, resumed=resumed)
                await self._send_and_finish(record)
            except (UnknownFileError, DigestMismatchError) as error:
                self._journal.forget()
                if isinstance(error, DigestMismatchError):
                    await self._cancel(record)
                if not chances:
                    raise
                record = None
            else:
                self._journal.forget()
                return self._video(record)
        raise AssertionError("unreachable")

    def _video(self, record: Record) -> Video:
        options = self._options
        return Video(
            file_id=record.file_id,
            title=options.title,
            description=options.description,
            state=State.PUBLISHING,
            size=self._source.size,
        )

    # --- beginning ------------------------------------------------------------------------------------------------

    async def _open(self) -> Record:
        hosts, source = self._session.hosts, self._source
        envelope = await self._session.call(
            lambda token: wire.open_upload(hosts, token, size=source.size, file_type=source.file_type)
        )
        file_id, upload_url = (wire.text_of("openupload", envelope.get("data"), n) for n in ("file_id", "upload_url"))
        record = Record(file_id, upload_url)
        self._journal.save(record)
        self._start_counting(record)
        return record

    async def _resume(self) -> Record | None:
        """Find the upload that an earlier run began, and ask what the server has of it if the server can tell."""
        record = self._journal.begin(self._identity)
        if record is None:
            return None
        file_id = record.file_id
        try:
            envelope = await self._session.call(
                lambda token: wire.upload_status(self._session.hosts, token, file_id), patient=False
            )
            record.received = _received(envelope, self._source.size)
        except (UnknownFileError, UploadCancelledError):
            return None
        except OAuthError:
            raise
        except (ApiError, ProtocolError, UnreachableError, ValueError):
            pass  # a server without this call: our own record must do
        self._start_counting(record)
        return record

    async def _describe(self, record: Record, *, resumed: bool) -> None:
        options = self._options
        try:
            await self._session.call(
                lambda token: wire.describe(
                    self._session.hosts,
                    token,
                    record.file_id,
                    title=options.title,
                    description=options.description,
                    tags=options.tags,
                    category=options.category,
                )
            )
        except _LOST as error:
            if not resumed:
                raise
            raise UnknownFileError(error.code, call=error.call, message=error.message) from error

    async def _cancel(self, record: Record) -> None:
        with contextlib.suppress(ClientError):
            await self._session.call(lambda token: wire.cancel_upload(self._session.hosts, token, record.file_id))

    # --- sending --------------------------------------------------------------------------------------------------

    async def _send_and_finish(self, record: Record) -> None:
        for rounds_left in range(FINISH_ROUNDS, -1, -1):
            await self._send(record, missing(record.received, self._source.size))
            if self._source.changed(self._identity):
                self._journal.forget()
                await self._cancel(record)
                raise FileChangedError(f"the file changed while it was being uploaded: {self._source.name}")
            try:
                await self._session.call(lambda token: wire.finish_upload(self._session.hosts, token, record.file_id))
            except InvalidInputError as error:
                gaps = _gaps(error)
                if not gaps or not rounds_left:
                    raise
                record.received = missing(gaps, self._source.size)
                self._start_counting(record)
            else:
                return

    async def _send(self, record: Record, gaps: list[Range]) -> None:
        waiting = deque(cut(gaps, self._options.piece_size_for(self._source.size)))

        async def work() -> None:
            while True:
                try:
                    piece = waiting.popleft()
                except IndexError:
                    return
                await self._send_piece(record, piece)

        await self._session.transport.run_together([work] * min(self._options.parallel, len(waiting)))

    async def _send_piece(self, record: Record, piece: Range) -> None:
        start, end = piece
        body = Piece(self._source, start, end, self._count)
        form = MultipartPiece(body) if self._options.framing == "multipart" else None
        request = wire.send_piece(
            record.upload_url,
            record.file_id,
            start=start,
            end=end,
            size=self._source.size,
            body=form or body,
            content_type=form.content_type if form else "application/octet-stream",
        )
        try:
            for attempt in range(1, DIGEST_ATTEMPTS + 1):
                try:
                    envelope = await self._session.exchange(request)
                except InvalidInputError as error:
                    if attempt == 1:
                        raise
                    raise DigestMismatchError(
                        f"piece {start}-{end - 1} arrived damaged and can't be replaced"
                    ) from error
                if str(envelope.get("range_md5", "")).lower() == body.md5:
                    self._acknowledge(record, piece, body)
                    return
        except BaseException:
            body.take_back()
            raise
        body.take_back()
        raise DigestMismatchError(f"piece {start}-{end - 1} arrived damaged {DIGEST_ATTEMPTS} times")

    # --- counting -------------------------------------------------------------------------------------------------

    def _start_counting(self, record: Record) -> None:
        with self._lock:
            self._record = record
            self._acknowledged = self._resumed = total(record.received)
            self._in_flight = 0
        self._count(0)

    def _acknowledge(self, record: Record, piece: Range, body: Piece) -> None:
        with self._lock:
            record.add(piece)
            self._journal.save(record)
            self._acknowledged += body.length
            body.take_back()

    def _count(self, sent: int) -> None:
        with self._lock:
            self._in_flight += sent
            if self._options.on_progress is not None:
                size, file_id = self._source.size, self._record.file_id
                self._options.on_progress(Progress(file_id, size, self._acknowledged, self._in_flight, self._resumed))


def _received(envelope: dict[str, Any], size: int) -> list[Range]:
    """Read the reply of the status call; ValueError if it is not one that we know."""
    data = envelope.get("data")
    if not isinstance(data, dict) or "received" not in data:
        raise ValueError("not a status of an upload")
    state = data.get("state")
    if state in ("cancelled", "expired") or data.get("file_size", size) != size:
        raise UnknownFileError("A00005", call="uploadstatus", message=f"the upload is {state}")
    return [(0, size)] if state == "finished" else from_wire(data["received"])


def _gaps(error: InvalidInputError) -> list[Range]:
    with contextlib.suppress(ValueError):
        return from_wire(error.data.get("missing"))
    return []
