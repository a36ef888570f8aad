"""The time by which requests are signed: this machine's, put right by what a server says of its own."""

import email.utils
import time
from collections.abc import Callable
from typing import Final, TypeVar

from openstage.client.requests import Reply, Request

T = TypeVar("T")
LEAST: Final = 1.0
"""Seconds; `Date` has no fractions, so a smaller difference says nothing."""


class Clock:
    """One server's clock, as far as it is known. Begins as this machine's."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._told: float | None = None

    def now(self) -> float:
        """Seconds since the epoch at the server."""
        return time.time() + self._ahead

    def noting(self, read: Callable[[Request, Reply], T]) -> Callable[[Request, Reply], T]:
        """Read replies as before, and remember the time that they tell (`Date`: RFC 9110, 6.6.1)."""

        def reading(request: Request, reply: Reply) -> T:
            try:
                date = email.utils.parsedate_to_datetime(reply.headers.get("date", ""))
                self._told = date.timestamp() - time.time()
            except ValueError:
                self._told = None
            return read(request, reply)

        return reading

    def correct(self) -> bool:
        """Go by the time that the last reply told; False if it told none, or what was gone by already."""
        if self._told is None or abs(self._told - self._ahead) < LEAST:
            return False
        self._ahead = self._told
        return True
