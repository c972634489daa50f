"""The fewest chips, or the largest load, that hold the levels of service: by bisection over simulated days."""

import math
from collections.abc import Callable
from typing import Any, Final, assert_never

from hxserve_planner.answer import describe, without_programs
from hxserve_planner.question import Question, Sought
from hxserve_planner.simulation import simulate
from services.errors import InvalidInputError

_MOST_CHIPS: Final = 10_000
_MOST: Final = {"letters": 1e10, "users": 1e7, "trainings": 10_000.0}
_LEAST: Final = {"letters": 100.0, "users": 1.0, "trainings": 0.01}
_CLOSE: Final = 1.03
"""Precision of a load that is searched: that of the simulation itself."""

_IDLE: Final = 0.01
"""More chips do not help where those there are have so little to do."""

_SHOWN: Final = ("p99_ms", "deadline_met", "hurried", "training_wait_min", "training_done_min", "refused")


def find(question: Question, on_progress: Callable[[float], None] = lambda _: None) -> dict[str, Any]:
    """Answer a question with the sought value set to the one found, and with every try.

    Raises:
        InvalidInputError: the levels hold at no load, or with no number of chips; the message says which do not.
    """
    assert question.find is not None, "something is sought"
    search = _Search(question, question.find, on_progress)
    found, answer = search.fewest_chips() if question.find == "chips" else search.largest_load()
    tried = sorted(search.tried, key=lambda each: float(each["value"]))
    return {
        **answer,
        "without_programs": without_programs(search.asked(found)),
        "find": {"what": question.find, "found": found, "tried": tried},
    }


class _Search:
    def __init__(self, question: Question, sought: Sought, on_progress: Callable[[float], None]) -> None:
        self._question = question
        self._sought = sought
        self._on_progress = on_progress
        self.tried: list[dict[str, Any]] = []

    def fewest_chips(self) -> tuple[float, dict[str, Any]]:
        low, high = 0, 1
        while not (answer := self._try(high))["holds"]:
            if high >= _MOST_CHIPS or answer["utilisation"]["busiest_hour"]["all"] < _IDLE:
                raise self._never(answer, f"with {high} chips")
            low, high = high, min(2 * high, _MOST_CHIPS)
        best = answer
        while high - low > max(1, math.floor(high * (_CLOSE - 1))):
            middle = (low + high) // 2
            answer = self._try(middle)
            if answer["holds"]:
                high, best = middle, answer
            else:
                low = middle
        return high, best

    def largest_load(self) -> tuple[float, dict[str, Any]]:
        least, most = _LEAST[self._sought], _MOST[self._sought]
        low = self._start()
        answer = self._try(low)
        if answer["holds"]:
            best, high = answer, low
            while answer["holds"]:
                if high >= most:
                    return high, answer
                low, best, high = high, answer, min(2 * high, most)
                answer = self._try(high)
        else:
            high = low
            while not answer["holds"]:
                if low <= least:
                    raise self._never(answer, f"even with {self._said(low)}")
                high, low = low, self._whole(max(low / 4, least))
                broken, answer = answer, self._try(low)
                if not self._came(answer):
                    raise self._never(broken, f"even with {self._said(high)}")
            best = answer
        while high > low * _CLOSE and self._whole(math.sqrt(low * high)) not in {low, high}:
            middle = self._whole(math.sqrt(low * high))
            answer = self._try(middle)
            if answer["holds"]:
                low, best = middle, answer
            else:
                high = middle
        return low, best

    def _start(self) -> float:
        question = self._question
        match self._sought:
            case "letters":
                return question.letters_per_hour or 50_000.0
            case "users":
                return float(question.users or 10)
            case "trainings":
                return question.trainings_per_user_per_day or 1.0
            case "chips":
                return float(question.chips)
            case _:
                assert_never(self._sought)

    def _whole(self, value: float) -> float:
        return float(round(value)) if self._sought == "users" else float(f"{value:.4g}")

    def asked(self, value: float) -> Question:
        """Return the question with this value of what is sought."""
        field = {
            "letters": "letters_per_hour",
            "users": "users",
            "trainings": "trainings_per_user_per_day",
            "chips": "chips",
        }[self._sought]
        number = int(value) if field in {"users", "chips"} else value
        return self._question.model_copy(update={field: number, "find": None})

    def _try(self, value: float) -> dict[str, Any]:
        answer = describe(simulate(self.asked(value)))
        found = {name: level["found"] for name, level in answer["levels"].items() if name in _SHOWN}
        self.tried.append(
            {
                "value": value,
                "holds": answer["holds"],
                "utilisation": answer["utilisation"]["all"],
                **found,
            }
        )
        # How many more tries there will be is not known; each halves what is left.
        self._on_progress(1 - 0.8 ** len(self.tried))
        return answer

    def _came(self, answer: dict[str, Any]) -> bool:
        """Return whether there was anything to hold levels for."""
        crops, letters, trainings = answer["crops"], answer["letters"], answer["trainings"]
        match self._sought:
            case "letters":
                return bool(letters["count"])
            case "trainings":
                return bool(trainings["submitted"])
            case _:
                return bool(crops["read"] or trainings["submitted"] or answer["programs"]["operations"])

    def _said(self, value: float) -> str:
        unit = {"letters": "letters per hour", "users": "users", "trainings": "trainings per user and day"}
        return f"{value:g} {unit[self._sought]}"

    def _never(self, answer: dict[str, Any], when: str) -> InvalidInputError:
        broken = ", ".join(
            f"{name} is {level['found']:g} where {level['wanted']:g} is wanted"
            for name, level in answer["levels"].items()
            if not level["holds"]
        )
        return InvalidInputError(f"the levels of service cannot be held {when}: {broken}; ask for less")
