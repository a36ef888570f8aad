"""Arithmetic of received ranges."""

from hypothesis import given
from hypothesis import strategies as st

from openstage.uploads.ranges import ByteRange, cut, missing_from

SIZE = 40


@st.composite
def received(draw: st.DrawFn) -> list[ByteRange]:
    flags = draw(st.lists(st.booleans(), min_size=SIZE, max_size=SIZE))
    edges = [at for at in range(SIZE + 1) if (flags[at] if at < SIZE else False) != (flags[at - 1] if at else False)]
    return list(zip(edges[::2], edges[1::2], strict=True))


spans = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(lambda pair: (min(pair), max(pair)))


def bytes_of(ranges: list[ByteRange]) -> set[int]:
    return {at for start, end in ranges for at in range(start, end)}


@given(received(), spans)
def test_what_is_missing_is_what_was_not_received(ranges: list[ByteRange], span: ByteRange) -> None:
    missing = missing_from(ranges, *span)
    assert bytes_of(missing) == set(range(*span)) - bytes_of(ranges)
    assert all(start < end for start, end in missing)


@given(received(), spans)
def test_a_cut_covers_the_span_once_and_tells_what_is_known(ranges: list[ByteRange], span: ByteRange) -> None:
    position = span[0]
    for start, end, known in cut(ranges, *span):
        assert start == position
        assert start < end
        assert set(range(start, end)) <= bytes_of(ranges) if known else not set(range(start, end)) & bytes_of(ranges)
        position = end
    assert position == span[1]
