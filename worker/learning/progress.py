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
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    confusion: Tensor = field(default_factory=lambda: torch.zeros(10, 10, dtype=torch.int64))
    mistakes: Tensor = field(default_factory=no_mistakes)
    scaling_scores: Tensor = field(default_factory=lambda: torch.empty(0, 10))

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
            **{name: state.tensors[name].clone() for name in _TENSORS},
        )
