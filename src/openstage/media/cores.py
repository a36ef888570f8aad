"""Processors for media tools that shall keep to some: each to one tool of the machine at a time, whoever started it."""

import contextlib
import os
import socket
from collections.abc import Iterator

# A name that only one socket of the machine can have, and that goes with it (unix(7), abstract addresses).
NAME = "\0openstage-core"


@contextlib.contextmanager
def leased(count: int) -> Iterator[tuple[int, ...]]:
    """Hold so many processors while the context lasts; ends with the process, however that ends.

    ffmpeg has a thread for each of its encoders even if each encodes with one thread. Bound to a processor of its own,
    a process costs what the operator has set, and several of them don't stand in each other's way.

    Yields:
        Numbers of the processors; none if there aren't so many left: then the tool had better not be bound.

    """
    held: dict[int, socket.socket] = {}
    try:
        for core in sorted(os.sched_getaffinity(0)):
            if len(held) == count:
                break
            lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                lock.bind(f"{NAME}-{core}")
            except OSError:
                lock.close()
            else:
                held[core] = lock
        if len(held) < count:
            _release(held)
        yield tuple(held)
    finally:
        _release(held)


def _release(held: dict[int, socket.socket]) -> None:
    while held:
        held.popitem()[1].close()
