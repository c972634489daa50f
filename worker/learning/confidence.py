"""Confidence of a network in its answers, and its calibration."""

import torch
from torch import Tensor

CALIBRATION_BINS = 15

_SMALLEST, _LARGEST = 1e-4, 10.0
_HALVINGS = 60


def fit_score_scale(scores: Tensor, labels: Tensor) -> float:
    """Find the factor that turns scores into the logits of honest probabilities: `softmax(factor * scores)`.

    Temperature scaling: the factor (the inverse of the temperature) minimises the cross entropy on crops the
    network has not learned from. One more crop of unknown digit counts as seen, so that a network
    without errors on a few crops does not become infinitely sure.

    Args:
        scores: `(crops, 10)`, -128..127, of any type; at least one crop.
        labels: `(crops,)` int64, 0..9.

    Returns:
        Logits per LSB, 0.0001..10.

    Source: Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599; the unknown crop follows
    Platt's targets (Probabilistic Outputs for Support Vector Machines, 1999).
    """
    values = scores.to(torch.float64)
    crops = len(values)
    chosen = values.gather(1, labels.unsqueeze(1)).squeeze(1)
    target = (crops * chosen.mean() + values.mean()) / (crops + 1)

    # The slope of the cross entropy grows with the factor, so halving the interval finds its zero.
    low, high = _SMALLEST, _LARGEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = (torch.softmax(values * middle, 1) * values).sum(1).mean()
        if expected < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def confidences(scores: Tensor, scale: float) -> Tensor:
    """Give the probability of each crop's best score, `(crops,)` float32, 0.1..1.

    `scores` is `(crops, 10)`, -128..127, of one readout or the mean of several.
    """
    return torch.softmax(scores.to(torch.float32) * scale, 1).amax(1)


def expected_calibration_error(confidences: Tensor, correct: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """Say how far confidence and accuracy lie apart on average, 0..1.

    The crops are sorted into bins of equal width by their confidence; the differences between a bin's
    accuracy and its mean confidence are averaged, each weighted by its number of crops.

    Args:
        confidences: `(crops,)`, 0..1; 0 is returned for no crops.
        correct: `(crops,)` bool.
        bins: How many.

    Source: Guo et al., arXiv 1706.04599, equation 3.
    """
    if len(confidences) == 0:
        return 0.0
    values = confidences.to(torch.float64)
    places = (values * bins).long().clamp_(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64)
    gaps.index_add_(0, places, correct.to(torch.float64) - values)
    return float(gaps.abs().sum()) / len(values)
