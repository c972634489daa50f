"""Statistics of two versions that read the same crops."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from services.intervals import LEVEL, Interval, Z

Verdict = Literal["better", "not_worse", "worse", "undecided"]

MARGIN: Final = 0.005
"""The loss of accuracy that does not matter, unless a user names another."""
_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True)
class PairedTable:
    """Numbers of crops by which of two versions read them right, the candidate and the present one."""

    both_right: int
    only_candidate: int
    only_present: int
    both_wrong: int

    @property
    def crops(self) -> int:
        """The number of crops."""
        return self.both_right + self.only_candidate + self.only_present + self.both_wrong

    @property
    def difference(self) -> float:
        """Accuracy of the candidate minus that of the present version, -1..1."""
        return (self.only_candidate - self.only_present) / self.crops

    @property
    def p_value(self) -> float:
        """Two-sided p of McNemar's exact test of equal accuracies: a binomial test on crops that one alone read right.

        Source: Q. McNemar, Psychometrika 12 (1947) 153; exact: A. Agresti, Categorical Data Analysis, section 11.1.
        """
        fewer, unequal = min(self.only_candidate, self.only_present), self.only_candidate + self.only_present
        tail = sum(math.comb(unequal, count) for count in range(fewer + 1))
        return min(1.0, 2 * tail / (1 << unequal))

    def interval(self) -> Interval:
        """Return the score interval of the difference: the differences that the score test does not reject.

        Source: T. Tango, Statistics in Medicine 17 (1998) 891, equations 9 to 12.
        """
        difference = self.difference
        low = _root(lambda assumed: self._score(assumed) - Z, -1.0, difference)
        high = _root(lambda assumed: self._score(assumed) + Z, difference, 1.0)
        return low, high

    def verdict(self, margin: float) -> Verdict:
        """Judge the candidate, with `margin` the loss of accuracy that does not matter, 0..1.

        `better` and `worse` need the test and the interval to say so; `not_worse` an interval above `-margin`.
        """
        low, high = self.interval()
        is_different = self.p_value < 1 - LEVEL
        if is_different and low > 0:
            return "better"
        if low > -margin:
            return "not_worse"
        return "worse" if is_different and high < 0 else "undecided"

    def _score(self, assumed: float) -> float:
        """Return the score statistic, standard normal if the true difference is `assumed`; it falls with `assumed`."""
        crops, gained, lost = self.crops, self.only_candidate, self.only_present
        a, c = 2 * crops, -lost * assumed * (1 - assumed)
        b = (2 * crops - gained + lost) * assumed - gained - lost
        lost_share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = crops * (2 * lost_share + assumed * (1 - assumed))
        distance = gained - lost - crops * assumed
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function is zero."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
