"""A letter between camera and gate: its scan, and the readings so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_letters.camera_pool import Scan
from hxserve_letters.decisions import Decision, decide
from hxserve_letters.directory import Directory
from hxserve_letters.likelihoods import Numbers, log_likelihoods
from hxserve_letters.reading import Reading, likely_paths, read_postcode

SURE: Final = 0.99
"""A letter read less surely is looked at again."""
_SIDE: Final = 28
_LOOKS: Final = ((-0.14, 1.0), (0.14, 1.0), (0.0, 0.88), (0.0, 1.12))
"""Tangent of the further slant, and the width over the usual one."""


@dataclass(slots=True)
class LetterState:
    """A letter on its way.

    `scores` (spans, 10) are the mean of its looks so far; `doubtful` are the spans that a second look is for.
    """

    scan: Scan
    machine: int = 0
    passed_at: float = 0.0
    scores: Numbers | None = None
    reading: Reading | None = None
    looks: int = 0
    doubtful: list[int] = field(default_factory=list)

    @property
    def wants_second_look(self) -> bool:
        """Whether a second look, with its digits slanted differently, may help."""
        return self.looks == 1 and self.reading is not None and self.reading.confidence < SURE

    def crops(self) -> NDArray[np.uint8]:
        """Return the crops to send next, (n, 28, 28); none when no postcode was found."""
        if self.scan.cuts is None:
            return np.empty((0, 28, 28), np.uint8)
        if self.looks == 0:
            return self.scan.cuts.crops
        return other_looks(self.scan.cuts.crops[self.doubtful]).reshape(-1, 28, 28)

    def understand(self, scores: Numbers, scale: float, directory: Directory) -> None:
        """Add the scores (n, 10) of the crops that were sent, and read the postcode."""
        cuts = self.scan.cuts
        if cuts is None:
            return
        if self.scores is None:
            self.scores = scores
        else:
            looks = scores.reshape(-1, len(self.doubtful), 10)
            self.scores[self.doubtful] = (self.scores[self.doubtful] + looks.sum(0)) / (1 + len(looks))
        self.looks += 1
        likelihoods = log_likelihoods(self.scores, scale)
        paths = likely_paths(cuts, likelihoods)
        self.doubtful = sorted({span for path in paths for span in path.spans})
        self.reading = read_postcode(paths, likelihoods, directory)

    def decide(self, threshold: float, latency_s: float = 0.0, *, is_late: bool = False) -> Decision:
        """Decide on this letter."""
        scan = self.scan
        route, reason = decide(self.reading, scan.cuts is not None, threshold, is_late=is_late)
        return Decision(
            scan.number, self.machine, scan.written, self.reading, route, reason, latency_s, self.looks
        )


def other_looks(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Vary digits (n, 28, 28) for a second opinion: leaning less and more, narrower and wider, (4, n, 28, 28)."""
    looks = []
    for lean, width in _LOOKS:
        middle = _SIDE / 2
        matrix = np.array([[width, -lean, middle * (1 - width + lean)], [0.0, 1.0, 0.0]])
        looks.append(np.stack([cv2.warpAffine(crop, matrix, (_SIDE, _SIDE)) for crop in crops]))
    return np.stack(looks)
