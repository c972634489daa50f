"""Expected ends of trainings beside programs: they hold in simulated time, under the policy itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduling.costs import Cost
from services.scheduling.forecast import Ahead, Expectation, Supply, foresee, supply_of
from services.scheduling.policy import LongJob, Policy
from tests.planner.day import Day, costs

_POLICY = Policy()
_SUBMITTED_AT = 30.0


def _train_beside(
    programs: int, chip_s: list[float], home_s: float, step_s: float, steps: int
) -> tuple[float, float]:
    """Let programs compute alone, then beside a training; return their share alone, and the seconds that it took."""
    day = Day(1, costs(around_s=0.001, step_s=step_s))
    work_s = steps * step_s
    for number in range(programs):
        day.compute(f"u{number}", chip_s, home_s, until=_SUBMITTED_AT + 6 * work_s)
    day.env.run(until=_SUBMITTED_AT)
    alone = sum(day.pool.chips[0].spent_s.values()) / _SUBMITTED_AT
    day.train([(0.0, "ada", steps)])
    day.run()
    return alone, day.statistics.ended[0].ended_at - _SUBMITTED_AT


def _expected(work_s: float, supply: Supply) -> Expectation:
    ahead = [Ahead(LongJob("mine", "ada", _SUBMITTED_AT), Cost(work_s, work_s, work_s))]
    return foresee(ahead, {}, _SUBMITTED_AT, _POLICY, supply)["mine"]


@given(
    st.integers(1, 4),
    st.lists(st.sampled_from([0.001, 0.0025, 0.005, 0.04, 0.17]), min_size=1, max_size=3),
    st.sampled_from([0.001, 0.005, 0.05]),
    st.sampled_from([0.006, 0.05, 0.3]),
)
@settings(deadline=None, max_examples=12)
def test_a_training_beside_programs_ends_when_it_is_expected(
    programs: int, chip_s: list[float], home_s: float, step_s: float
) -> None:
    steps = round(6.0 / step_s)

    alone, took_s = _train_beside(programs, chip_s, home_s, step_s, steps)

    finish = _expected(steps * step_s, supply_of(alone, alone, 1, _POLICY)).finish
    # A mini-batch or an operation runs when it comes, and the worker looks and stores between any two units.
    assert finish.earliest_s <= took_s <= 1.1 * finish.latest_s + 0.5


def test_programs_leave_a_training_on_a_real_chip_more_than_they_left_it_idle() -> None:
    alone, took_s = _train_beside(1, [0.168, 0.043, 0.043], 0.005, 0.3, 40)

    as_if_crops = _expected(12.0, supply_of(alone, 0.0, 1, _POLICY)).finish
    expected = _expected(12.0, supply_of(alone, alone, 1, _POLICY)).finish

    assert alone > 0.9
    assert took_s < as_if_crops.earliest_s
    assert expected.earliest_s <= took_s <= expected.latest_s
