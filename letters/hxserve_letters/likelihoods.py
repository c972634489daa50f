"""Likelihoods of all ten digits, from the scores and the one confidence that the service gives."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_SMALLEST, _LARGEST = 1e-4, 10.0
_HALVINGS: Final = 40
USUAL_SCALE: Final = 0.09
"""Logits per LSB of the recipe `strong`, for answers that are all too sure to tell."""


def find_scale(scores: Numbers, confidences: Numbers) -> float:
    """Find the factor by which the service turned scores (n, 10) into confidences (n,): softmax(factor * scores).

    Each answer that is neither sure nor a tie tells it; the median counts, as confidences come rounded.

    Source: docs/decisions/0005-strong-recipe.md and worker/learning/confidence.py, temperature scaling.
    """
    best = scores.max(1, keepdims=True)
    tells = (confidences < 0.995) & (confidences > 0.15) & ((scores == best).sum(1) == 1)
    if not tells.any():
        return USUAL_SCALE
    gaps, wanted = (scores - best)[tells], confidences[tells]
    low, high = np.full(len(wanted), _SMALLEST), np.full(len(wanted), _LARGEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_sure = 1 / np.exp(middle[:, None] * gaps).sum(1) > wanted
        high = np.where(is_sure, middle, high)
        low = np.where(is_sure, low, middle)
    return float(np.median((low + high) / 2))


def log_likelihoods(scores: Numbers, scale: float) -> Numbers:
    """Return the logarithm of each digit's probability, (..., 10), from scores in LSB of the same shape."""
    logits = scale * (scores - scores.max(-1, keepdims=True))
    logs: Numbers = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return logs
