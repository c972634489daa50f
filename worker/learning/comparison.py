"""Comparison of two trained networks on the same crops, each read several times, in turns."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from services.networks.network import Network
from worker.learning.arithmetic import MockParameter, Perceptron
from worker.learning.evaluation import BATCH_SIZE, EvaluationExecution, fixed_network, own_randomness
from worker.learning.network import encode

SHOWN = 12
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """A crop that the two networks read as different digits.

    Attributes:
        index: Its place in the test set.
        digit: The true digit.
        candidate: The digit that the candidate read.
        present: The digit that the present network read.
        agreement: Share of each network's readings with its own digit, the smaller of the two, 0..1.
    """

    index: int
    digit: int
    candidate: int
    present: int
    agreement: float


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """The answers of two networks to the same crops; an answer is the digit with the highest mean score.

    Attributes:
        both_right: Number of crops that both read right.
        only_candidate: Number of crops that the candidate alone read right.
        only_present: Number of crops that the present network alone read right.
        both_wrong: Number of crops that neither read right.
        disagreement: Share of the crops with different answers.
        reading_disagreement: Probability that single readings by the two differ.
        candidate_disagreement: Probability that two readings of a crop by the candidate differ: its noise.
        present_disagreement: The same of the present network.
    """

    both_right: int
    only_candidate: int
    only_present: int
    both_wrong: int
    disagreement: float
    reading_disagreement: float
    candidate_disagreement: float
    present_disagreement: float


class Comparer:
    """Reads labelled crops with two networks; every call of `step` reads one mini-batch once with each.

    A mini-batch has all its readings before the next one begins, and the two networks take turns in going first, so
    that a drift of the chip meets both alike. As with the trainer, nothing that happens between two steps changes the
    result, a chip's drift excepted.

    Attributes:
        step_count: Mini-batches read by both networks.
        steps_total: Number of them in all, each reading counted.
    """

    def __init__(
        self,
        candidate: tuple[Network, Mapping[str, Tensor]],
        present: tuple[Network, Mapping[str, Tensor]],
        images: Tensor,
        labels: Tensor,
        perceptron: Perceptron,
        *,
        execution: EvaluationExecution = "mock",
        mock_parameter: MockParameter | None = None,
        repeats: int = 8,
        seed: int = 0,
    ) -> None:
        """Build both networks.

        Args:
            candidate: Its spec and its weights, as for `worker.learning.evaluation.Evaluator`.
            present: The same of the network that it is compared with.
            images: `(crops, 28, 28)` uint8, 0..255; at least one.
            labels: `(crops,)` int64, 0..9.
            perceptron: The module that computes.
            execution: Where to compute.
            mock_parameter: Gain and noise; those in force now when None.
            repeats: Number of readings of each crop by each network, >= 2.
            seed: Of the noise.

        Raises:
            NetworkInvalidError: A spec leaves the number of sends open, or the weights do not fit it.
        """
        self.step_count = 0
        self.steps_total = repeats * -(-len(labels) // BATCH_SIZE)
        self._images, self._labels, self._repeats = images, labels, repeats
        self._randomness = own_randomness(perceptron, execution, mock_parameter, seed)
        with self._randomness.active():
            self._networks = [
                fixed_network(spec, weights, perceptron, execution) for spec, weights in (candidate, present)
            ]
        self._sums = torch.zeros(2, len(labels), _DIGITS)
        self._votes = torch.zeros(2, len(labels), _DIGITS, dtype=torch.float64)

    @property
    def finished(self) -> bool:
        """Whether all readings are done."""
        return self.step_count >= self.steps_total

    def step(self) -> None:
        """Read one mini-batch once with each network.

        Raises:
            RuntimeError: All readings are done.
        """
        if self.finished:
            raise RuntimeError("the comparison is finished; build a new Comparer for another one")
        batch, reading = divmod(self.step_count, self._repeats)
        part = slice(batch * BATCH_SIZE, (batch + 1) * BATCH_SIZE)
        with self._randomness.active(), torch.inference_mode():
            inputs = encode(self._images[part].flatten(1))
            for side in (0, 1) if reading % 2 == 0 else (1, 0):
                scores = self._networks[side](inputs)
                self._sums[side, part] += scores
                self._votes[side, part] += torch.nn.functional.one_hot(scores.argmax(1), _DIGITS)
        self.step_count += 1

    @property
    def correct(self) -> Tensor:
        """Whether candidate and present network answered right, `(2, crops)` bool, once all readings are done."""
        return self._sums.argmax(2) == self._labels

    def report(self) -> ComparisonReport:
        """Return the outcome, once all readings are done."""
        answers = self._sums.argmax(2)
        candidate, present = self.correct
        votes, readings = self._votes, self._repeats
        same = (votes * (votes - 1)).sum(2).mean(1) / (readings * (readings - 1))
        return ComparisonReport(
            both_right=int((candidate & present).sum()),
            only_candidate=int((candidate & ~present).sum()),
            only_present=int((~candidate & present).sum()),
            both_wrong=int((~candidate & ~present).sum()),
            disagreement=int((answers[0] != answers[1]).sum()) / len(self._labels),
            reading_disagreement=1 - float((votes[0] * votes[1]).sum(1).mean()) / readings**2,
            candidate_disagreement=1 - float(same[0]),
            present_disagreement=1 - float(same[1]),
        )

    @property
    def differences(self) -> list[Difference]:
        """The crops with different answers on which each network agrees most with itself, at most `SHOWN`."""
        answers = self._sums.argmax(2)
        agreement = (self._votes.gather(2, answers.unsqueeze(2)).squeeze(2) / self._repeats).amin(0)
        places = (answers[0] != answers[1]).nonzero().flatten()
        places = places[agreement[places].argsort(descending=True, stable=True)[:SHOWN]]
        return [
            Difference(
                index=place,
                digit=int(self._labels[place]),
                candidate=int(answers[0, place]),
                present=int(answers[1, place]),
                agreement=round(float(agreement[place]), 3),
            )
            for place in places.tolist()
        ]
