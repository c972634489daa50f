"""Training, one mini-batch at a time, so that whoever owns the chip can do something else in between."""

import math
from typing import Literal

import torch
from torch import Tensor

from worker.learning.arithmetic import Execution, MockParameter, Perceptron
from worker.learning.augmentation import vary
from worker.learning.datasets import Dataset
from worker.learning.measures import EpochMetrics, RunningMean, StepMetrics, count_answers
from worker.learning.network import build_network, encode, load_weights, resolve_spec, weights_of
from worker.learning.network_spec import NetworkSpec
from worker.learning.randomness import OwnRandomness
from worker.learning.recipes import Recipe
from worker.learning.training_state import TrainerState, flatten_adam, restore_adam

TEST_BATCH_SIZE = 500


class Trainer:
    """Trains one network; each call of `step` runs one mini-batch of training, or of the test after an epoch.

    Nothing the process does between two steps changes the result: the state of torch's global random number
    generator and the mock parameter are the trainer's own during a step and put back after it. `state` and
    `load_state` carry a training over to another process, which goes on to bit-identical weights. The number
    of threads is the process's business (`torch.set_num_threads`); keep it the same for one training.

    Attributes:
        recipe: How it trains.
        spec: The network, with the number of sends of each layer stated.
        execution: Where the network is computed.
        network: The network being trained.
        epoch_metrics: What the finished epochs gave.
        step_count: Mini-batches done.
        steps_total: Mini-batches in all, tests included.
        confusion: `confusion[digit, answer]`, `(10, 10)` int64: how many test crops of this digit got this
            answer in the last test, which may be under way.
    """

    def __init__(
        self,
        recipe: Recipe,
        spec: NetworkSpec,
        dataset: Dataset,
        perceptron: Perceptron,
        *,
        execution: Execution = "mock",
        mock_parameter: MockParameter | None = None,
    ) -> None:
        """Build the network and draw its first weights.

        Args:
            recipe: From `worker.learning.recipes.resolve`.
            spec: What to train; layers whose number of sends is open choose it now.
            dataset: What to train with.
            perceptron: The module that computes.
            execution: Where to compute.
            mock_parameter: Gain and noise; those in force now when None.
        """
        self.recipe = recipe
        self.execution: Execution = execution
        self._dataset = dataset
        self._parameter: MockParameter = mock_parameter or perceptron.get_mock_parameter()
        self._randomness = OwnRandomness(perceptron, self._parameter, recipe.seed)
        with self._randomness.active():
            self.network = build_network(spec, perceptron, execution)
        self.spec = resolve_spec(spec, self.network)
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate, fused=True)

        train = len(dataset.train_labels)
        self._repeats = max(1, math.ceil(recipe.min_steps_per_epoch * recipe.batch_size / train))
        self._train_steps = math.ceil(self._repeats * train / recipe.batch_size)
        self._test_steps = math.ceil(len(dataset.test_labels) / TEST_BATCH_SIZE)
        self.steps_total = recipe.epochs * (self._train_steps + self._test_steps)
        self.step_count = 0
        self.epoch_metrics: list[EpochMetrics] = []
        self._order = torch.empty(0, dtype=torch.int32)
        self._training = RunningMean()
        self._testing = RunningMean()
        self.confusion = torch.zeros(10, 10, dtype=torch.int64)

    @property
    def finished(self) -> bool:
        """Whether all epochs and their tests are done."""
        return self.step_count >= self.steps_total

    @property
    def epoch(self) -> int:
        """The epoch of the next step, counted from 0."""
        return self.step_count // (self._train_steps + self._test_steps)

    @property
    def step_in_epoch(self) -> int:
        """The place of the next step in its epoch, counted from 0; the test steps come last."""
        return self.step_count % (self._train_steps + self._test_steps)

    def step(self) -> StepMetrics:
        """Run one mini-batch, of training or of the test.

        Raises:
            RuntimeError: The training is finished.
        """
        if self.finished:
            raise RuntimeError("the training is finished; build a new Trainer for another one")
        epoch, place = self.epoch, self.step_in_epoch
        with self._randomness.active():
            if place < self._train_steps:
                return self._train(epoch, place)
            return self._test(epoch, place - self._train_steps)

    def weights(self) -> dict[str, Tensor]:
        """Copy the weights as they are now, for a checkpoint."""
        return weights_of(self.network)

    def state(self) -> TrainerState:
        """Copy everything the rest of the training depends on."""
        tensors = {
            f"weights.{name}": value.detach().clone() for name, value in self.network.named_parameters()
        }
        tensors |= flatten_adam(self._optimiser, self.network)
        tensors["random"] = self._randomness.state.clone()
        tensors["order"] = self._order.clone()
        tensors["confusion"] = self.confusion.clone()
        return TrainerState(
            tensors=tensors,
            facts={
                **self._identity(),
                "step_count": self.step_count,
                "training": self._training.as_json(),
                "testing": self._testing.as_json(),
                "epoch_metrics": [metrics.as_json() for metrics in self.epoch_metrics],
            },
        )

    def load_state(self, state: TrainerState) -> None:
        """Go on from a saved state of the same training.

        Raises:
            StateMismatchError: The state comes from another recipe, network, data set or gain, or lacks a
                part.
        """
        state.check_identity(self._identity())
        names = [name for name, _ in self.network.named_parameters()]
        state.check_tensors(["random", "order", "confusion", *(f"weights.{name}" for name in names)])
        facts = state.facts
        load_weights(self.network, {name: state.tensors[f"weights.{name}"] for name in names})
        restore_adam(self._optimiser, self.network, state.tensors)
        self._randomness.state = state.tensors["random"].clone()
        self._order = state.tensors["order"].clone()
        self.confusion = state.tensors["confusion"].clone()
        self.step_count = int(facts["step_count"])
        self._training = RunningMean(**facts["training"])
        self._testing = RunningMean(**facts["testing"])
        self.epoch_metrics = [EpochMetrics(**metrics) for metrics in facts["epoch_metrics"]]

    def _identity(self) -> dict[str, object]:
        """The facts that must agree between a saved state and the training it is loaded into, JSON-able."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "network": self.spec.model_dump(mode="json"),
            "dataset_sha256": self._dataset.sha256,
            "execution": self.execution,
            "noise_std": self._parameter.noise_std,
            "gain": self._parameter.gain,
        }

    def _train(self, epoch: int, place: int) -> StepMetrics:
        """Learn from one mini-batch."""
        recipe, data = self.recipe, self._dataset
        if place == 0:
            parts = [torch.randperm(len(data.train_labels)) for _ in range(self._repeats)]
            self._order = torch.cat(parts).to(torch.int32)
            self._training, self._testing = RunningMean(), RunningMean()
        chosen = self._order[place * recipe.batch_size : (place + 1) * recipe.batch_size]
        labels = data.train_labels.index_select(0, chosen)
        inputs = encode(vary(data.train_images.index_select(0, chosen), recipe))

        self._optimiser.param_groups[0]["lr"] = self._learning_rate(epoch, place)
        self._optimiser.zero_grad()
        scores = self.network(inputs)
        loss = self._loss(scores, labels)
        loss.backward()  # type: ignore[no-untyped-call] # torch types it as untyped
        self._optimiser.step()
        return self._count(self._training, "training", scores, labels, loss)

    def _test(self, epoch: int, place: int) -> StepMetrics:
        """Read one mini-batch of the test set; the last one completes the epoch's metrics."""
        part = slice(place * TEST_BATCH_SIZE, (place + 1) * TEST_BATCH_SIZE)
        labels = self._dataset.test_labels[part]
        with torch.inference_mode():
            scores = self.network(encode(self._dataset.test_images[part].flatten(1)))
            loss = self._loss(scores, labels)
            if place == 0:
                self.confusion = torch.zeros(10, 10, dtype=torch.int64)
            self.confusion += count_answers(scores, labels)
        metrics = self._count(self._testing, "testing", scores, labels, loss)
        if place == self._test_steps - 1:
            self.epoch_metrics.append(
                EpochMetrics(
                    epoch=epoch,
                    learning_rate=self._learning_rate(epoch, self._train_steps - 1),
                    train_loss=self._training.loss,
                    train_accuracy=self._training.accuracy,
                    test_loss=self._testing.loss,
                    test_accuracy=self._testing.accuracy,
                )
            )
        return metrics

    def _learning_rate(self, epoch: int, place: int) -> float:
        """The learning rate of one training step."""
        return self.recipe.learning_rate_at(
            epoch * self._train_steps + place, self.recipe.epochs * self._train_steps
        )

    def _loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The recipe's loss of scores `(batch, 10)`, -128..127, and labels `(batch,)`, 0..9."""
        logits = scores * self.recipe.logit_scale
        return torch.nn.functional.cross_entropy(logits, labels) / self.recipe.loss_divisor

    def _count(
        self,
        sums: RunningMean,
        phase: Literal["training", "testing"],
        scores: Tensor,
        labels: Tensor,
        loss: Tensor,
    ) -> StepMetrics:
        """Count a mini-batch as done and say what it gave."""
        epoch, crops, mean_loss = self.epoch, len(labels), loss.item()
        correct = int((scores.argmax(1) == labels).sum())
        sums.add(mean_loss, correct, crops)
        self.step_count += 1
        return StepMetrics(phase, epoch, self.step_count, self.steps_total, crops, mean_loss, correct / crops)
