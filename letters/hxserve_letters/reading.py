"""From the service's answers to a postcode: the likeliest one of the directory over all likely cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from hxserve_letters.directory import Directory
from hxserve_letters.likelihoods import Numbers
from hxserve_letters.postcodes import DIGITS
from hxserve_pictures.segmentation import Cuts

_SKIPPED: Final = math.log(0.02)
_LARGEST_SKIPPED: Final = 0.06
"""A piece with more than this share of the ink is part of a digit."""
_PATHS: Final = 4
_NONSENSE: Final = math.log(0.002)
"""Likelihood of any five crops that are no postcode: a reading much less likely than this is not believed."""


@dataclass(frozen=True, slots=True)
class Path:
    """Five spans that make a postcode, with the logarithm of how likely their shapes are."""

    spans: tuple[int, ...]
    form: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A postcode, how sure the reader is of its way (0..1), and the spans of the cuts that it was read from.

    `confidence` is that of the first two digits, which decide where the letter goes; `postcode_confidence` that of all.
    `digits` are the likeliest of each span by itself, whether or not there is such a postcode.
    """

    postcode: str
    confidence: float
    postcode_confidence: float
    spans: tuple[int, ...]
    digits: str


def likely_paths(cuts: Cuts, likelihoods: Numbers) -> list[Path]:
    """Find the likeliest ways to make five digits of a cut postcode, at most four, the best first.

    Args:
        cuts: whose crops were sent.
        likelihoods: (spans, 10), logarithms.
    """
    best_of_span = likelihoods.max(1)
    # best[n][k]: the likeliest ways to n digits from the first k pieces: total, form, spans.
    ways: list[list[list[tuple[float, float, tuple[int, ...]]]]]
    ways = [[[] for _ in range(cuts.pieces + 1)] for _ in range(DIGITS + 1)]
    ways[0][0] = [(0.0, 0.0, ())]
    by_end: list[list[int]] = [[] for _ in range(cuts.pieces + 1)]
    for number, span in enumerate(cuts.spans):
        by_end[span.last + 1].append(number)
    for end in range(1, cuts.pieces + 1):
        may_skip = cuts.weights[end - 1] <= _LARGEST_SKIPPED
        for count in range(DIGITS + 1):
            options = [
                (total + _SKIPPED, form + _SKIPPED, spans)
                for total, form, spans in (ways[count][end - 1] if may_skip else ())
            ]
            for number in by_end[end] if count else ():
                span = cuts.spans[number]
                options += [
                    (total - span.cost + best_of_span[number], form - span.cost, (*spans, number))
                    for total, form, spans in ways[count - 1][span.first]
                ]
            ways[count][end] = sorted(options, reverse=True)[:_PATHS]
    return [Path(spans, form) for _, form, spans in ways[DIGITS][cuts.pieces]]


def read_postcode(paths: list[Path], likelihoods: Numbers, directory: Directory) -> Reading | None:
    """Find the likeliest postcode of the directory, over all paths.

    Args:
        paths: from `likely_paths`.
        likelihoods: (spans, 10), logarithms.
        directory: the postcodes that exist, all equally usual.

    Returns:
        None when there is no path.
    """
    if not paths:
        return None
    table = np.stack([path.form + directory.likelihoods(likelihoods[list(path.spans)]) for path in paths])
    best = table.max()
    # Per postcode over the paths; the constant stands for all other writing.
    weights = np.exp(table - best).sum(0)
    number = int(weights.argmax())
    total = float(weights.sum()) + math.exp(_NONSENSE - best)
    same_region = (directory.codes[:, :2] == directory.codes[number, :2]).all(1)
    path = paths[int(table[:, number].argmax())]
    return Reading(
        directory.text(number),
        float(weights[same_region].sum()) / total,
        float(weights[number]) / total,
        path.spans,
        "".join(map(str, likelihoods[list(path.spans)].argmax(1))),
    )
