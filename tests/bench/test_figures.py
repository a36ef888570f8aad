"""What the benchmark's table says of its figures."""

import pytest

from bench.figures import Row, Section, Series, Target
from bench.report import as_markdown

OURS = Series("MB/s", (100.0, 300.0, 200.0))
PEER = Series("MB/s", (200.0, 300.0, 800.0))


def test_ratios_are_formed_within_each_round() -> None:
    assert OURS.ratio_to(PEER).values == (0.5, 1.0, 0.25)
    assert OURS.ratio_to(PEER).median == 0.5


def test_ratios_of_different_numbers_of_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        OURS.ratio_to(Series("MB/s", (1.0,)))


@pytest.mark.parametrize(("bound", "reached"), [(0.5, True), (0.51, False)])
def test_a_target_holds_for_the_median_of_the_ratios(bound: float, reached: bool) -> None:
    row = Row("ours", OURS, {"peer": OURS.ratio_to(PEER)}, Target(bound, "peer"))
    assert row.reached is reached


@pytest.mark.parametrize(("limit", "reached"), [(200.0, False), (200.1, True)])
def test_a_limit_holds_below_it(limit: float, reached: bool) -> None:
    assert Row("memory", OURS, target=Target(limit, sign="<")).reached is reached


def test_without_the_peer_a_target_is_neither_reached_nor_missed() -> None:
    assert Row("ours", OURS, target=Target(0.5, "peer")).reached is None


def test_the_page_says_what_was_missed_and_what_was_left_out() -> None:
    rows = [Row("ours", OURS, {"peer": OURS.ratio_to(PEER)}, Target(0.6, "peer")), Row("peer", PEER, ours=False)]
    description = {
        "cpu": "A processor",
        "cores": 2,
        "memory_gib": 4,
        "system": "Debian",
        "kernel": "6.1",
        "load_before": 0.1,
        "scale": 1.0,
        "rounds": 3,
        "versions": {"python": "3.11"},
    }
    page = as_markdown(description, [Section("Uploads", rows, ["tus: no Node."])])
    assert "| ours | 200 MB/s (100–300) | 0.50 (0.25–1.00) | ≥ 0.6 of peer: MISSED |" in page
    assert "Left out: tus: no Node." in page
