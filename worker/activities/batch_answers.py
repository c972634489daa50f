"""Answers of a batch job between two of its saves."""

import time

import numpy as np
from numpy.typing import NDArray

from services.batch_jobs.parts import UNREADABLE, Facts, Part, Source, Totals
from worker.imports.unlabelled import Piece
from worker.serving import Reading


class UnkeptAnswers:
    """Answers that are in no part yet."""

    def __init__(self, before: Totals) -> None:
        self._first = before.crops
        self._first_call = before.calls
        self._readings: list[tuple[NDArray[np.uint8], NDArray[np.int8], NDArray[np.float32]]] = []
        self._sizes: list[int] = []
        self._call_s: list[float] = []
        self._called_at: list[float] = []
        self._call_source: list[int] = []
        self._sources: list[Source] = []
        self._names: dict[int, str] = {}
        self._problems: dict[int, str] = {}
        self.totals = Totals()

    def add(
        self,
        pieces: list[Piece],
        readable: NDArray[np.bool_],
        reading: Reading | None,
        call_s: float,
        source: Source,
    ) -> None:
        """Add the answers of a chip call; `reading` is of the readable crops alone, None if there are none."""
        place, count = self.totals.crops, len(readable)
        for piece in pieces:
            if piece.name:
                self._names[place] = piece.name
            if piece.problem:
                self._problems[place] = piece.problem
            place += len(piece.crops)
        digits = np.full(count, UNREADABLE, np.uint8)
        scores, confidences = np.zeros((count, 10), np.int8), np.zeros(count, np.float32)
        if reading is not None:
            digits[readable], scores[readable] = reading.digits, reading.scores
            confidences[readable] = reading.confidences
        self._readings.append((digits, scores, confidences))
        self._sizes.append(count)
        self._call_s.append(call_s if reading is not None else 0.0)
        self._called_at.append(time.time())
        if not self._sources or self._sources[-1] != source:
            self._sources.append(source)
        self._call_source.append(len(self._sources) - 1)
        self.totals = self.totals.plus(
            Totals(
                count,
                1,
                int((~readable).sum()),
                self._call_s[-1],
                float(confidences.sum()),
                np.bincount(digits[readable], minlength=10).tolist(),
            )
        )

    def part(self) -> Part:
        """Return all of them."""
        digits, scores, confidences = (np.concatenate(arrays) for arrays in zip(*self._readings, strict=True))
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
                totals=self.totals,
            ),
        )
