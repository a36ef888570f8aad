"""Figures of requests are what Prometheus expects of counters and histograms."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from openstage.observability.traffic import BUCKETS, Traffic


def samples(traffic: Traffic) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(traffic)
    text = generate_latest(registry).decode()
    return {
        (sample.name, ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_times_are_counted_up_to_the_end_of_each_range() -> None:
    traffic = Traffic()
    for seconds in (0.0004, 0.001, 0.003, 2.0, 1000.0):
        traffic.count("video", "GET", 200, seconds)
    found = samples(traffic)
    below = [found["openstage_request_seconds_bucket", f"le={end},surface=video"] for end in (*BUCKETS, "+Inf")]
    assert below == [2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5]
    assert found["openstage_request_seconds_count", "surface=video"] == 5
    assert found["openstage_request_seconds_sum", "surface=video"] == 1002.0044


def test_requests_are_told_apart_by_surface_method_and_status() -> None:
    traffic = Traffic()
    for surface, method, status in (
        ("video", "GET", 200),
        ("video", "GET", 200),
        ("video", "POST", 200),
        ("", "GET", 0),
    ):
        traffic.count(surface, method, status, 0.0)
    found = samples(traffic)
    assert found["openstage_requests_total", "method=GET,status=200,surface=video"] == 2
    assert found["openstage_requests_total", "method=POST,status=200,surface=video"] == 1
    assert found["openstage_requests_total", "method=GET,status=0,surface="] == 1


def test_bytes_and_what_is_under_way_are_told() -> None:
    traffic = Traffic()
    traffic.received, traffic.sent, traffic.in_flight = 10**12, 7, 3
    found = samples(traffic)
    assert found["openstage_received_bytes_total", ""] == 10**12
    assert found["openstage_sent_bytes_total", ""] == 7
    assert found["openstage_requests_in_flight", ""] == 3
