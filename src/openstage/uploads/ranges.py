"""Arithmetic of byte ranges: pairs (start, end), `end` exclusive, in order, neither touching nor overlapping."""

from collections.abc import Iterable, Sequence

ByteRange = tuple[int, int]


def missing_from(received: Iterable[ByteRange], start: int, end: int) -> list[ByteRange]:
    """Stretches of start…end that are in none of the received ranges."""
    missing = []
    position = start
    for known_start, known_end in received:
        if known_end <= position:
            continue
        if known_start >= end:
            break
        if known_start > position:
            missing.append((position, known_start))
        position = known_end
    if position < end:
        missing.append((position, end))
    return missing


def cut(received: Sequence[ByteRange], start: int, end: int) -> list[tuple[int, int, bool]]:
    """Cut start…end where what has been received begins and ends.

    Returns:
        Stretches (start, end, known) in order, that together make start…end.

    """
    stretches = [(begin, stop, False) for begin, stop in missing_from(received, start, end)]
    known = [(max(begin, start), min(stop, end)) for begin, stop in received]
    return sorted([*stretches, *((begin, stop, True) for begin, stop in known if begin < stop)])
