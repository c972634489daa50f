"""A measured value beside its target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a measurement is expected to reach, and which direction is the better one."""

    value: float
    better: Better

    def reached_by(self, value: float) -> bool:
        """Whether a value is as good as the target; NaN never is."""
        return value >= self.value if self.better == "higher" else value <= self.value


@dataclass(frozen=True, slots=True)
class Ratio:
    """A value and what it was made from: the alternative's figures, so that no number stands alone."""

    value: float
    detail: Mapping[str, Any] = field(default_factory=dict)
