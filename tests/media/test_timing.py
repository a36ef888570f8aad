"""Frame rates told from time stamps, as containers round them."""

from fractions import Fraction

import pytest

from openstage.media.timing import exact_rate, frame_rates


def stamps(rate: float, count: int = 200, digits: int = 6) -> list[float]:
    """Time stamps at a steady pace, rounded as a container does it."""
    return [round(number / rate, digits) for number in range(count)]


@pytest.mark.parametrize("rate", [10.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 120.0])
@pytest.mark.parametrize("digits", [3, 6])
def test_a_steady_pace(rate: float, digits: int) -> None:
    rates = frame_rates(stamps(rate, digits=digits), guessed=0.0, average=0.0)
    assert not rates.variable
    assert rates.nominal == pytest.approx(rate, rel=0.001)
    assert rates.average == pytest.approx(rate, rel=0.001)


def test_reordered_stamps_are_put_in_order() -> None:
    ordered = stamps(25.0)
    mixed = [ordered[place ^ 1] for place in range(len(ordered))]
    assert not frame_rates(mixed, guessed=25.0, average=25.0).variable


def test_a_varying_pace() -> None:
    first = stamps(30.0, 60)
    slow = [2.0 + number / 10 for number in range(30)]
    rates = frame_rates([*first, *slow], guessed=30.0, average=0.0)
    assert rates.variable
    assert rates.nominal == pytest.approx(30, rel=0.01)
    assert rates.average == pytest.approx(18, rel=0.1)


def test_a_single_gap_is_no_varying_pace() -> None:
    gap = [*stamps(25.0, 100), *(10 + it for it in stamps(25.0, 100))]
    assert not frame_rates(gap, guessed=25.0, average=25.0).variable


def test_too_few_stamps() -> None:
    assert frame_rates([], guessed=25.0, average=0.0).nominal == 25
    assert frame_rates([1.0], guessed=90000.0, average=0.0).nominal == 25
    assert frame_rates([1.0, 1.0], guessed=0.0, average=0.0).nominal == 25


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (29.97, Fraction(30000, 1001)),
        (29.97003, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (24.0, Fraction(24)),
        (24.001, Fraction(24)),
        (17.123, Fraction(17123, 1000)),
    ],
)
def test_exact_rates(rate: float, exact: Fraction) -> None:
    assert exact_rate(rate) == exact
