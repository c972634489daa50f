"""The chips in simulated time: no work is lost or invented, no user starves, and theory holds where it applies."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduling.policy import Policy
from tests.planner.day import Day, costs

_users = st.sampled_from(["ada", "bo", "cy"])
_requests = st.lists(st.tuples(st.floats(0, 5), _users, st.integers(1, 300)), max_size=30)
_jobs = st.lists(st.tuples(st.floats(0, 5), _users, st.integers(1, 40)), max_size=12)


@given(st.integers(1, 3), _requests, _jobs)
@settings(deadline=None, max_examples=60)
def test_all_that_was_sent_is_done_once_and_takes_what_it_costs(
    chips: int, requests: list[tuple[float, str, int]], jobs: list[tuple[float, str, int]]
) -> None:
    day = Day(chips, costs(call_s=0.01, crop_s=0.001, step_s=0.1))
    day.send(requests)
    day.train(jobs)

    day.run()

    crops = sum(count for _, _, count in requests)
    assert len(day.answered) == len(requests)
    assert day.pool.interval.crops == crops
    assert day.pool.lanes.crops == 0
    assert len(day.statistics.ended) == len(jobs)
    assert day.pool.long.unfinished == 0
    assert day.pool.interval.spent_s["long"] == pytest.approx(0.1 * sum(count for *_, count in jobs))
    assert day.pool.interval.spent_s["crops"] >= 0.001 * crops


@given(st.integers(1, 3), _requests, _jobs)
@settings(deadline=None, max_examples=60)
def test_no_chip_works_more_than_all_the_time(
    chips: int, requests: list[tuple[float, str, int]], jobs: list[tuple[float, str, int]]
) -> None:
    day = Day(chips, costs(call_s=0.02, crop_s=0.002, around_s=0.001))
    day.send(requests)
    day.train(jobs)

    day.run()

    for chip in day.pool.chips:
        assert sum(chip.spent_s.values()) <= day.env.now + 1e-9


@given(st.lists(_users, min_size=1, max_size=12), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_under_a_flood_of_crops_every_training_ends_and_keeps_the_guaranteed_share(
    users: list[str], seed: int
) -> None:
    rng = random.Random(seed)
    day = Day(1, costs(call_s=0.005, crop_s=0.001, step_s=0.01))
    jobs = [(0.0, user, 20) for user in users]
    work_s = 0.2 * len(users)
    day.train(jobs)
    flood_s = work_s / 0.2 + 1
    day.send([(rng.uniform(0, flood_s), "flood", 64) for _ in range(int(16 * flood_s * 1.5))])

    day.run()

    assert len(day.statistics.ended) == len(jobs)
    assert max(ended.ended_at for ended in day.statistics.ended) <= work_s / 0.2 + 1


def test_crops_wait_for_one_mini_batch_of_a_training_and_no_longer() -> None:
    day = Day(1, costs(call_s=0.01, step_s=0.1))
    day.train([(0.0, "ada", 100)])
    day.send([(at, "bo", 1) for at in (1.03, 2.06, 3.09)])

    day.run()

    assert max(day.waits) <= 0.1 + 1e-9
    assert max(day.waits) > 0.0


def test_crops_of_a_model_bound_to_a_chip_are_read_by_that_chip() -> None:
    day = Day(3)
    day.send([(0.1 * n, "ada", 5) for n in range(20)], home=2)

    day.run()

    assert [chip.spent_s["crops"] > 0 for chip in day.pool.chips] == [False, False, True]


def test_trainings_of_different_users_share_a_chip_evenly() -> None:
    day = Day(1, costs(step_s=0.1))
    day.train([(0.0, "ada", 100), (0.0, "bo", 100)])

    day.run()

    first, second = sorted(ended.ended_at for ended in day.statistics.ended)
    assert second == pytest.approx(20.0)
    assert first == pytest.approx(20.0, abs=1.0)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=10)
def test_more_chips_do_not_make_crops_wait_longer(seed: int) -> None:
    rng = random.Random(seed)
    requests = [(rng.uniform(0, 30), f"u{rng.randrange(9)}", rng.randint(1, 40)) for _ in range(900)]
    jobs = [(rng.uniform(0, 30), f"u{rng.randrange(9)}", 30) for _ in range(6)]
    means = []
    for chips in (1, 2, 4, 8):
        day = Day(chips, costs(call_s=0.01, crop_s=0.001))
        day.send(requests)
        day.train(jobs)
        day.run()
        means.append(sum(day.waits) / len(day.waits))

    for fewer, more in pairwise(means):
        assert more <= 1.1 * fewer + 1e-3


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_chip_that_reads_crops_one_by_one_waits_as_pollaczek_and_khinchine_say(load: float) -> None:
    """M/D/1: the mean wait is rho / (2 (1 - rho)) service times."""
    service_s, count = 0.01, 15_000
    rng, now, requests = random.Random(7), 0.0, []
    for number in range(count):
        now += rng.expovariate(load / service_s)
        requests.append((now, f"u{number % 5}", 1))
    day = Day(1, costs(call_s=service_s), Policy(batch_crops=1))
    day.send(requests)

    day.run()

    expected_s = load / (2 * (1 - load)) * service_s
    assert sum(day.waits) / count == pytest.approx(expected_s, rel=0.08)
    assert day.spent_s / day.env.now == pytest.approx(load, rel=0.02)
