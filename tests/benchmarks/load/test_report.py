import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.report import percentile


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.991, 100), (0.0, 1)])
def test_a_percentile_is_a_measured_value(share: float, expected: float) -> None:
    assert percentile(range(1, 101), share) == expected


def test_without_measurements_a_percentile_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_at_least_the_asked_share_is_no_larger(values: list[float], share: float) -> None:
    ordered = sorted(values)

    found = percentile(ordered, share)

    assert sum(value <= found for value in ordered) >= share * len(ordered) * (1 - 1e-12)
