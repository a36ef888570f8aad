"""Sections 1.1 to 1.4 of the document: a file's way in. Parameters may come from anywhere, see `parameters`."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openstage.dialects.bodies import Body, MultipartBody
from openstage.dialects.multipart import PartBegin
from openstage.dialects.video.bodies import Spool, without_line_end
from openstage.dialects.video.envelope import SUCCESS, reply
from openstage.dialects.video.errors import BadInput, Call, Handler, UnknownCall
from openstage.dialects.video.parameters import Parameters, decode, known_parameters, parse_body, read_parameters
from openstage.errors import DomainError
from openstage.identity.models import Caller
from openstage.identity.service import Identity
from openstage.settings import Settings
from openstage.uploads.models import PieceReceipt
from openstage.uploads.service import Uploads
from openstage.uploads.staging import Buffer

FILE_FIELDS: Final = frozenset({"file", "upload"})
LONGEST_FIELD: Final = 64 * 1024
"""Bytes of one multipart field, and of a body that holds parameters only."""
MOST_FIELDS: Final = 64

CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST,PUT,GET,HEAD,OPTIONS",
    "Access-Control-Allow-Headers": (
        "authtoken, device_id, spath, role, origin, filetype, filesize, file_size, access_token, content-type, range,"
        " file_id, range_finished, status"
    ),
    "Access-Control-Max-Age": "21600",
}

_RANGE = re.compile(r"(?:bytes\s*[=\s]\s*)?([0-9]{1,18})\s*-\s*([0-9]{1,18})(?:/(?:\*|[0-9]{1,18}))?", re.IGNORECASE)


class Opened(Protocol):
    """An upload that has been opened."""

    @property
    def file_id(self) -> str:
        """Name of the upload, and of the work that comes of it."""


class Intake(Protocol):
    """The use cases around an upload that concern its work too."""

    async def open(self, caller: Caller, *, file_type: str = "", size: int) -> Opened:
        """Open an upload and create its work."""

    async def finish(self, caller: Caller, file_id: str) -> object:
        """Finish an upload, once, whatever is repeated."""

    async def cancel(self, caller: Caller, file_id: str) -> object:
        """Give an upload up."""


@dataclass(frozen=True, slots=True)
class PieceTarget:
    """Where a piece belongs, by its parameters.

    `end` is inclusive in the document, and exclusive with some clients; the length of the body tells which.
    """

    file_id: str
    start: int
    end: int
    file_size: int | None

    @property
    def shortest(self) -> int:
        """Bytes of the piece if `end` is exclusive."""
        return self.end - self.start

    @property
    def longest(self) -> int:
        """Bytes of the piece if `end` is inclusive."""
        return self.end - self.start + 1

    @classmethod
    def read(cls, parameters: Parameters) -> "PieceTarget":
        """Read it from a call's parameters.

        Raises:
            BadInput: one is missing or garbled.

        """
        found = _RANGE.fullmatch(parameters.required("range"))
        if found is None:
            raise BadInput("range must be start-end, in bytes from 0.")
        start, end = int(found[1]), int(found[2])
        if start > end:
            raise BadInput("range ends before it starts.")
        return cls(parameters.required("file_id"), start, end, parameters.exact_integer("file_size"))


class UploadCalls:
    """The calls of the documented upload hosts."""

    def __init__(self, settings: Settings, identity: Identity, uploads: Uploads, intake: Intake) -> None:
        self._settings = settings
        self._identity = identity
        self._uploads = uploads
        self._intake = intake

    def routes(self) -> list[Route]:
        """Which path is which call."""
        calls: dict[str, Handler] = {
            "openupload": self.open,
            "upload": self.upload,
            "uploadfinish": self.finish,
            "cancelupload": self.cancel,
            "uploadstatus": self.status,
        }
        return [
            Route(f"/{name}", Call(name, _with_preflight(handler), headers=CORS)) for name, handler in calls.items()
        ]

    async def open(self, request: Request) -> Response:
        """Section 1.1: declare a file and learn where to send it."""
        parameters = await read_parameters(request)
        caller = await self._identity.resolve_usable(parameters.text("access_token"), needs="works.write")
        size = parameters.exact_integer("filesize")
        if size is None:
            raise BadInput("filesize is missing.")
        opened = await self._intake.open(caller, file_type=parameters.text("filetype"), size=size)
        data = {"file_id": opened.file_id, "upload_url": self._settings.base("upload") + "/upload"}
        return reply(SUCCESS, data=data, msg="")

    async def finish(self, request: Request) -> Response:
        """Section 1.3: say that all pieces have been sent."""
        await self._finish(await read_parameters(request))
        return reply(SUCCESS)

    async def cancel(self, request: Request) -> Response:
        """Section 1.4: give the upload up."""
        parameters = await read_parameters(request)
        caller = await self._identity.resolve(parameters.text("access_token"), needs="works.write")
        if parameters.text("status", "2") != "2":
            raise BadInput("status must be 2.")
        await self._intake.cancel(caller, parameters.required("file_id"))
        return reply(SUCCESS)

    async def status(self, request: Request) -> Response:
        """Ours: tell what has been received, so that a client can go on where it stopped."""
        parameters = await read_parameters(request)
        caller = await self._identity.resolve(parameters.text("access_token"), needs="works.write")
        upload = await self._uploads.status(parameters.required("file_id"), caller)
        data = {
            "file_id": upload.file_id,
            "file_size": upload.size,
            "state": upload.state,
            "received": [[start, end - 1] for start, end in upload.received],
            "missing": [[start, end - 1] for start, end in upload.missing],
        }
        return reply(SUCCESS, data=data, msg="")

    async def upload(self, request: Request) -> Response:
        """Section 1.2: receive a piece; with `range_finished`, finish the upload too, or only that."""
        if request.method not in {"POST", "PUT"}:
            raise UnknownCall("upload takes POST.")
        body = Body(request, silence=self._settings.piece_timeout)
        try:
            return await self._upload(known_parameters(request), body)
        except DomainError:
            await body.drain(self._settings.max_piece)
            raise

    async def _upload(self, parameters: Parameters, body: Body) -> Response:
        if await _is_multipart(parameters, body):
            receipt = await self._receive_multipart(parameters, body)
        elif parameters.text("range"):
            receipt = await self._receive_raw(parameters, body)
        else:
            await _add_form(parameters, body)
            receipt = None
        if _finishes(parameters):
            await self._finish(parameters)
        elif receipt is None:
            raise BadInput("There is no piece in this request: range and a body, or a part called file, are needed.")
        file_id = parameters.text("file_id")
        if receipt is None:
            return reply(SUCCESS, status=202, file_id=file_id)
        return reply(
            SUCCESS,
            status=202 if _finishes(parameters) else 200,
            range_md5=receipt.md5,
            file_range_accepted=receipt.length,
            file_id=file_id,
        )

    async def _receive_raw(self, parameters: Parameters, body: Body) -> PieceReceipt | None:
        if _finishes(parameters) and not await body.peek():
            return None
        target = PieceTarget.read(parameters)
        if body.length is None:
            return await self._receive(target, body.chunks())
        if body.length not in {target.shortest, target.longest}:
            raise BadInput(f"The body has {body.length} bytes, which doesn't agree with range.")
        return await self._receive(target, body.chunks(), exactly=body.length)

    async def _receive_multipart(self, parameters: Parameters, body: Body) -> PieceReceipt | None:
        """Take fields as they come and the first file part; fields after it count too."""
        multipart = MultipartBody(body)
        receipt: PieceReceipt | None = None
        spool: Spool | None = None
        fields = 0
        try:
            while part := await multipart.next_part():
                fields += 1
                if fields > MOST_FIELDS:
                    raise BadInput(f"More than {MOST_FIELDS} parts are too many.")
                if not _is_file(part):
                    parameters.add_field(part.name, decode(await multipart.text(LONGEST_FIELD)))
                elif receipt is not None or spool is not None:
                    raise BadInput("There is more than one file part.")
                elif parameters.text("range") and parameters.text("file_id"):
                    target = PieceTarget.read(parameters)
                    receipt = await self._receive_part(target, multipart.content(target.shortest))
                else:
                    spool = Spool(
                        self._settings.staging_folder,
                        limit=self._settings.max_piece,
                        reserve=self._settings.min_free,
                    )
                    await spool.fill(multipart.content())
            if spool is not None:
                receipt = await self._receive_part(PieceTarget.read(parameters), spool.content())
        finally:
            if spool is not None:
                spool.close()
        return receipt

    async def _receive_part(self, target: PieceTarget, content: AsyncIterator[Buffer]) -> PieceReceipt:
        return await self._receive(target, without_line_end(content, target.longest))

    async def _receive(
        self, target: PieceTarget, chunks: AsyncIterator[Buffer], exactly: int | None = None
    ) -> PieceReceipt:
        return await self._uploads.piece(
            target.file_id,
            chunks,
            start=target.start,
            shortest=target.shortest if exactly is None else exactly,
            longest=target.longest if exactly is None else exactly,
            stated_size=target.file_size,
        )

    async def _finish(self, parameters: Parameters) -> None:
        caller = await self._identity.resolve_usable(parameters.text("access_token"), needs="works.write")
        if parameters.text("range_finished", "true").lower() != "true":
            raise BadInput("range_finished must be true.")
        await self._intake.finish(caller, parameters.required("file_id"))


def _with_preflight(handler: Handler) -> Handler:
    """Answer what browsers ask before they send, and HEAD."""

    async def handle(request: Request) -> Response:
        if request.method in {"OPTIONS", "HEAD"}:
            return Response(status_code=200)
        return await handler(request)

    return handle


def _finishes(parameters: Parameters) -> bool:
    return parameters.text("range_finished").lower() == "true"


def _is_file(part: PartBegin) -> bool:
    return part.is_file or part.name in FILE_FIELDS


async def _is_multipart(parameters: Parameters, body: Body) -> bool:
    """Decide by content: multipart bodies come with any Content-Type or none, raw ones as urlencoded forms."""
    if not body.content_type.lower().startswith("multipart/") and body.length is not None:
        found = _RANGE.fullmatch(parameters.text("range"))
        if found and body.length - (int(found[2]) - int(found[1])) in {0, 1}:
            return False  # it is as long as the piece itself: whatever it looks like, it is the piece
    return await body.looks_multipart()


async def _add_form(parameters: Parameters, body: Body) -> None:
    content = await body.read(LONGEST_FIELD)
    if content is None:
        raise BadInput("range is missing.")
    for name, value in parse_body(content, body.content_type):
        parameters.add_field(name, value)
