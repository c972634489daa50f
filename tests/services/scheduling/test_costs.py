"""What long work costs: learned from what it took, uncertain where little was measured."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.jobs.phases import Phase
from services.jobs.workloads import Workload
from services.scheduling.costs import MEMORY_S, Pace, cost_of, learn

TRAINING = Phase("mock/training/mock/strong/digits/200/256x256", "mock", steps=100, step_s=0.01)
WORK = Workload((TRAINING,), "mock/training/fixed", fixed_s=0.0)
KNOWN_WELL = Pace(math.log(3), 0.0, MEMORY_S)

_seconds = st.floats(1e-3, 1e4)


def test_work_of_which_nothing_is_known_costs_its_reference_give_or_take() -> None:
    cost = cost_of(WORK, {})

    assert cost.median_s == pytest.approx(1.0)
    assert cost.low_s < 0.5
    assert cost.high_s > 2.0


def test_measured_work_costs_the_measured_time() -> None:
    cost = cost_of(WORK, {TRAINING.kind: KNOWN_WELL})

    assert cost.median_s == pytest.approx(3.0)
    assert cost.high_s / cost.low_s < 1.6


def test_work_of_another_shape_goes_at_the_pace_of_its_execution_less_surely() -> None:
    exact = cost_of(WORK, {TRAINING.kind: KNOWN_WELL})
    other = cost_of(WORK, {TRAINING.wider_kind: KNOWN_WELL})

    assert other.median_s == pytest.approx(exact.median_s)
    assert other.high_s > exact.high_s
    assert other.low_s < exact.low_s


def test_the_measurement_of_its_own_kind_goes_before_that_of_a_wider_one() -> None:
    paces = {TRAINING.kind: KNOWN_WELL, TRAINING.wider_kind: Pace(math.log(50), 0.0, MEMORY_S)}

    assert cost_of(WORK, paces).median_s == pytest.approx(3.0)


def test_what_is_done_costs_nothing_more() -> None:
    half = cost_of(WORK.after(50), {TRAINING.kind: KNOWN_WELL})
    rest = cost_of(WORK.after(1000), {TRAINING.kind: KNOWN_WELL})

    assert half.median_s == pytest.approx(1.5)
    assert rest.median_s == 0.0


def test_work_is_done_phase_by_phase() -> None:
    second = Phase("emulator/training/chip/strong/digits/200/64", "chip", steps=10, step_s=1.0)
    work = Workload((TRAINING, second), "emulator/training/fixed", 0.0)

    left = work.after(103)

    assert [phase.steps for phase in left.phases] == [0, 7]


def test_measurements_that_differ_widen_the_range() -> None:
    steady = changing = None
    for number in range(20):
        steady = learn(steady, 2.0, 1.0, weight_s=1.0)
        changing = learn(changing, 1.0 if number % 2 else 4.0, 1.0, weight_s=1.0)

    assert steady is not None
    assert changing is not None
    assert math.exp(steady.log_mean) == pytest.approx(2.0)
    assert steady.log_variance == pytest.approx(0.0, abs=1e-9)
    assert changing.log_variance > 0.3


def test_old_measurements_fade() -> None:
    pace = Pace(math.log(10.0), 0.0, MEMORY_S)

    for _ in range(5):
        pace = learn(pace, 30.0, 30.0, weight_s=MEMORY_S)

    assert math.exp(pace.log_mean) < 1.1


@given(st.lists(st.tuples(_seconds, _seconds, _seconds), min_size=1, max_size=20))
def test_a_pace_lies_between_the_measurements(measured: list[tuple[float, float, float]]) -> None:
    pace = None
    for took_s, reference_s, weight_s in measured:
        pace = learn(pace, took_s, reference_s, weight_s=weight_s)

    assert pace is not None
    found = [math.log(took_s / reference_s) for took_s, reference_s, _ in measured]
    assert min(found) - 1e-9 <= pace.log_mean <= max(found) + 1e-9
    assert 0 < pace.weight_s <= max(MEMORY_S, measured[0][2])


@given(st.floats(-3, 3), st.floats(0, 2), st.floats(0, MEMORY_S), st.integers(0, 100))
def test_a_cost_is_a_range_and_never_grows_by_working(
    log_mean: float, variance: float, weight_s: float, done: int
) -> None:
    paces = {TRAINING.kind: Pace(log_mean, variance, weight_s)}

    before, after = cost_of(WORK.after(done), paces), cost_of(WORK.after(done + 1), paces)

    assert before.low_s <= before.median_s <= before.high_s
    assert after.high_s <= before.high_s


@pytest.mark.parametrize("wrong", [(math.nan, 0.0, 1.0), (0.0, -1.0, 1.0), (0.0, 0.0, math.inf)])
def test_what_is_no_pace_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="pace"):
        Pace(*wrong)
