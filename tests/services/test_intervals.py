"""Intervals against published values."""

import pytest

from services.intervals import wilson_interval


@pytest.mark.parametrize(
    ("right", "crops", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_an_accuracy_is_wilsons(right: int, crops: int, low: float, high: float) -> None:
    assert wilson_interval(right, crops) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_is_wilsons() -> None:
    low, high = wilson_interval(45, 50)

    assert (round(low, 4), round(high, 4)) == (0.7864, 0.9565)  # R: prop.test(45, 50, correct = FALSE)
    assert wilson_interval(0, 3)[0] == 0
    assert wilson_interval(3, 3)[1] == 1
