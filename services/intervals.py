"""Confidence intervals of shares, such as accuracies."""

import math
from statistics import NormalDist
from typing import Final

Interval = tuple[float, float]

LEVEL: Final = 0.95
"""Confidence level of all intervals."""
Z: Final = NormalDist().inv_cdf((1 + LEVEL) / 2)
"""Standard deviations of a normal distribution on each side of its mean that hold this level."""


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return the score interval of a share; `trials` is at least 1.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209.
    """
    share, weight = successes / trials, Z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)
