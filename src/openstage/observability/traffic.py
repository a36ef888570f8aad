"""Counts of requests, as Prometheus reads them.

Plain numbers that are made into metrics only when somebody asks for them: all requests are counted on one event loop,
so nothing has to be locked, and to count one costs next to nothing.
"""

import bisect
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0)
"""Upper ends of the ranges into which the times of requests are counted, in seconds; what takes longer comes last."""


class _Times:
    """How long the requests of a surface took."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0


class Traffic(Collector):
    """What a process has answered.

    Attributes:
        in_flight: requests that are being answered.
        received: bytes of request bodies read.
        sent: bytes of reply bodies sent.

    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.received = 0
        self.sent = 0
        self._answered: dict[tuple[str, str, int], int] = {}
        self._times: dict[str, _Times] = {}

    def count(self, surface: str, method: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            surface: the part of the server that it went to (`middleware.SURFACES`).
            method: one of the known ones, or `other`.
            status: of the reply; 0: there was none.
            seconds: from the request's head to the end of its reply.

        """
        kind = (surface, method, status)
        self._answered[kind] = self._answered.get(kind, 0) + 1
        times = self._times.get(surface)
        if times is None:
            times = self._times[surface] = _Times()
        times.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        times.total += seconds

    def collect(
        self,
    ) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """Give the metrics as they are now (docs/operating/monitoring.md)."""
        requests = CounterMetricFamily(
            "openstage_requests", "Requests answered.", labels=["surface", "method", "status"]
        )
        for (surface, method, status), count in self._answered.items():
            requests.add_metric([surface, method, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "openstage_request_seconds", "Time from a request's head to the end of its reply.", labels=["surface"]
        )
        ends = [*map(floatToGoString, BUCKETS), "+Inf"]
        for surface, times in self._times.items():
            below = [float(count) for count in accumulate(times.counts)]
            seconds.add_metric([surface], list(zip(ends, below, strict=True)), times.total)
        yield seconds
        yield GaugeMetricFamily("openstage_requests_in_flight", "Requests being answered.", self.in_flight)
        yield CounterMetricFamily("openstage_received_bytes", "Bytes of request bodies read.", self.received)
        yield CounterMetricFamily("openstage_sent_bytes", "Bytes of reply bodies sent.", self.sent)
