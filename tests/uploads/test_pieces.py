"""Pieces make a file: in any order, repeated, at once; and nothing but what is acknowledged counts."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openstage.identity.models import Caller
from openstage.uploads import service
from openstage.uploads.errors import BadPiece, Superseded, UnknownUpload
from openstage.uploads.models import PieceReceipt, new_file_id
from tests.support.waiting import wait_until
from tests.uploads.application import UploadServices
from tests.uploads.sending import CONTENT, finish, open_upload, received, send, stream


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
