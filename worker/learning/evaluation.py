"""Evaluation of a trained network on labelled crops, one mini-batch at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from services.networks.network import Network
from worker.learning.arithmetic import Execution, MockParameter, Perceptron
from worker.learning.confidence import confidences, expected_calibration_error
from worker.learning.errors import NetworkInvalidError
from worker.learning.measures import RunningMean, StepMetrics, count_answers
from worker.learning.mistakes import Mistake, add_mistakes, no_mistakes, read_mistakes
from worker.learning.network import build_network, encode, load_weights
from worker.learning.randomness import OwnRandomness

EvaluationExecution = Literal["float32", "quantised", "mock", "chip"]
"""Float32 layers, mock arithmetic without noise, mock arithmetic, or the open chip."""

BATCH_SIZE = 500


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The quality of a network's answers.

    Attributes:
        execution: Where it was computed.
        crops: How many were read.
        accuracy: Part of them read correctly, 0..1.
        loss: Mean cross entropy of the scaled scores.
        calibration_error: How far confidence and accuracy lie apart on average, in 15 bins, 0..1.
        confusion: `confusion[digit][answer]`: how many crops of this digit got this answer, 10 x 10.
    """

    execution: EvaluationExecution
    crops: int
    accuracy: float
    loss: float
    calibration_error: float
    confusion: list[list[int]]


def own_randomness(
    perceptron: Perceptron, execution: EvaluationExecution, mock_parameter: MockParameter | None, seed: int
) -> OwnRandomness:
    """Return the randomness of readings; "quantised" has the gain of the mock parameter and no noise."""
    parameter: MockParameter = mock_parameter or perceptron.get_mock_parameter()
    if execution == "quantised":
        parameter = perceptron.MockParameter(noise_std=0.0, gain=parameter.gain)
    return OwnRandomness(perceptron, parameter, seed)


def fixed_network(
    spec: Network, weights: Mapping[str, Tensor], perceptron: Perceptron, execution: EvaluationExecution
) -> torch.nn.Module:
    """Return a trained network, from encoded crops to scores.

    Raises:
        NetworkInvalidError: The spec leaves the number of sends open, or the weights do not fit it.
    """
    if spec.num_sends is None:
        raise NetworkInvalidError(
            "the network's spec leaves num_sends open; use the spec stored with the trained weights."
        )
    network_execution: Execution = "mock" if execution == "quantised" else execution
    network = build_network(spec, perceptron, network_execution)
    load_weights(network, weights)
    return network


class Evaluator:
    """Reads labelled crops with fixed weights; every call of `step` runs one mini-batch.

    As with the trainer, nothing that happens between two steps changes the result, a chip's drift excepted.

    Attributes:
        step_count: Mini-batches done.
        steps_total: Mini-batches in all.
    """

    def __init__(
        self,
        spec: Network,
        weights: Mapping[str, Tensor],
        images: Tensor,
        labels: Tensor,
        perceptron: Perceptron,
        *,
        execution: EvaluationExecution = "mock",
        mock_parameter: MockParameter | None = None,
        logit_scale: float = 0.1,
        repeats: int = 1,
        seed: int = 0,
    ) -> None:
        """Build the network and load the weights.

        Args:
            spec: The network, with the number of sends of each layer stated.
            weights: As `worker.learning.network.weights_of` gives them.
            images: `(crops, 28, 28)` uint8, 0..255.
            labels: `(crops,)` int64, 0..9.
            perceptron: The module that computes.
            execution: Where to compute.
            mock_parameter: Gain and noise; those in force now when None. "quantised" takes the gain only.
            logit_scale: Scores times this are the logits of loss and confidence.
            repeats: Number of readings of each crop; the mean of its scores counts.
            seed: Of the noise.

        Raises:
            NetworkInvalidError: The spec leaves the number of sends open, or the weights do not fit it.
        """
        self.step_count = 0
        self.steps_total = -(-len(labels) // BATCH_SIZE)
        self._execution: EvaluationExecution = execution
        self._images, self._labels = images, labels
        self._logit_scale, self._repeats = logit_scale, repeats
        self._randomness = own_randomness(perceptron, execution, mock_parameter, seed)
        with self._randomness.active():
            self._network = fixed_network(spec, weights, perceptron, execution)
        self._sums = RunningMean()
        self._confusion = torch.zeros(10, 10, dtype=torch.int64)
        self._mistakes = no_mistakes()
        self._confidences = [torch.empty(0)]
        self._correct = [torch.empty(0, dtype=torch.bool)]

    @property
    def finished(self) -> bool:
        """Whether all crops are read."""
        return self.step_count >= self.steps_total

    def step(self) -> StepMetrics:
        """Read one mini-batch.

        Raises:
            RuntimeError: All crops are read.
        """
        if self.finished:
            raise RuntimeError("the evaluation is finished; build a new Evaluator for another one")
        part = slice(self.step_count * BATCH_SIZE, (self.step_count + 1) * BATCH_SIZE)
        labels = self._labels[part]
        with self._randomness.active(), torch.inference_mode():
            inputs = encode(self._images[part].flatten(1))
            scores = torch.stack([self._network(inputs) for _ in range(self._repeats)]).mean(0)
            loss = torch.nn.functional.cross_entropy(scores * self._logit_scale, labels).item()
            answers = count_answers(scores, labels)
            self._confidences.append(confidences(scores, self._logit_scale))
            self._correct.append(scores.argmax(1) == labels)
        self._confusion += answers
        self._mistakes = add_mistakes(self._mistakes, scores, labels, self.step_count * BATCH_SIZE)
        correct = int(answers.trace())
        self._sums.add(loss, correct, len(labels))
        self.step_count += 1
        accuracy = correct / len(labels)
        return StepMetrics("testing", 0, self.step_count, self.steps_total, len(labels), loss, accuracy)

    @property
    def mistakes(self) -> list[Mistake]:
        """The worst mistakes among the crops seen so far."""
        return read_mistakes(self._mistakes)

    @property
    def correct(self) -> Tensor:
        """Whether each crop seen so far was read correctly, `(crops,)` bool."""
        return torch.cat(self._correct)

    def report(self) -> EvaluationReport:
        """Say how well the network reads the crops seen so far."""
        return EvaluationReport(
            execution=self._execution,
            crops=self._sums.crops,
            accuracy=self._sums.accuracy,
            loss=self._sums.loss,
            calibration_error=expected_calibration_error(torch.cat(self._confidences), self.correct),
            confusion=self._confusion.tolist(),
        )
