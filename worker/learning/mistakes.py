"""The worst mistakes of a network: misread crops with the highest confidence."""

from dataclasses import dataclass

import torch
from torch import Tensor

KEPT = 12


@dataclass(frozen=True, slots=True)
class Mistake:
    """A crop that was misread.

    Attributes:
        index: Its place in the test set.
        digit: The true digit.
        answer: The digit read.
        margin: How much higher the answer's score was than the digit's, in LSB.
    """

    index: int
    digit: int
    answer: int
    margin: float


def no_mistakes() -> Tensor:
    """Return a table without any: `(0, 4)` float32."""
    return torch.empty(0, 4)


def add_mistakes(table: Tensor, scores: Tensor, labels: Tensor, first: int) -> Tensor:
    """Return the worst of those in a table and of a mini-batch together, worst first, at most `KEPT`.

    Args:
        table: `(mistakes, 4)` float32: index, digit, answer, margin.
        scores: `(batch, 10)`, -128..127.
        labels: `(batch,)` int64, 0..9.
        first: The place of the mini-batch's first crop in the test set.
    """
    answers = scores.argmax(1)
    wrong = (answers != labels).nonzero().flatten()
    digits, read = labels[wrong], answers[wrong]
    margins = scores[wrong, read] - scores[wrong, digits]
    rows = torch.stack([wrong + first, digits, read, margins], 1).to(torch.float32)
    both = torch.cat([table, rows])
    return both[both[:, 3].argsort(descending=True, stable=True)[:KEPT]]


def read_mistakes(table: Tensor) -> list[Mistake]:
    """Return the mistakes of a table, worst first."""
    return [
        Mistake(int(index), int(digit), int(answer), round(margin, 2))
        for index, digit, answer, margin in table.tolist()
    ]
