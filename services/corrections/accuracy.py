"""Accuracy in production: how often answers were right, among those that somebody corrected or confirmed.

People correct what strikes them as wrong more often than they confirm what is right, so the figure is biased: it
compares versions that the same people use, and says little about all answers.
"""

from dataclasses import dataclass

from services.intervals import Interval, wilson_interval


@dataclass(frozen=True, slots=True)
class VersionAccuracy:
    """Numbers of corrected answers of a version by their outcome."""

    model: str
    version: str
    right: int = 0
    wrong: int = 0
    not_a_digit: int = 0

    @property
    def accuracy(self) -> float | None:
        """Share of right answers among those to crops that show a digit; None without any."""
        digits = self.right + self.wrong
        return self.right / digits if digits else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the accuracy; None without any answer."""
        digits = self.right + self.wrong
        return wilson_interval(self.right, digits) if digits else None
