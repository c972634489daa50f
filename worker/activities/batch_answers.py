"""Answers of a batch job between two of its saves.

Digits and confidences are found for all of them at once: for the crops of each chip call by itself this would take a
tenth as long as the call.
"""

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.batch_jobs.parts import UNREADABLE, CallOrigin, Facts, Part, Totals
from worker.imports.unlabelled import Piece
from worker.serving import LoadedVersion


class UnkeptAnswers:
    """Answers that are in no part yet."""

    def __init__(self, before: Totals) -> None:
        self._first = before.crops
        self._first_call = before.calls
        self._scores: list[NDArray[np.int8] | NDArray[np.float32]] = []
        self._readable: list[NDArray[np.bool_]] = []
        self._sizes: list[int] = []
        self._call_s: list[float] = []
        self._called_at: list[float] = []
        self._call_source: list[int] = []
        self._sources: list[CallOrigin] = []
        self._names: dict[int, str] = {}
        self._problems: dict[int, str] = {}
        self.totals = Totals()

    def add(
        self,
        pieces: list[Piece],
        readable: NDArray[np.bool_],
        scores: NDArray[np.int8] | NDArray[np.float32] | None,
        call_s: float,
        source: CallOrigin,
    ) -> None:
        """Add a chip call; `scores` `(n, 10)` are of the readable crops alone, None if there are none."""
        place, count = self.totals.crops, len(readable)
        for piece in pieces:
            if piece.name:
                self._names[place] = piece.name
            if piece.problem:
                self._problems[place] = piece.problem
            place += len(piece.crops)
        if scores is not None:
            self._scores.append(scores)
        self._readable.append(readable)
        self._sizes.append(count)
        self._call_s.append(call_s if scores is not None else 0.0)
        self._called_at.append(time.time())
        if not self._sources or self._sources[-1] != source:
            self._sources.append(source)
        self._call_source.append(len(self._sources) - 1)
        self.totals.crops += count
        self.totals.calls += 1
        self.totals.chip_s += self._call_s[-1]
        self.totals.unreadable += count - int(np.count_nonzero(readable))

    def part(self, version: LoadedVersion) -> Part:
        """Return all of them, which this version read."""
        readable = np.concatenate(self._readable)
        count = len(readable)
        digits, scores = np.full(count, UNREADABLE, np.uint8), np.zeros((count, 10), np.int8)
        confidences = np.zeros(count, np.float32)
        if self._scores:
            found: NDArray[np.int8 | np.float32] = np.concatenate(self._scores)
            digits[readable], scores[readable] = found.argmax(axis=1), np.rint(found)
            confidences[readable] = version.confidences(found)
        totals = replace(
            self.totals,
            confidence=float(confidences.sum()),
            digits=np.bincount(digits[readable], minlength=10).tolist(),
        )
        numbers = np.arange(len(self._sizes), dtype=np.uint32) + np.uint32(self._first_call)
        return Part(
            self._first,
            digits,
            scores,
            confidences,
            np.repeat(numbers, self._sizes),
            np.array(self._call_s, np.float32),
            np.array(self._called_at),
            np.array(self._call_source, np.uint16),
            Facts(
                first_call=self._first_call,
                sources=self._sources,
                names=self._names,
                problems=self._problems,
                totals=totals,
            ),
        )
