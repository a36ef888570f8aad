"""The bell that signal handlers ring: at any moment, also within one another."""

import sys
import threading
import time
from types import FrameType
from typing import Any

from openstage.server.bell import Bell


def test_it_may_be_rung_at_any_moment_of_itself() -> None:
    bell, moments = Bell(), 0
    inside = False

    def ring_within(_: FrameType, event: str, __: Any) -> Any:
        # As a signal handler would: in the same thread, between two steps.
        nonlocal inside, moments
        if event == "line" and not inside:
            inside = True
            moments += 1
            bell.ring()
            inside = False
        return ring_within

    def use() -> None:
        sys.settrace(ring_within)
        bell.ring()
        bell.wait(1)
        sys.settrace(None)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for itself"
    assert moments > 3


def test_a_ring_before_the_wait_counts_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    start = time.monotonic()
    bell.wait(30)
    assert time.monotonic() - start < 10
    start = time.monotonic()
    bell.wait(0.05)
    assert time.monotonic() - start >= 0.04
