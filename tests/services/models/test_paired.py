"""Statistics of paired readings, against published and hand-computed values, and in simulations."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.models.paired import PairedTable, Verdict

COUNTS = st.integers(0, 400)
TABLES = st.builds(PairedTable, COUNTS, COUNTS, COUNTS, COUNTS).filter(lambda table: table.crops > 0)


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 2**5),
        (9, 1, 2 * (1 + 10) / 2**10),
        (2, 12, 2 * (1 + 14 + 91) / 2**14),
        (3, 3, 1.0),
    ],
)
def test_mcnemars_exact_test_is_the_binomial_one(gained: int, lost: int, p_value: float) -> None:
    assert PairedTable(80, gained, lost, 7).p_value == pytest.approx(p_value)
    assert PairedTable(80, lost, gained, 7).p_value == pytest.approx(p_value)


def test_mcnemars_exact_test_takes_large_counts() -> None:
    # The normal approximation with continuity correction: (|b - c| - 1)^2 / (b + c) is 7.92 or z = 2.8143.
    assert PairedTable(90_000, 5100, 4817, 83).p_value == pytest.approx(0.00461, abs=0.0001)


@pytest.mark.parametrize(
    "table",
    [(36, 12, 2, 0), (43, 0, 1, 0), (9700, 60, 40, 200), (20, 12, 2, 16)],
)
def test_the_interval_of_the_difference_is_that_of_the_likelihood(table: tuple[int, int, int, int]) -> None:
    low, high = PairedTable(*table).interval()

    assert _score(table, low) == pytest.approx(1.95996, abs=1e-3)
    assert _score(table, high) == pytest.approx(-1.95996, abs=1e-3)


def _score(table: tuple[int, int, int, int], difference: float) -> float:
    """The score statistic, with the share of lost crops that is most likely found by search."""
    alike, gained, lost = table[0] + table[3], table[1], table[2]
    crops = alike + gained + lost

    def likelihood(share: float) -> float:
        terms = [(gained, share + difference), (lost, share), (alike, 1 - 2 * share - difference)]
        return sum(number * math.log(probability) for number, probability in terms if number)

    low, high = max(0.0, -difference) + 1e-13, (1 - difference) / 2 - 1e-13
    for _ in range(300):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (a, high) if likelihood(a) < likelihood(b) else (low, b)
    variance = crops * (low + high + difference - difference**2)
    return (gained - lost - crops * difference) / math.sqrt(variance)


def test_equal_readings_leave_an_interval_around_zero() -> None:
    # Without a difference the score test is that of a share of zero: z^2 / (n + z^2).
    interval = PairedTable(480, 0, 0, 20).interval()

    assert interval == pytest.approx((-0.0076243, 0.0076243), abs=1e-6)


@given(TABLES)
def test_the_interval_holds_the_difference_and_turns_with_the_sides(table: PairedTable) -> None:
    low, high = table.interval()
    turned = PairedTable(table.both_right, table.only_present, table.only_candidate, table.both_wrong)

    assert -1 <= low <= table.difference + 1e-9
    assert table.difference - 1e-9 <= high <= 1
    assert turned.interval() == pytest.approx((-high, -low), abs=1e-6)


@pytest.mark.parametrize(
    ("table", "verdict"),
    [
        (PairedTable(9600, 100, 50, 250), "better"),
        (PairedTable(9600, 60, 60, 280), "not_worse"),
        (PairedTable(9600, 40, 65, 295), "not_worse"),
        (PairedTable(9600, 50, 100, 250), "worse"),
        (PairedTable(9500, 100, 130, 270), "undecided"),
        (PairedTable(340, 3, 3, 14), "undecided"),
    ],
)
def test_a_verdict_needs_crops_and_knows_the_margin(table: PairedTable, verdict: Verdict) -> None:
    assert table.verdict(0.005) == verdict


def _verdicts(gained: float, lost: float, crops: int, *, times: int = 1000) -> Counter[Verdict]:
    """Verdicts on drawn tables in which these shares of the crops are read right by one version alone."""
    random = np.random.default_rng(7)
    shares = [0.95 - gained - lost, gained, lost, 0.05]
    return Counter(
        PairedTable(*map(int, row)).verdict(0.005) for row in random.multinomial(crops, shares, times)
    )


def test_equal_versions_are_rarely_taken_for_different_ones() -> None:
    found = _verdicts(0.01, 0.01, 10_000)

    assert found["better"] + found["worse"] <= 50
    assert found["not_worse"] >= 900


def test_a_version_worse_by_the_margin_is_rarely_promoted() -> None:
    found = _verdicts(0.0075, 0.0125, 10_000)

    assert found["better"] == 0
    assert found["not_worse"] <= 40


def test_a_true_difference_is_found() -> None:
    assert _verdicts(0.016, 0.008, 10_000)["better"] >= 950
    assert _verdicts(0.008, 0.024, 10_000)["worse"] >= 950


def test_few_crops_show_nothing() -> None:
    assert _verdicts(0.01, 0.01, 300)["undecided"] >= 900
