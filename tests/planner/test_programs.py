"""Programs in simulated time: they take turns, leave crops and long work what is promised, and lose no operation."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxserve_planner.answer import answer_of, describe
from hxserve_planner.costs import costs_of
from hxserve_planner.operations import MOST_WAITING
from hxserve_planner.question import Measured, Question
from hxserve_planner.simulation import simulate
from services.programs import store
from services.scheduling.policy import CREDIT_S, Policy
from tests.planner.day import Day, costs

_times_s = st.lists(st.sampled_from([0.001, 0.0025, 0.005, 0.17]), min_size=1, max_size=3)


@given(st.integers(2, 5), _times_s)
@settings(deadline=None, max_examples=12)
def test_users_at_equal_programs_get_equal_turns(users: int, chip_s: list[float]) -> None:
    day = Day(1, costs())
    for user in range(users):
        day.compute(f"u{user}", chip_s, until=3.0)
    # One user's second program takes turns with the first, not with the others.
    day.compute("u0", chip_s, until=3.0)

    day.run()

    turns = [sum(user == f"u{n}" for user, _ in day.operations) for n in range(users)]
    assert max(turns) - min(turns) <= 2


@given(st.integers(1, 4), _times_s, st.sampled_from([0.001, 0.1]))
@settings(deadline=None, max_examples=12)
def test_no_user_of_programs_gets_more_chip_time_than_a_training_beside_them(
    users: int, chip_s: list[float], step_s: float
) -> None:
    day = Day(1, costs(step_s=step_s), Policy(half_life_s=1e12))
    for user in range(users):
        day.compute(f"u{user}", chip_s, until=6.0)
    day.train([(0.0, "trainer", round(10.0 / step_s))])

    day.env.run(until=6.0)

    trained_s = day.pool.used_today.pop("trainer")
    # The credit, an operation, and the slice that runs and is not charged yet.
    assert max(day.pool.used_today.values()) <= trained_s + CREDIT_S + max(chip_s) + max(step_s, 0.02)


@given(
    st.integers(1, 4),
    st.lists(st.sampled_from([0.001, 0.0025, 0.005]), min_size=1, max_size=3),
    st.integers(1, 3),
    st.sampled_from([0.001, 0.005, 0.01]),
)
@settings(deadline=None, max_examples=12)
def test_long_work_keeps_its_share_beside_a_flood_of_operations_and_crops(
    programs: int, chip_s: list[float], trainings: int, step_s: float
) -> None:
    day = Day(1, costs(call_s=0.004, crop_s=0.0, step_s=step_s))
    steps = round(2.0 / trainings / step_s)
    day.train([(0.0, f"t{n}", steps) for n in range(trainings)])
    for number in range(2 * programs):
        day.compute(f"u{number}", chip_s, until=12.0)
    day.send([(0.004 * n, "flood", 64) for n in range(3000)])

    day.run()

    assert max(ended.ended_at for ended in day.statistics.ended) <= 2.0 / 0.2 + 1


@given(st.integers(1, 6), _times_s)
@settings(deadline=None, max_examples=12)
def test_crops_wait_for_one_operation_more_however_many_programs_there_are(
    programs: int, chip_s: list[float]
) -> None:
    day = Day(1, costs(call_s=0.01))
    for user in range(programs):
        day.compute(f"u{user}", chip_s, until=3.0)
    day.send([(0.1 * n + 0.0371, "ada", 1) for n in range(25)])

    day.run()

    assert len(day.answered) == 25
    # The rest of a batch, and one operation.
    assert max(day.waits) <= 0.01 + max(chip_s) + 1e-9


@given(st.integers(1, 4), _times_s, st.sampled_from([0.0, 0.005, 0.05]))
@settings(deadline=None, max_examples=12)
def test_operations_take_what_they_cost_and_are_charged_to_their_users(
    programs: int, chip_s: list[float], home_s: float
) -> None:
    day = Day(1, costs(around_s=0.001), Policy(half_life_s=1e12))
    for user in range(programs):
        day.compute(f"u{user}", chip_s, home_s, until=2.0)

    day.run()

    spent_s = day.pool.interval.spent_s["programs"]
    assert spent_s == pytest.approx(sum(day.pool.used_today.values()))
    assert set(day.pool.used_today) == {f"u{n}" for n in range(programs)}
    assert day.pool.operations.waiting_at(0) == 0
    assert sum(day.pool.chips[0].spent_s.values()) <= day.env.now + 1e-9


def test_a_program_charged_more_than_a_training_lets_it_go_first_and_they_share_alike() -> None:
    day = Day(1, costs(step_s=0.005), Policy(half_life_s=1e12))
    day.compute("eve", [0.005], until=8.0)
    day.train([(2.0, "ada", 600)])

    day.run()

    # Nobody catches up with what the other had before: each has half until the training ends.
    assert day.statistics.ended[0].ended_at == pytest.approx(2.0 + 6.0, abs=0.5)


_EMULATOR: dict[str, Any] = {"backend": "emulator", "users": 0, "hours": 0.02, "start_hour": 10}


def test_one_program_alone_is_not_slowed_down_and_more_are() -> None:
    found = [
        describe(simulate(Question(**_EMULATOR, programs=programs)))["programs"] for programs in (1, 2, 8)
    ]

    assert found[0]["slowdown"] == pytest.approx(1.0, abs=0.03)
    assert 1.05 < found[1]["slowdown"] < 1.5
    # More than the chip can do: each takes as long as all their operations together.
    alone_s = costs_of(Question(**_EMULATOR, programs=1)).operation_s
    assert found[2]["slowdown"] == pytest.approx(8 * alone_s / (alone_s + 0.005), rel=0.05)
    assert found[2]["operations_per_second_busiest"] == pytest.approx(1 / alone_s, rel=0.05)


def test_programs_in_windows_are_what_they_are_in_full() -> None:
    asked: dict[str, Any] = {
        **_EMULATOR,
        "hours": 0.1,
        "users": 40,
        "recipe": "notebook",
        "dataset": "digits",
        "trainings_per_user_per_day": 60,
        "programs": 3,
    }

    whole, windows = (describe(simulate(Question(**asked, events=events))) for events in (10_000_000, 5_000))

    assert windows["simulation"]["detailed_s"] < 180
    assert windows["programs"]["operations"] == pytest.approx(whole["programs"]["operations"], rel=0.1)
    assert windows["programs"]["slowdown"] == pytest.approx(whole["programs"]["slowdown"], rel=0.1)
    assert windows["utilisation"]["programs"] == pytest.approx(whole["utilisation"]["programs"], rel=0.1)


def test_an_answer_says_what_crops_and_trainings_have_without_the_programs() -> None:
    asked = _EMULATOR | {"users": 40, "recipe": "notebook", "dataset": "digits", "hours": 0.1}
    asked["trainings_per_user_per_day"] = 60

    beside, alone = answer_of(Question(**asked, programs=4)), answer_of(Question(**asked))

    without = beside["without_programs"]
    assert alone["without_programs"] is None
    assert without["users_answer_ms"] == alone["crops"]["users"]["answer_ms"]
    assert without["trainings_completion_s"] == alone["trainings"]["completion_s"]
    assert beside["crops"]["users"]["answer_ms"]["p99"] > without["users_answer_ms"]["p99"]
    assert beside["trainings"]["completion_s"]["p50"] > without["trainings_completion_s"]["p50"]
    assert answer_of(Question(**_EMULATOR, programs=1))["without_programs"] is None


def test_a_user_who_has_used_the_chip_too_long_is_refused_until_the_next_day() -> None:
    asked = _EMULATOR | {"hours": 0.5, "limits": {"user_chip_seconds_per_day": 20.0}}

    found = describe(simulate(Question(**asked, programs=2)))

    assert found["programs"]["refused"] == {"chip_seconds_per_day": 2}
    assert found["utilisation"]["programs"] == pytest.approx(40 / 1800, rel=0.02)


def test_the_chip_time_of_operations_is_given_else_measured_else_documented() -> None:
    documented, measured, given_ = (
        costs_of(Question(**_EMULATOR, programs=1, **asked))
        for asked in (
            {},
            {"measured": Measured(operation_s=0.003)},
            {"operation_ms": (4.0, 1.0), "measured": Measured(operation_s=0.003)},
        )
    )

    assert documented.operations_s == (0.005, 0.0025, 0.0012)
    assert (measured.operations_s, measured.said["operations"]) == ((0.003,), "measured")
    assert (given_.operations_s, given_.said["operations"]) == ((0.004, 0.001), "given")


def test_the_limit_of_waiting_operations_is_the_services() -> None:
    assert store.MOST_WAITING == MOST_WAITING
