"""Recordings on their way in: sent with the call, or fetched from an address that the call names.

POST /karaoke/file/v2/ugc_upload_by_file  multipart: `data`, the fields as JSON text, and `ugc_file`, in either order
POST /karaoke/file/v2/ugc_upload_by_link  JSON: the same fields and `file_url`
"""

import contextlib
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.dialects.bodies import Body, MultipartBody
from openstage.dialects.karaoke.bodies import LONGEST_JSON, as_struct, parse_object, read_json
from openstage.dialects.karaoke.envelope import reply
from openstage.dialects.karaoke.errors import BadInput, BodyTooLarge, Call
from openstage.dialects.karaoke.fields import Fields, LinkFields
from openstage.dialects.karaoke.headers import Authorisation, device_id
from openstage.errors import DomainError
from openstage.identity.models import Caller
from openstage.outbound.connecting import Outbound
from openstage.publishing.reception import Reception, digests_of
from openstage.publishing.recordings import RecordingIntake, Source
from openstage.settings import Settings
from openstage.uploads.errors import BadSize
from openstage.uploads.incoming import Incoming
from openstage.uploads.service import Uploads
from openstage.works.recordings import RecordedWork, play_address

FOLDER: Final = "/karaoke/file/v2"
MOST_PARTS: Final = 32
OVERHEAD: Final = LONGEST_JSON + 64 * 1024
"""Bytes of a request beside its file, at most: `data`, other fields, delimiters."""


class RecordingCalls:
    """The calls by which recordings come in."""

    def __init__(
        self, settings: Settings, authorisation: Authorisation, uploads: Uploads, intake: RecordingIntake
    ) -> None:
        self._settings = settings
        self._authorisation = authorisation
        self._uploads = uploads
        self._intake = intake
        self._outbound = Outbound.of(settings)

    def routes(self) -> Sequence[BaseRoute]:
        """Which path is which call."""
        return [
            Route(f"{FOLDER}/ugc_upload_by_file", Call(self.by_file)),
            Route(f"{FOLDER}/ugc_upload_by_link", Call(self.by_link)),
        ]

    async def by_file(self, request: Request) -> Response:
        """Take a recording in; it is being published when the reply goes out."""
        body = Body(request, silence=self._settings.piece_timeout)
        try:
            caller = await self._authorisation.user(request, "works.write")
            await self._intake.expect(caller, body.length, beside=OVERHEAD)
            async with contextlib.AsyncExitStack() as stack:
                upload = _Upload(self._uploads, self._settings.max_recording, stack, self._outbound)
                fields, incoming = await upload.receive(MultipartBody(body))
                recorded = await self._intake.publish(caller, incoming, fields.about(device_id(request)))
        except DomainError:
            await body.drain(self._settings.max_recording + OVERHEAD)
            raise
        return self._reply(recorded)

    async def by_link(self, request: Request) -> Response:
        """Enter a recording whose file is fetched afterwards; callbacks and the work's state tell what became of it."""
        caller: Caller = await self._authorisation.user(request, "works.write")
        fields = await read_json(request, LinkFields)
        fields.check(self._outbound)
        source = Source(fields.file_url.strip(), fields.file_size, fields.sha)
        recorded = await self._intake.order(caller, source, fields.about(device_id(request)))
        return self._reply(recorded)

    def _reply(self, recorded: RecordedWork) -> Response:
        recording = recorded.recording
        return reply(
            {
                "file_id": recorded.work.file_id,
                "paly_url": play_address(self._settings.base("media"), recording.share_id),
                "share_id": recording.share_id,
                "ugc_id": recording.ugc_id,
                "vid": recorded.work.slug,
            }
        )


class _Upload:
    """One request's parts as they come."""

    def __init__(self, uploads: Uploads, limit: int, stack: contextlib.AsyncExitStack, outbound: Outbound) -> None:
        """Prepare; what is received stays until `stack` is closed, unless it has been published."""
        self._uploads = uploads
        self._limit = limit
        self._stack = stack
        self._outbound = outbound
        self._fields: Fields | None = None
        self._incoming: Incoming | None = None
        self._reception: Reception | None = None

    async def receive(self, multipart: MultipartBody) -> tuple[Fields, Incoming]:
        """Read all parts; returns what is said of the recording, and its file, which is whole and as it should be."""
        parts = 0
        while part := await multipart.next_part():
            parts += 1
            if parts > MOST_PARTS:
                raise BadInput(f"More than {MOST_PARTS} parts are too many.")
            if part.name == "data":
                await self._take_data(multipart)
            elif part.name == "ugc_file":
                await self._take_file(multipart)
            else:
                async for _ in multipart.content():
                    pass
        if self._fields is None:
            raise BadInput("The part data is missing: the recording's fields as JSON text.")
        if self._incoming is None or self._reception is None:
            raise BadInput("The part ugc_file is missing: the recording itself.")
        await self._reception.finish(file_size=self._fields.file_size, file_sha=self._fields.sha)
        return self._fields, self._incoming

    async def _take_data(self, multipart: MultipartBody) -> None:
        if self._fields is not None:
            raise BadInput("There is more than one part data.")
        text = await multipart.text(LONGEST_JSON + 1)
        if len(text) > LONGEST_JSON:
            raise BodyTooLarge(f"data has more than {LONGEST_JSON} bytes.")
        self._fields = as_struct(parse_object(text, "data"), Fields)
        self._fields.check(self._outbound)
        if (size := self._fields.file_size) is not None and size > self._limit:
            raise BadSize(f"A recording may have up to {self._limit} bytes, not {size} as file_size says.")

    async def _take_file(self, multipart: MultipartBody) -> None:
        if self._incoming is not None:
            raise BadInput("There is more than one part ugc_file.")
        known = self._fields
        self._incoming = await self._stack.enter_async_context(
            self._uploads.incoming.receive(limit=self._limit, digests=digests_of(known.sha if known else None))
        )
        self._reception = Reception(self._incoming, expected=known.file_size if known else None)
        async for stretch in multipart.content():
            await self._reception.write(stretch)
