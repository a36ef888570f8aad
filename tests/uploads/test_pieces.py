"""Pieces make a file: in any order, repeated, at once; and nothing but what is acknowledged counts."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openstage.errors import DomainError, Unavailable
from openstage.identity.models import Caller
from openstage.storage.errors import StorageFull
from openstage.uploads import service
from openstage.uploads.errors import BadPiece, BadSize, MissingRanges, StagingLost, Superseded, UnknownUpload
from openstage.uploads.models import PieceReceipt, new_file_id
from tests.support.waiting import wait_until
from tests.uploads.application import UploadServices

CONTENT = random.Random(7).randbytes(5000)


@pytest.fixture(scope="module")
async def caller(services: UploadServices) -> Caller:
    return await services.caller()


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


class Slow:
    """A sender that goes on when the test says so."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()

    def send(self, data: bytes) -> None:
        self._chunks.put_nowait(data)

    async def is_read(self) -> None:
        """Wait until the server has taken what was sent."""

        async def taken() -> bool:
            return self._chunks.empty()

        await wait_until(taken, what="the chunk being read")

    async def stream(self) -> AsyncIterator[bytes]:
        while chunk := await self._chunks.get():
            yield chunk


async def received(services: UploadServices, file_id: str) -> tuple[tuple[int, int], ...]:
    return (await services.uploads.status(file_id)).received


async def leased(services: UploadServices, count: int) -> None:
    async def all_there() -> bool:
        return len(services.uploads._leases) == count

    await wait_until(all_there, what=f"{count} leases")


