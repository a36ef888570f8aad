"""How uploads begin and end: finished once, cancelled, expired; what they cost, and what they leave behind."""

import asyncio
import os
from collections.abc import Sequence

import pytest

from openstage.errors import DomainError, Unavailable
from openstage.identity.models import Caller
from openstage.storage.errors import StorageFull
from openstage.uploads.errors import BadSize, MissingRanges, StagingLost, UnknownUpload
from openstage.uploads.models import PieceReceipt
from tests.uploads.application import UploadServices
from tests.uploads.sending import CONTENT, finish, open_upload, received, send, stream


async def test_finish_names_what_is_missing_counts_once_and_is_the_owners(
    services: UploadServices, caller: Caller
) -> None:
    file_id = await open_upload(services, caller)
    await send(services, file_id, 1000, CONTENT[1000:2000])
    with pytest.raises(MissingRanges) as error:
        await finish(services, caller, file_id)
    assert error.value.missing == [(0, 1000), (2000, 5000)]
    await send(services, file_id, 0, CONTENT)
    with pytest.raises(UnknownUpload):
        await finish(services, await services.caller(), file_id)
    outcomes = await asyncio.gather(*(finish(services, caller, file_id) for _ in range(4)))
    assert sorted(outcomes) == [False, False, False, True]


async def test_finishing_races_pieces_and_the_file_stays_what_it_was(services: UploadServices, caller: Caller) -> None:
    for _ in range(5):
        file_id = await open_upload(services, caller)
        await send(services, file_id, 0, CONTENT[:4000])
        attempts: Sequence[object] = await asyncio.gather(
            send(services, file_id, 4000, CONTENT[4000:]),
            *(finish(services, caller, file_id) for _ in range(3)),
            send(services, file_id, 0, b"x" * len(CONTENT)),
            send(services, file_id, 2000, CONTENT[2000:4500]),
            return_exceptions=True,
        )
        assert all(isinstance(outcome, PieceReceipt | bool | DomainError) for outcome in attempts), attempts
        await send_quietly(services, file_id, 4000, CONTENT[4000:])
        await finish(services, caller, file_id)
        assert services.uploads.staging_path(file_id).read_bytes() == CONTENT


async def send_quietly(services: UploadServices, file_id: str, start: int, data: bytes) -> None:
    try:
        await send(services, file_id, start, data)
    except UnknownUpload:
        assert (await services.uploads.status(file_id)).state == "finished"


async def test_the_quota_is_taken_at_open_and_settled_at_the_end(services: UploadServices) -> None:
    caller = await services.caller()

    async def account() -> tuple[int, int]:
        app = await services.database.fetch_one(
            "select reserved, stored from app where id = %(id)s", {"id": caller.app_id}
        )
        assert app is not None
        return app[0], app[1]

    kept, cancelled, expired = [await open_upload(services, caller) for _ in range(3)]
    assert await account() == (15000, 0)
    await send(services, kept, 0, CONTENT)
    await finish(services, caller, kept)
    await finish(services, caller, kept)
    assert await account() == (10000, 5000)
    for _ in range(2):
        async with services.database.transaction() as connection:
            await services.uploads.cancel(connection, caller, cancelled)
    assert await account() == (5000, 5000)
    async with services.database.transaction() as connection:
        await connection.execute(
            "update upload set last_piece_at = now() - interval '1 year' where file_id = %s", (expired,)
        )
        await services.uploads.expire_due(connection)
    assert await account() == (0, 5000)


async def test_only_uploads_without_a_recent_piece_expire(services: UploadServices, caller: Caller) -> None:
    file_id = await open_upload(services, caller)
    async with services.database.connection() as connection:
        await connection.execute(
            "update upload set created_at = now() - interval '1 year', last_piece_at = now() - interval '1 year'"
            " where file_id = %s",
            (file_id,),
        )
    await send(services, file_id, 0, CONTENT[:10])
    async with services.database.transaction() as connection:
        assert file_id not in await services.uploads.expire_due(connection)


