"""Uploads as a client sends them, against the service itself."""

import random
from collections.abc import AsyncIterator

from openstage.identity.models import Caller
from openstage.uploads.models import PieceReceipt, new_file_id
from tests.uploads.application import UploadServices

CONTENT = random.Random(7).randbytes(5000)


async def open_upload(services: UploadServices, caller: Caller, size: int = len(CONTENT)) -> str:
    file_id = new_file_id()
    async with services.database.transaction() as connection:
        await services.uploads.open(connection, caller, file_id=file_id, file_type="mp4", size=size)
    return file_id


async def finish(services: UploadServices, caller: Caller, file_id: str) -> bool:
    async with services.database.transaction() as connection:
        return await services.uploads.finish(connection, caller, file_id)


async def stream(data: bytes, chunk: int = 700) -> AsyncIterator[bytes]:
    for at in range(0, len(data), chunk):
        yield data[at : at + chunk]


async def send(services: UploadServices, file_id: str, start: int, data: bytes, **options: int) -> PieceReceipt:
    return await services.uploads.piece(file_id, stream(data), start=start, shortest=len(data), **options)


async def received(services: UploadServices, file_id: str) -> tuple[tuple[int, int], ...]:
    return (await services.uploads.status(file_id)).received
