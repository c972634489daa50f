"""The meters of a chip's time: shares of time, of which the recent counts most."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduling.meters import BusyMeter, ShareMeter


def test_an_idle_chip_owes_long_work_nothing() -> None:
    assert ShareMeter().long_share == 1.0


def test_the_share_is_that_of_the_recorded_time() -> None:
    meter = ShareMeter(half_life_s=1e9)

    meter.note(1.0, is_long=True)
    meter.note(3.0, is_long=False)

    assert meter.long_share == pytest.approx(0.25)


def test_what_was_long_ago_counts_less() -> None:
    meter = ShareMeter(half_life_s=1.0)
    meter.note(1.0, is_long=True)

    meter.note(1.0, is_long=False)

    assert meter.long_share == pytest.approx(0.5 / 1.5)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30))
@settings(deadline=None, max_examples=60)
def test_the_share_is_never_outside_its_range(units: list[tuple[float, bool]]) -> None:
    meter = ShareMeter()

    for seconds, is_long in units:
        meter.note(seconds, is_long=is_long)

    assert 0.0 <= meter.long_share <= 1.0
    assert not math.isnan(meter.long_share)


def test_a_chip_that_is_free_has_all_its_time_for_long_work() -> None:
    meter = BusyMeter()

    meter.note(5.0, 0.0)

    assert meter.after(0.0) == 0.0


def test_the_busy_share_is_that_of_time_and_fades_while_the_chip_rests() -> None:
    meter = BusyMeter(half_life_s=10.0)
    for _ in range(10_000):
        meter.note(0.01, 0.004)

    assert meter.after(0.0) == pytest.approx(0.4, rel=0.01)
    assert meter.after(10.0) == pytest.approx(0.2, rel=0.01)
