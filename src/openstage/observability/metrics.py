"""Prometheus metrics of one process (docs/operating/metrics.md lists them)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

registry = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
GCCollector(registry=registry)

requests = Counter("openstage_requests", "Requests answered.", ["surface", "method", "status"], registry=registry)
request_seconds = Histogram(
    "openstage_request_seconds",
    "Time from a request's head to the end of its reply.",
    ["surface"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 120),
    registry=registry,
)
requests_in_flight = Gauge("openstage_requests_in_flight", "Requests being answered.", registry=registry)
received_bytes = Counter("openstage_received_bytes", "Bytes of request bodies read.", registry=registry)
sent_bytes = Counter("openstage_sent_bytes", "Bytes of reply bodies sent.", registry=registry)
works = Gauge("openstage_works", "Works by state.", ["state"], registry=registry)
jobs = Gauge("openstage_jobs", "Jobs by status.", ["status"], registry=registry)
callbacks = Gauge("openstage_callbacks", "Callbacks in the log, by state.", ["state"], registry=registry)
callback_lag_seconds = Gauge(
    "openstage_callback_lag_seconds",
    "For how long the callback that waits longest beyond its time has waited.",
    registry=registry,
)
free_bytes = Gauge("openstage_free_bytes", "Free bytes on the data folder's disk.", registry=registry)
