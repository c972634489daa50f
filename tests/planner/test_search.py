"""Finding the fewest chips or the largest load that hold the levels."""

from typing import Any

import pytest

from hxserve_planner.question import Levels, Question
from hxserve_planner.search import find
from services.errors import InvalidInputError

_LETTERS: dict[str, Any] = {
    "backend": "hxtorch",
    "allow_transfer": True,
    "users": 0,
    "hours": 1,
    "start_hour": 19,
    "events": 4000,
}


def test_the_chips_found_hold_the_levels_and_fewer_do_not() -> None:
    answer = find(Question(**_LETTERS, letters_per_hour=400_000, find="chips"))

    found = answer["find"]["found"]
    held = {each["value"]: each["holds"] for each in answer["find"]["tried"]}
    assert answer["holds"]
    assert answer["chips"] == found
    assert held[found]
    assert not held[found - 1]


def test_the_letters_found_hold_the_levels_and_a_little_more_do_not() -> None:
    answer = find(Question(**_LETTERS, letters_per_hour=100_000, find="letters"))

    found = answer["find"]["found"]
    broken = [each["value"] for each in answer["find"]["tried"] if not each["holds"]]
    assert answer["holds"]
    assert answer["letters_per_hour"] == found
    assert found < min(broken) <= 1.04 * found


def test_a_level_that_no_load_holds_is_an_error_that_names_it() -> None:
    asked = Question(**_LETTERS, letters_per_hour=1000, find="letters", levels=Levels(p99_ms=5.0))

    with pytest.raises(InvalidInputError, match="cannot be held even with 100 letters per hour: p99_ms"):
        find(asked)


def test_a_level_that_no_number_of_chips_holds_is_an_error() -> None:
    asked = Question(
        backend="hxtorch", users=2, hours=0.5, start_hour=10, find="chips", levels=Levels(training_done_min=1)
    )

    with pytest.raises(InvalidInputError, match=r"cannot be held with \d+ chips: training_done_min"):
        find(asked.model_copy(update={"trainings_per_user_per_day": 50.0}))