async def test_a_sweep_removes_what_no_upload_needs_and_nothing_else(services: UploadServices, caller: Caller) -> None:
    being_sent, cancelled, stored, finished = [await open_upload(services, caller) for _ in range(4)]
    for file_id in (being_sent, cancelled, stored, finished):
        await send(services, file_id, 0, CONTENT)
    await finish(services, caller, finished)
    await finish(services, caller, stored)
    async with services.database.transaction() as connection:
        await services.uploads.cancel(connection, caller, cancelled)
        await services.uploads.mark_stored(connection, stored)
    foreign = services.settings.staging_folder / "not ours"
    foreign.touch()
    await services.uploads.sweep()
    left = {path.name for path in services.settings.staging_folder.iterdir()}
    assert {being_sent, finished, foreign.name} <= left
    assert not {cancelled, stored} & left


async def test_bytes_that_got_lost_are_never_taken_for_zeros(services: UploadServices, caller: Caller) -> None:
    file_id = await open_upload(services, caller)
    await send(services, file_id, 0, CONTENT[:4000])
    services.uploads.staging_path(file_id).unlink()
    with pytest.raises(StagingLost):
        await send(services, file_id, 4000, CONTENT[4000:])
    assert not services.uploads.staging_path(file_id).exists()


@pytest.mark.parametrize("size", [-1, 2**50])
async def test_sizes_that_no_file_may_have_are_refused(services: UploadServices, caller: Caller, size: int) -> None:
    with pytest.raises(BadSize):
        await open_upload(services, caller, size)


async def test_an_empty_file_is_whole_at_once(services: UploadServices, caller: Caller) -> None:
    file_id = await open_upload(services, caller, 0)
    receipt = await services.uploads.piece(file_id, stream(b""), start=0, shortest=0, longest=1)
    assert (receipt.length, receipt.whole) == (0, True)
    assert await finish(services, caller, file_id)
    assert services.uploads.staging_path(file_id).read_bytes() == b""


async def test_ten_declared_gigabytes_cost_nothing(services: UploadServices, caller: Caller) -> None:
    file_id = await open_upload(services, caller, 10 * 1024**3)
    await send(services, file_id, 10 * 1024**3 - 100, b"z" * 100)
    assert services.uploads.staging_path(file_id).stat().st_blocks * 512 < 1024**2


async def test_a_full_disk_is_told_and_the_piece_can_be_sent_again(
    services: UploadServices, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await open_upload(services, caller)
    really = os.pwritev

    def full(descriptor: int, buffers: list[bytes], position: int) -> int:
        if position >= 2100:
            raise OSError(28, "No space left on device")
        return really(descriptor, [bytes(buffers[0])[:50]], position)  # a short write, as near the end of a disk

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        with pytest.raises(StorageFull):
            await send(services, file_id, 0, CONTENT)
    assert await received(services, file_id) == ()
    await send(services, file_id, 0, CONTENT)
    assert services.uploads.staging_path(file_id).read_bytes() == CONTENT


async def test_below_the_reserve_of_free_space_nothing_is_taken(
    services: UploadServices, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await open_upload(services, caller)
    monkeypatch.setattr("openstage.storage.space.free_bytes", lambda _folder: services.settings.min_free + 100)
    with pytest.raises(StorageFull):
        await send(services, file_id, 0, CONTENT)
    await send(services, file_id, 0, CONTENT[:100])
    monkeypatch.setattr("openstage.storage.space.free_bytes", lambda _folder: services.settings.min_free - 1)
    with pytest.raises(StorageFull):
        await open_upload(services, caller)


async def test_nothing_is_recorded_before_it_is_durable(
    services: UploadServices, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await open_upload(services, caller)

    def fails(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(Unavailable):
            await send(services, file_id, 0, CONTENT)
    assert await received(services, file_id) == ()
    await send(services, file_id, 0, CONTENT)


async def test_no_index_holds_what_a_piece_changes(services: UploadServices) -> None:
    async with services.database.connection() as connection:
        rows = await (await connection.execute("select indexdef from pg_indexes where tablename = 'upload'")).fetchall()
    assert rows
    assert not [definition for (definition,) in rows if "received" in definition or "last_piece_at" in definition]