@st.composite
def pieces(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Any cut of the content, each piece once at least, in any order, some of them overlapping others."""
    cuts = sorted(draw(st.sets(st.integers(1, len(CONTENT) - 1), max_size=12)))
    whole = list(zip([0, *cuts], [*cuts, len(CONTENT)], strict=True))
    again = draw(st.lists(st.sampled_from(whole), max_size=4))
    spans = st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(1, 900))
    across = [(start, min(start + length, len(CONTENT))) for start, length in draw(st.lists(spans, max_size=4))]
    return draw(st.permutations([*whole, *again, *across]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=pieces(), at_once=st.integers(1, 5), open_ended=st.booleans())
async def test_any_cut_order_repetition_and_concurrency_gives_the_file(
    services: UploadServices, caller: Caller, parts: list[tuple[int, int]], at_once: int, open_ended: bool
) -> None:
    file_id = await open_upload(services, caller)
    limit = asyncio.Semaphore(at_once)

    async def one(start: int, end: int) -> None:
        async with limit:
            data = CONTENT[start:end]
            # With an open end the sender doesn't say before the last byte whether there is one more.
            shortest = len(data) - 1 if open_ended else len(data)
            receipt = await services.uploads.piece(
                file_id, stream(data), start=start, shortest=shortest, longest=shortest + 1
            )
            assert (receipt.md5, receipt.length) == (hashlib.md5(data).hexdigest(), len(data))

    await asyncio.gather(*(one(*part) for part in parts))
    assert services.uploads.staging_path(file_id).read_bytes() == CONTENT
    assert await received(services, file_id) == ((0, len(CONTENT)),)
    assert await finish(services, caller, file_id)
    assert len(services.uploads._leases) == 0


async def test_the_piece_that_completes_the_file_says_so(services: UploadServices, caller: Caller) -> None:
    file_id = await open_upload(services, caller)
    assert not (await send(services, file_id, 2000, CONTENT[2000:])).whole
    assert (await send(services, file_id, 0, CONTENT[:2000])).whole


async def test_a_repeat_that_differs_is_refused_and_what_is_recorded_stays(
    services: UploadServices, caller: Caller
) -> None:
    file_id = await open_upload(services, caller)
    await send(services, file_id, 100, CONTENT[100:2000])
    with pytest.raises(BadPiece):
        await send(services, file_id, 0, b"x" * 2500)
    assert await received(services, file_id) == ((100, 2000),)
    await send(services, file_id, 0, CONTENT)
    assert services.uploads.staging_path(file_id).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("start", "data", "options"),
    [
        (4000, CONTENT[:1001], {}),
        (5000, b"x", {}),
        (2**62, b"x", {}),
        (-1, b"x", {}),
        (0, b"", {}),
        (0, CONTENT[:10], {"stated_size": 4999}),
        (0, CONTENT[:10], {"stated_size": 10**15}),
    ],
)
async def test_a_piece_that_cannot_belong_to_the_file_is_refused(
    services: UploadServices, caller: Caller, start: int, data: bytes, options: dict[str, int]
) -> None:
    file_id = await open_upload(services, caller)
    with pytest.raises(BadPiece):
        await send(services, file_id, start, data, **options)
    assert await received(services, file_id) == ()


async def test_a_file_in_too_many_stretches_takes_only_pieces_that_join_them(
    services: UploadServices, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_STRETCHES", 3)
    file_id = await open_upload(services, caller)
    for start in (0, 200, 400):
        await send(services, file_id, start, CONTENT[start : start + 100])
    with pytest.raises(BadPiece, match="3 separate stretches"):
        await send(services, file_id, 600, CONTENT[600:700])
    for start in (500, 0, 100, 700):  # it grows one, repeats one, joins two: then there is room for another
        await send(services, file_id, start, CONTENT[start : start + 100])
    assert await received(services, file_id) == ((0, 300), (400, 600), (700, 800))


@pytest.mark.parametrize(("shortest", "longest", "length"), [(10, 10, 9), (10, 10, 11), (10, 11, 9), (10, 11, 12)])
async def test_a_piece_of_another_length_than_agreed_records_nothing(
    services: UploadServices, caller: Caller, shortest: int, longest: int, length: int
) -> None:
    file_id = await open_upload(services, caller)
    with pytest.raises(BadPiece):
        await services.uploads.piece(file_id, stream(CONTENT[:length]), start=0, shortest=shortest, longest=longest)
    assert await received(services, file_id) == ()


async def test_of_two_different_pieces_at_once_one_counts_whole_and_the_other_not_at_all(
    services: UploadServices, caller: Caller
) -> None:
    file_id = await open_upload(services, caller)
    rivals = [random.Random(seed).randbytes(len(CONTENT)) for seed in range(4)]
    outcomes = await asyncio.gather(*(send(services, file_id, 0, rival) for rival in rivals), return_exceptions=True)
    winners = [rival for rival, outcome in zip(rivals, outcomes, strict=True) if isinstance(outcome, PieceReceipt)]
    assert len(winners) == 1
    assert all(isinstance(outcome, BadPiece) for outcome in outcomes if not isinstance(outcome, PieceReceipt))
    assert services.uploads.staging_path(file_id).read_bytes() == winners[0]


async def test_a_silent_sender_gives_way_to_its_own_repeat_and_can_never_write_again(
    services: UploadServices, caller: Caller
) -> None:
    file_id = await open_upload(services, caller)
    slow = Slow()
    first = asyncio.create_task(services.uploads.piece(file_id, slow.stream(), start=0, shortest=len(CONTENT)))
    slow.send(b"x" * 2000)
    await leased(services, 1)
    await send(services, file_id, 0, CONTENT)
    slow.send(b"x" * 3000)
    slow.send(b"")
    with pytest.raises(Superseded):
        await first
    assert services.uploads.staging_path(file_id).read_bytes() == CONTENT


async def test_a_repeat_that_stalls_half_way_changes_nothing(services: UploadServices, caller: Caller) -> None:
    file_id = await open_upload(services, caller)
    await send(services, file_id, 0, CONTENT[:3000])
    slow = Slow()
    repeat = asyncio.create_task(services.uploads.piece(file_id, slow.stream(), start=0, shortest=3000))
    slow.send(CONTENT[:1000])
    await leased(services, 1)
    repeat.cancel()
    with pytest.raises(asyncio.CancelledError):
        await repeat
    await leased(services, 0)
    assert await received(services, file_id) == ((0, 3000),)
    assert services.uploads.staging_path(file_id).read_bytes()[:3000] == CONTENT[:3000]


async def test_an_ended_upload_takes_no_piece(services: UploadServices, caller: Caller) -> None:
    finished, cancelled, expired = [await open_upload(services, caller) for _ in range(3)]
    for file_id in (finished, cancelled, expired):
        await send(services, file_id, 0, CONTENT)
    await finish(services, caller, finished)
    async with services.database.transaction() as connection:
        await services.uploads.cancel(connection, caller, cancelled)
        await connection.execute(
            "update upload set last_piece_at = now() - interval '1 year' where file_id = %s", (expired,)
        )
        assert await services.uploads.expire_due(connection) == [expired]
    for file_id in (cancelled, expired):
        await services.uploads.discard(file_id)
        assert not services.uploads.staging_path(file_id).exists()
    for file_id in (finished, cancelled, expired, new_file_id(), "../etc/passwd", "", "A" * 32):
        with pytest.raises(UnknownUpload):
            await send(services, file_id, 0, b"y" * 10)
    assert services.uploads.staging_path(finished).read_bytes() == CONTENT


async def test_cancelling_stops_a_piece_in_flight_and_leaves_no_file(services: UploadServices, caller: Caller) -> None:
    file_id = await open_upload(services, caller)
    slow = Slow()
    piece = asyncio.create_task(services.uploads.piece(file_id, slow.stream(), start=0, shortest=len(CONTENT)))
    slow.send(CONTENT[:2000])
    await leased(services, 1)
    async with services.database.transaction() as connection:
        await services.uploads.cancel(connection, caller, file_id)
    await services.uploads.discard(file_id)
    slow.send(CONTENT[2000:])
    slow.send(b"")
    with pytest.raises((Superseded, UnknownUpload)):
        await piece
    assert not services.uploads.staging_path(file_id).exists()


async def test_a_last_byte_that_a_neighbour_is_sending_is_waited_for_and_compared(
    services: UploadServices, caller: Caller
) -> None:
    file_id = await open_upload(services, caller)
    slow = Slow()
    neighbour = asyncio.create_task(services.uploads.piece(file_id, slow.stream(), start=1000, shortest=1000))
    slow.send(CONTENT[1000:1500])
    await slow.is_read()
    same, other = (CONTENT[:1001], CONTENT[:1000] + bytes([CONTENT[1000] ^ 1]))
    pieces = [
        asyncio.create_task(services.uploads.piece(file_id, stream(data), start=0, shortest=1000, longest=1001))
        for data in (other, same)
    ]
    slow.send(CONTENT[1500:2000])
    slow.send(b"")
    await neighbour
    with pytest.raises(BadPiece):
        await pieces[0]
    assert (await pieces[1]).length == 1001
    assert services.uploads.staging_path(file_id).read_bytes()[:2000] == CONTENT[:2000]


async def test_a_piece_whose_upload_another_process_ends_meanwhile_is_not_recorded(
    services: UploadServices, caller: Caller
) -> None:
    file_id = await open_upload(services, caller)
    slow = Slow()
    piece = asyncio.create_task(services.uploads.piece(file_id, slow.stream(), start=0, shortest=len(CONTENT)))
    slow.send(CONTENT[:2000])
    await slow.is_read()
    async with services.database.connection() as connection:
        await connection.execute("update upload set state = 'expired' where file_id = %s", (file_id,))
    slow.send(CONTENT[2000:])
    slow.send(b"")
    with pytest.raises(UnknownUpload):
        await piece
    assert await received(services, file_id) == ()


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
