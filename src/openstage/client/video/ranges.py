"""Arithmetic of byte ranges. In here a range is half-open, `(start, end)`; the wire's are inclusive."""

from collections.abc import Iterable, Iterator

Range = tuple[int, int]


def merge(ranges: Iterable[Range]) -> list[Range]:
    """Sort ranges and join those that touch or overlap; empty ones vanish."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def missing(received: Iterable[Range], size: int) -> list[Range]:
    """Give what of a file of `size` bytes is not in `received`."""
    gaps: list[Range] = []
    position = 0
    for start, end in merge(received):
        if start > position:
            gaps.append((position, min(start, size)))
        position = max(position, end)
    if position < size:
        gaps.append((position, size))
    return [gap for gap in gaps if gap[0] < gap[1]]


def cut(ranges: Iterable[Range], piece_size: int) -> Iterator[Range]:
    """Cut ranges into pieces of at most `piece_size` bytes."""
    for start, end in ranges:
        for position in range(start, end, piece_size):
            yield position, min(position + piece_size, end)


def total(ranges: Iterable[Range]) -> int:
    """Count the bytes of disjoint ranges."""
    return sum(end - start for start, end in ranges)


def from_wire(pairs: object) -> list[Range]:
    """Read `[[start, end_inclusive], …]`.

    Raises:
        ValueError: it is something else.

    """
    try:
        return merge((int(start), int(end) + 1) for start, end in pairs)  # type: ignore[attr-defined]
    except TypeError as error:
        raise ValueError("not a list of ranges") from error
