"""How much a crop looks like a digit, by a small network that learnt digits and what is none."""

from functools import cache
from importlib.resources import files
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_pictures.ink import Plane

Reals = NDArray[np.float32]

_WHITE: Final = 127
"""Values above are ink, as for the chip."""
_ANGLES: Final = np.arange(8) * (np.pi / 4)
_DIRECTIONS: Final = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)]).astype(np.float32)
_SLOPES: Final = 7
_TONES: Final = 14
"""Sides of the two pictures that a crop is reduced to: slopes in each direction, and tones."""
_DOUBTFUL: Final = 0.6
"""Output of the network from which on a confidence of 0.9 is believed; above 1.11 times that, any is."""


def likeness(crop: Plane) -> float:
    """Return the largest confidence, 0..1, that a reading of a crop `(28, 28)` deserves.

    It is 1 for what looks like a digit, and 0 where there is no ink. The network is trained by
    `benchmarks/likeness_training.py`.
    """
    if int(crop.max()) <= _WHITE:
        return 0.0
    weights, bias, last, shift = _network()
    hidden = np.maximum(features(crop) @ weights + bias, 0.0)
    output = 1.0 / (1.0 + np.exp(-float(hidden @ last + shift)))
    return float(min(1.0, 0.9 / _DOUBTFUL * output))


def features(crop: Plane) -> Reals:
    """Return what the network sees of a crop `(28, 28)`: slopes of its outline by direction, and tones, `(588,)`."""
    _, ink = cv2.threshold(crop, _WHITE, 1, cv2.THRESH_BINARY)
    ink = cv2.GaussianBlur(ink.astype(np.float32), (3, 3), 0)
    slopes = np.stack([cv2.Sobel(ink, cv2.CV_32F, 1, 0), cv2.Sobel(ink, cv2.CV_32F, 0, 1)], 2)
    directed = np.maximum(slopes.reshape(-1, 2) @ _DIRECTIONS, 0)
    return np.concatenate([_reduced(directed, _SLOPES), _reduced(ink, _TONES)])


def _reduced(plane: Reals, side: int) -> Reals:
    """Return the means of squares of a plane `(28, 28)` or its channels, `(side * side * channels,)`."""
    width = 28 // side
    rows = plane.reshape(side, width, -1).sum(
        1
    )  # one axis after the other: both at once take ten times as long
    means: Reals = rows.reshape(side * side, width, -1).sum(1).ravel() / np.float32(width**2)
    return means


@cache
def _network() -> tuple[Reals, Reals, Reals, float]:
    """Return the weights `(588, hidden)`, biases, last weights `(hidden,)` and the last bias."""
    with (files(__package__) / "likeness.npz").open("rb") as file, np.load(file) as stored:
        weights, bias, last = (stored[name].astype(np.float32) for name in ("weights", "bias", "last"))
        return weights, bias, last, float(stored["shift"])
