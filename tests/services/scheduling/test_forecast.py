"""The forecast: it is what the policy does, slice by slice, and its ranges hold what they must."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduling.costs import Cost
from services.scheduling.forecast import ROUNDS, Ahead, Supply, foresee, run_ahead
from services.scheduling.policy import Charge, LongJob, Policy, RunSlice, Situation, next_unit
from services.scheduling.turns import queue_order

NOW = 1000.0
POLICY = Policy(quantum_s=0.5, half_life_s=600)
_properties = settings(deadline=None, max_examples=60)


def _job(name: str, user: str = "ada", created_at: float = 1.0, *, is_maintenance: bool = False) -> LongJob:
    return LongJob(name, user, created_at, is_maintenance)


@st.composite
def _queues(draw: st.DrawFn) -> tuple[list[tuple[LongJob, float]], dict[str, Charge]]:
    """Jobs with seconds that are whole quanta or not, of some users with charges."""
    users = draw(st.lists(st.sampled_from(["ada", "bo", "cy", "di"]), min_size=1, max_size=8))
    seconds = draw(st.lists(st.floats(0.05, 6.0), min_size=len(users), max_size=len(users)))
    maintenance = draw(st.lists(st.booleans(), min_size=len(users), max_size=len(users)))
    jobs = [
        (LongJob(f"job-{number}", user, float(number), is_maintenance and number % 4 == 0), seconds_)
        for number, (user, seconds_, is_maintenance) in enumerate(
            zip(users, seconds, maintenance, strict=True)
        )
    ]
    charges = draw(st.dictionaries(st.sampled_from(["ada", "bo", "cy", "di"]), st.floats(0, 20)))
    return jobs, {user: Charge(seconds_, NOW - 5) for user, seconds_ in charges.items()}


def _run_by_policy(
    work: list[tuple[LongJob, float]], charged: dict[str, Charge]
) -> dict[str, tuple[float, float]]:
    """When jobs begin and end under `next_unit` itself, a slice at a time."""
    left = {job.id: seconds for job, seconds in work}
    jobs = {job.id: job for job, _ in work}
    times: dict[str, tuple[float, float]] = {}
    charged, clock = dict(charged), 0.0
    while jobs:
        unit = next_unit(Situation(NOW + clock, (), list(jobs.values()), charged), POLICY)
        assert isinstance(unit, RunSlice)
        seconds = min(unit.quantum_s, left[unit.job_id])
        began, _ = times.get(unit.job_id, (clock, 0.0))
        user = jobs[unit.job_id].user
        before = charged.get(user, Charge(0.0, NOW)).now(NOW + clock, POLICY.half_life_s)
        # Charged as of the slice's beginning, as the forecast does; the order is of users charged at one instant.
        charged[user] = Charge(before + seconds, NOW + clock)
        clock += seconds
        left[unit.job_id] -= seconds
        times[unit.job_id] = began, clock
        if left[unit.job_id] <= 0:
            del jobs[unit.job_id]
    return times


@_properties
@given(_queues())
def test_a_short_queue_is_foreseen_as_the_policy_will_work_it_off(
    queue: tuple[list[tuple[LongJob, float]], dict[str, Charge]],
) -> None:
    work, charged = queue
    # Maintenance is the chip's own, so foreseeing charges it to none of those who take turns.
    work = [(job, seconds) for job, seconds in work if not job.is_maintenance]

    foreseen, done = run_ahead(work, charged, NOW, POLICY), _run_by_policy(work, charged)

    # Slices that are equal to the last bit in one way of counting may change places in the other.
    tolerance_s = POLICY.quantum_s * len({job.user for job, _ in work})
    for job_id, (began, ended) in done.items():
        assert foreseen[job_id][0] == pytest.approx(began, abs=tolerance_s)
        assert foreseen[job_id][1] == pytest.approx(ended, abs=tolerance_s)


@_properties
@given(_queues())
def test_first_in_the_queue_is_the_job_that_the_policy_lets_begin(
    queue: tuple[list[tuple[LongJob, float]], dict[str, Charge]],
) -> None:
    work, charged = queue
    jobs = [job for job, _ in work]

    begun = run_ahead(work, charged, NOW, POLICY)
    unit = next_unit(Situation(NOW, (), jobs, charged), POLICY)

    assert isinstance(unit, RunSlice)
    assert queue_order(jobs, charged, NOW, POLICY)[0] == unit.job_id
    assert begun[unit.job_id][0] == 0.0


@_properties
@given(_queues(), st.floats(0.2, 1.0), st.integers(1, 3))
def test_no_job_is_said_to_end_before_it_can(
    queue: tuple[list[tuple[LongJob, float]], dict[str, Charge]], free: float, chips: int
) -> None:
    work, charged = queue
    ahead = [Ahead(job, Cost(seconds * 0.8, seconds, seconds * 1.3)) for job, seconds in work]

    found = foresee(ahead, charged, NOW, POLICY, Supply(low=0.2, high=free, chips=chips))

    assert set(found) == {job.id for job, _ in work}
    for each in ahead:
        expected = found[each.job.id]
        assert 0 <= expected.start.earliest_s <= expected.start.latest_s
        assert expected.finish.earliest_s <= expected.finish.latest_s
        assert expected.finish.earliest_s >= each.cost.low_s
        assert expected.start.earliest_s <= expected.finish.earliest_s
        assert expected.start.latest_s <= expected.finish.latest_s


@_properties
@given(_queues(), st.floats(0.1, 5.0))
def test_one_more_job_in_the_queue_lets_no_other_end_earlier(
    queue: tuple[list[tuple[LongJob, float]], dict[str, Charge]], seconds: float
) -> None:
    work, charged = queue
    alone = run_ahead(work, charged, NOW, POLICY)

    beside = run_ahead([*work, (_job("more", "eve", 99.0), seconds)], charged, NOW, POLICY)

    # Slices have a length, which depends on the number of users: an end may move by a round of them, as above.
    round_s = POLICY.quantum_s * len({job.user for job, _ in work})
    for job_id, (_, ended) in alone.items():
        assert beside[job_id][1] >= ended - round_s - ended / ROUNDS


def test_all_work_is_done_when_its_time_has_passed() -> None:
    work = [(_job(f"job-{number}", f"user-{number % 7}", number), 3.0) for number in range(40)]

    ends = [ended for _, ended in run_ahead(work, {}, NOW, POLICY, speed=0.5).values()]

    assert max(ends) == pytest.approx(40 * 3.0 / 0.5)


def test_users_take_turns_and_a_short_job_is_not_held_up_by_a_long_one() -> None:
    times = run_ahead([(_job("long", "ada", 1), 100.0), (_job("short", "bo", 2), 1.0)], {}, NOW, POLICY)

    assert times["short"][1] == pytest.approx(2.0)
    assert times["long"][1] == pytest.approx(101.0)


def test_who_was_charged_much_waits() -> None:
    work = [(_job("heavy", "ada", 1), 1.0), (_job("light", "bo", 2), 1.0)]

    times = run_ahead(work, {"ada": Charge(5.0, NOW)}, NOW, POLICY)

    assert times["light"] == (0.0, 1.0)
    assert times["heavy"] == (1.0, 2.0)


def test_care_goes_first() -> None:
    work = [(_job("training", "ada", 1), 1.0), (_job("calibration", "system", 2, is_maintenance=True), 7.0)]

    times = run_ahead(work, {}, NOW, POLICY)

    assert times == {"calibration": (0.0, 7.0), "training": (7.0, 8.0)}


def test_a_long_queue_ends_when_all_its_work_is_done() -> None:
    work = [(_job(f"job-{number:04}", f"user-{number % 50}", number), 60.0) for number in range(1000)]

    times = run_ahead(work, {}, NOW, POLICY)

    assert max(ended for _, ended in times.values()) == pytest.approx(60_000)
    assert times["job-0000"][1] == pytest.approx(50 * 60, rel=0.1)


def test_a_forecast_for_weeks_stays_finite() -> None:
    work = [(_job("ages", "ada", 1), 1e7), (_job("more", "bo", 2), 1e7)]

    times = run_ahead(work, {}, NOW, POLICY)

    assert max(ended for _, ended in times.values()) == pytest.approx(2e7)


def test_work_that_may_still_come_makes_the_late_end_later_and_not_the_early_one() -> None:
    ahead = [Ahead(_job("mine"), Cost(8.0, 10.0, 12.0))]

    alone = foresee(ahead, {}, NOW, POLICY, Supply())["mine"].finish
    expecting = foresee(ahead, {}, NOW, POLICY, Supply(newcomer_s=5.0))["mine"].finish

    assert expecting.earliest_s == alone.earliest_s
    assert expecting.latest_s == pytest.approx(alone.latest_s + 5.0, abs=POLICY.quantum_s)
