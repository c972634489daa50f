"""Measures of a training or an evaluation."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from worker.learning.arithmetic import Execution


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """The measures of one mini-batch.

    Attributes:
        phase: "training", "validation" for held-out crops after an epoch, "testing", or "scaling" for the last
            mini-batches of a training, which fit the scale of the scores.
        epoch: Counted from 0.
        step: Mini-batches done so far, of all phases and epochs.
        steps_total: Mini-batches in all.
        crops: Crops in this mini-batch.
        loss: Mean loss of this mini-batch.
        accuracy: Part of its crops read correctly, 0..1.
    """

    phase: Literal["training", "validation", "testing", "scaling"]
    epoch: int
    step: int
    steps_total: int
    crops: int
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """The measures of one epoch; accuracies are parts of 1, losses means per crop.

    Attributes:
        epoch: Counted from 0, through all phases of a training.
        execution: Where the network was computed.
        learning_rate: Of the epoch's last step.
        train_loss: Over the varied training crops, while learning.
        train_accuracy: Likewise.
        test_loss: Over the test crops, after the epoch.
        test_accuracy: Likewise.
        accuracies: The test accuracy by data set, of which a mixture has several.
        readings: The digits read in the watched crops of the test set (`worker.learning.mixtures.choose_watched`).
        validation_loss: Mean over the data sets of the loss of their held-out crops; None where it is not measured.
    """

    epoch: int
    execution: Execution
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    accuracies: dict[str, float] = field(default_factory=dict)
    validation_loss: float | None = None
    readings: list[int] = field(default_factory=list)


@dataclass(slots=True)
class RunningMean:
    """Sums of loss and correct answers over the mini-batches seen so far."""

    loss_sum: float = 0.0
    correct: int = 0
    crops: int = 0

    def add(self, loss: float, correct: int, crops: int) -> None:
        """Count a mini-batch with this mean loss."""
        self.loss_sum += loss * crops
        self.correct += correct
        self.crops += crops

    @property
    def loss(self) -> float:
        """Mean loss per crop."""
        return self.loss_sum / max(self.crops, 1)

    @property
    def accuracy(self) -> float:
        """Part of the crops read correctly, 0..1."""
        return self.correct / max(self.crops, 1)


def count_answers(scores: Tensor, labels: Tensor) -> Tensor:
    """Count the answers to each digit: `(10, 10)` int64, rows are digits, columns answers.

    Args:
        scores: `(batch, 10)`, -128..127; equal ones go to the smaller digit.
        labels: `(batch,)` int64, 0..9.
    """
    return torch.bincount(labels * 10 + scores.argmax(1), minlength=100).reshape(10, 10)


class CountsByPart:
    """Sums of loss and correct answers by the data sets of a mixture, JSON-able as lists."""
