"""Two versions on the same letters, at the same error rate."""

from collections.abc import Sequence

import numpy as np
import pytest

from hxserve_letters.comparing import compare_read_rates
from hxserve_letters.decisions import Decision, Reason
from hxserve_letters.reading import Reading


def _decisions(letters: Sequence[tuple[float, bool] | None]) -> list[Decision]:
    """Return letters by confidence and whether the region is right; None for one that was not read."""
    decisions = []
    for number, letter in enumerate(letters):
        reading = None
        if letter is not None:
            postcode = "69120" if letter[1] else "10115"
            reading = Reading(postcode, letter[0], letter[0], (0, 1, 2, 3, 4), postcode)
        decisions.append(Decision(number, 0, "69120", reading, None, Reason.UNSURE, 0.0, 1))
    return decisions


def test_read_rates_are_taken_where_the_error_rate_is_reached() -> None:
    # By confidence: four right, one wrong, five right. A tenth may be wrong: all ten are routed, else four.
    letters = [(0.99 - 0.01 * place, place != 4) for place in range(10)]
    worse = [(confidence, place not in {0, 9}) for place, (confidence, _) in enumerate(letters)]

    rates = compare_read_rates(_decisions([*letters, None, None]), _decisions([*worse, None, None]), 0.1)

    assert rates.read_rate == pytest.approx(10 / 12, abs=1e-6)
    assert rates.read_rate_against == 0.0, "the surest letter is wrong, and every tenth or more after it"
    assert rates.gain == rates.read_rate
    assert compare_read_rates(_decisions(letters), _decisions(letters), 0.05).read_rate == 0.4


def test_the_interval_has_no_gain_between_equals_and_a_gain_that_is_there() -> None:
    random = np.random.default_rng(1)
    confidences = random.random(1500)
    right = random.random(1500) < confidences**0.05
    better = right | (random.random(1500) < 0.5)
    one = _decisions(list(zip(confidences, right, strict=True)))
    other = _decisions(list(zip(confidences, better, strict=True)))

    equal, gained = compare_read_rates(one, one, 0.02), compare_read_rates(other, one, 0.02)

    assert (equal.gain, equal.gain_interval) == (0.0, (0.0, 0.0))
    low, high = gained.gain_interval
    assert 0 < low < gained.gain < high
    assert gained == compare_read_rates(other, one, 0.02), "the same letters give the same interval"


def test_letters_of_which_none_was_read_have_no_rate() -> None:
    rates = compare_read_rates(_decisions([None, None]), _decisions([(0.9, True), (0.8, True)]), 0.01)

    assert (rates.read_rate, rates.read_rate_against, rates.gain) == (0.0, 1.0, -1.0)
