"""When a delivery is tried."""

import pytest

from services.webhooks.retries import LONGEST_ASKED_S, PAUSES_S, pause_s


def test_the_pauses_grow_and_end_within_a_day() -> None:
    pauses = [pause_s(tries, 0.5) for tries in range(1, 12)]

    assert pauses == [*PAUSES_S, None, None]
    assert list(PAUSES_S) == sorted(PAUSES_S)
    assert 8 * 3600 < sum(PAUSES_S) * 0.8 < sum(PAUSES_S) * 1.2 < 24 * 3600


@pytest.mark.parametrize(("draw", "expected"), [(0.0, 96.0), (0.5, 120.0), (1.0, 144.0)])
def test_chance_moves_a_pause_by_a_fifth_at_most(draw: float, expected: float) -> None:
    assert pause_s(3, draw) == pytest.approx(expected)


@pytest.mark.parametrize(("asked_s", "expected"), [(1.0, 5.0), (60.0, 60.0), (1e9, LONGEST_ASKED_S)])
def test_a_receiver_may_ask_for_more_time_but_not_for_ever(asked_s: float, expected: float) -> None:
    assert pause_s(1, 0.5, asked_s) == expected
