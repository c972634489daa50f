"""The progress of a training, apart from its weights, optimiser and random numbers."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from worker.learning.measures import EpochMetrics, RunningMean
from worker.learning.mistakes import no_mistakes
from worker.learning.training_state import TrainerState

_TENSORS = ("order", "confusion", "mistakes", "scaling_scores")


@dataclass(slots=True)
class Progress:
    """Position and results so far.

    Attributes:
        score_scale: Scores times this are the logits of honest probabilities: the recipe's `logit_scale` until the
            last steps have fitted it, on training crops read where the network learned last.
        step_count: Mini-batches done.
        epoch_metrics: The measures of the finished epochs.
        training: Sums of the epoch under way, over crops learned from.
        testing: Likewise, over test crops.
        readings: The digits read in the watched crops by that test, see `worker.learning.mixtures.choose_watched`.
        test_correct: Test crops read correctly, by the parts of the data set.
        validation_losses: Sums of the losses of held-out crops, by part.
        best_loss: The lowest validation loss of the phase under way; None before the first.
        epochs_since_best: Epochs of the phase after that one.
        order: The crops of the epoch under way, `(crops,)` int32.
        confusion: Of the last test, which may be under way, `(10, 10)` int64, rows are digits, columns answers.
        mistakes: The worst of that test, see `worker.learning.mistakes`.
        scaling_scores: Read so far to fit the scale on, `(crops, 10)`, -128..127.
    """

    score_scale: float
    step_count: int = 0
    epoch_metrics: list[EpochMetrics] = field(default_factory=list)
    training: RunningMean = field(default_factory=RunningMean)
    testing: RunningMean = field(default_factory=RunningMean)
    readings: list[int] = field(default_factory=list)
    test_correct: list[int] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_loss: float | None = None
    epochs_since_best: int = 0
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    confusion: Tensor = field(default_factory=lambda: torch.zeros(10, 10, dtype=torch.int64))
    mistakes: Tensor = field(default_factory=no_mistakes)
    scaling_scores: Tensor = field(default_factory=lambda: torch.empty(0, 10))

    def begin_test(self, parts: int) -> None:
        """Forget the last test; the next one counts by so many parts."""
        self.testing = RunningMean()
        self.test_correct = [0] * parts
        self.confusion = torch.zeros(10, 10, dtype=torch.int64)
        self.mistakes = no_mistakes()

    def judge(self, loss: float, patience: int) -> bool:
        """Count an epoch with this validation loss; return whether the last `patience` epochs have had no lower one."""
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.epochs_since_best = loss, 0
        else:
            self.epochs_since_best += 1
        return self.epochs_since_best >= patience

    def tensors(self) -> dict[str, Tensor]:
        """Copy the tensors, by name."""
        return {name: getattr(self, name).clone() for name in _TENSORS}

    def facts(self) -> dict[str, Any]:
        """Copy the rest, JSON-able."""
        return {
            "score_scale": self.score_scale,
            "step_count": self.step_count,
            "epoch_metrics": [asdict(metrics) for metrics in self.epoch_metrics],
            "training": asdict(self.training),
            "testing": asdict(self.testing),
            "readings": list(self.readings),
            "test_correct": list(self.test_correct),
            "validation_losses": list(self.validation_losses),
            "best_loss": self.best_loss,
            "epochs_since_best": self.epochs_since_best,
        }

    @classmethod
    def of(cls, state: TrainerState) -> "Progress":
        """Restore a progress from its `tensors` and `facts`.

        Raises:
            StateMismatchError: A tensor is missing.
        """
        state.check_tensors(_TENSORS)
        facts = state.facts
        return cls(
            score_scale=float(facts["score_scale"]),
            step_count=int(facts["step_count"]),
            epoch_metrics=[EpochMetrics(**metrics) for metrics in facts["epoch_metrics"]],
            training=RunningMean(**facts["training"]),
            testing=RunningMean(**facts["testing"]),
            # Saves made before watched crops, mixtures and early ends lack the next five.
            readings=list(facts.get("readings", [])),
            test_correct=list(facts.get("test_correct", [])),
            validation_losses=list(facts.get("validation_losses", [])),
            best_loss=facts.get("best_loss"),
            epochs_since_best=int(facts.get("epochs_since_best", 0)),
            order=state.tensors["order"].clone(),
            confusion=state.tensors["confusion"].clone(),
            mistakes=state.tensors["mistakes"].clone(),
            scaling_scores=state.tensors["scaling_scores"].clone(),
        )
