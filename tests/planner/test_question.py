"""Input of a plan, and refusal of wrong input."""

import json

import pytest

from hxserve_planner.question import read_question
from services.errors import InvalidInputError


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"chips": 0}, "chips: Input should be greater than or equal to 1, got 0"),
        ({"letters_per_hour": -5}, "letters_per_hour"),
        ({"hours": 0}, "hours"),
        ({"backend": "abacus"}, "backend"),
        ({"chipz": 3}, "chipz: unknown field"),
        ({"letter_profile": [1, 2, 3], "letters_per_hour": 5}, "letter_profile"),
        ({"users": 0}, "nothing asks for the chips"),
        ({"user_profile": [0] * 24}, "user_profile is 0 in every hour"),
        ({"find": "trainings", "users": 0}, "find=trainings needs users"),
        ({"find": "chips", "users": 0}, "find=chips needs a load"),
        (
            {"find": "letters", "levels": {"deadline_met": None, "hurried": None, "refused": None}},
            "needs a level",
        ),
    ],
)
def test_a_wrong_question_is_told_what_is_wrong(asked: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        read_question(json.dumps(asked))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="JSON"):
        read_question("chips=3")


def test_the_defaults_are_those_of_the_settings() -> None:
    question = read_question("{}")

    assert question.batch_crops == 256
    assert question.limits.user_chip_seconds_per_day == 14_400.0
