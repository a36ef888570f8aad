"""Prometheus metrics of one process (docs/operating/monitoring.md lists them)."""

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from openstage.observability.traffic import Traffic

registry = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
GCCollector(registry=registry)

traffic = Traffic()
registry.register(traffic)

works = Gauge("openstage_works", "Works by state.", ["state"], registry=registry)
jobs = Gauge("openstage_jobs", "Jobs by status.", ["status"], registry=registry)
callbacks = Gauge("openstage_callbacks", "Callbacks in the log, by state.", ["state"], registry=registry)
callback_lag_seconds = Gauge(
    "openstage_callback_lag_seconds",
    "For how long the callback that waits longest beyond its time has waited.",
    registry=registry,
)
free_bytes = Gauge("openstage_free_bytes", "Free bytes on the data folder's disk.", registry=registry)
