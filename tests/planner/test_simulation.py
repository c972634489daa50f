"""Whole simulated days: the same from the same seed, and the same in windows as in full."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxserve_planner.answer import describe
from hxserve_planner.question import Question
from hxserve_planner.simulation import simulate

_CHIP: dict[str, Any] = {"backend": "hxtorch", "recipe": "notebook", "dataset": "digits"}


def _answer(**asked: Any) -> dict[str, Any]:
    return describe(simulate(Question(**asked)))


@given(st.integers(0, 2**32), st.integers(1, 4), st.booleans())
@settings(deadline=None, max_examples=8)
def test_the_same_seed_is_the_same_day_and_shares_stay_shares(seed: int, chips: int, transfer: bool) -> None:
    asked = _CHIP | {
        "chips": chips,
        "users": 30,
        "letters_per_hour": 30_000,
        "trainings_per_user_per_day": 20,
        "hours": 1,
        "start_hour": 17,
        "events": 2000,
        "allow_transfer": transfer,
        "seed": seed,
    }

    first, second = _answer(**asked), _answer(**asked)

    assert json.dumps(first) == json.dumps(second)
    assert 0 < first["utilisation"]["all"] <= 1 + 1e-6
    assert all(sum(hour["utilisation"].values()) <= 1 + 1e-6 for hour in first["day"])


def test_another_seed_is_another_day() -> None:
    first, second = (_answer(users=50, hours=2, start_hour=10, seed=seed) for seed in (0, 1))

    assert first["crops"] != second["crops"]


def test_windows_say_of_a_day_what_all_of_it_says() -> None:
    asked = _CHIP | {
        "chips": 2,
        "users": 60,
        "letters_per_hour": 60_000,
        "trainings_per_user_per_day": 300,
        "hours": 0.4,
        "start_hour": 18,
        "allow_transfer": True,
    }

    whole, windows = _answer(**asked, events=10_000_000), _answer(**asked, events=6_000)

    assert whole["simulation"]["detailed_s"] == pytest.approx(1440)
    assert windows["simulation"]["detailed_s"] < 720
    assert windows["utilisation"]["all"] == pytest.approx(whole["utilisation"]["all"], rel=0.1)
    assert windows["letters"]["count"] == pytest.approx(whole["letters"]["count"], rel=0.05)
    assert windows["letters"]["latency_ms"]["p95"] == pytest.approx(
        whole["letters"]["latency_ms"]["p95"], rel=0.2
    )
    assert windows["trainings"]["completion_s"]["p50"] == pytest.approx(
        whole["trainings"]["completion_s"]["p50"], rel=0.25
    )


def test_what_finds_no_room_is_refused_and_counted_by_its_reason() -> None:
    answer = _answer(
        **_CHIP,
        users=5,
        trainings_per_user_per_day=2000,
        hours=2,
        start_hour=10,
        limits={"max_queued_jobs": 8, "user_max_queued_jobs": 3, "user_chip_seconds_per_day": 600},
    )

    trainings = answer["trainings"]
    assert set(trainings["refused"]) == {"max_queued_jobs", "queue_full", "chip_seconds_per_day"}
    refused = sum(trainings["refused"].values())
    assert trainings["submitted"] == trainings["finished"] + trainings["unfinished"] + refused
    assert not answer["levels"]["refused"]["holds"]


def test_models_that_stay_with_their_chip_make_letters_wait_where_any_chip_would_do() -> None:
    asked: dict[str, Any] = {
        "backend": "hxtorch",
        "chips": 4,
        "users": 0,
        "letters_per_hour": 400_000,
        "hours": 0.04,
        "start_hour": 19,
    }

    bound, free = _answer(**asked), _answer(**asked, allow_transfer=True)

    assert bound["letters"]["met_deadline"] < 0.9
    assert free["letters"]["met_deadline"] > 0.99


def test_letters_that_are_too_many_are_decided_on_without_their_second_look() -> None:
    asked: dict[str, Any] = {"backend": "hxtorch", "users": 0, "hours": 0.1, "start_hour": 19}

    calm, busy = (_answer(**asked, letters_per_hour=letters) for letters in (50_000, 205_000))

    assert calm["letters"]["hurried"] < 0.01
    assert busy["letters"]["hurried"] > 0.02
    assert not busy["levels"]["hurried"]["holds"]


def test_a_flood_leaves_trainings_their_guaranteed_share() -> None:
    answer = _answer(
        **_CHIP,
        users=10,
        trainings_per_user_per_day=500,
        letters_per_hour=300_000,
        hours=0.05,
        start_hour=19,
        letter_profile=(1.0,) * 24,
        user_profile=(1.0,) * 24,
    )

    assert answer["long_share_under_flood"] >= 0.2


def test_every_assumption_is_told() -> None:
    said = " ".join(_answer(**_CHIP, letters_per_hour=1000, hours=0.1)["assumptions"])

    for word in ("per crop", "mini-batches", "Poisson", "letter centre", "Redis", "default"):
        assert word in said
