"""Training, one mini-batch at a time, so that the chip can do other work in between."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from services.networks.network import Network
from worker.learning.arithmetic import MockParameter, Perceptron
from worker.learning.augmentation import vary
from worker.learning.confidence import fit_score_scale
from worker.learning.datasets import Dataset
from worker.learning.errors import NetworkInvalidError
from worker.learning.measures import EpochMetrics, RunningMean, StepMetrics, count_answers
from worker.learning.mistakes import add_mistakes
from worker.learning.mixtures import choose_places, choose_watched, crops_shown, draw_epoch, number_parts
from worker.learning.network import build_network, encode, load_weights, resolve_spec, weights_of
from worker.learning.plan import Place, Plan, TrainingExecution, plan_phases
from worker.learning.progress import Progress
from worker.learning.randomness import OwnRandomness
from worker.learning.recipes import Recipe
from worker.learning.training_state import TrainerState, fingerprint_weights, flatten_adam, restore_adam

TEST_BATCH_SIZE = 500


class Trainer:
    """Trains one network; each call of `step` runs one mini-batch: learned from, of the test, or of the scale.

    Nothing the process does between two steps changes the result: the state of torch's global random number
    generator and the mock parameter are the trainer's own during a step and put back after it. `state` and
    `load_state` carry a training over to another process, which goes on to bit-identical weights, with the
    gain and noise it began with. A chip is the exception: a real one is never twice the same, and the virtual
    one drifts with its clock, so only a virtual chip whose clock stands still gives the same bits. The number
    of threads is the process's business (`torch.set_num_threads`); keep it the same for one training.

    Attributes:
        recipe: How it trains.
        spec: The network, with the number of sends of each layer stated.
        execution: Where the network learns.
        plan: The phases, and the steps of each epoch.
        network: The network being trained; every phase has its own, which begins with the last one's weights.
        mock_parameter: Gain and noise it learns with; on the chip the gain serves for the gradient.
        watched: The crops of the test set whose readings each epoch's measures have, by their places.
        progress: Position and results so far.
    """

    def __init__(
        self,
        recipe: Recipe,
        spec: Network,
        dataset: Dataset,
        perceptron: Perceptron,
        *,
        execution: TrainingExecution = "mock",
        mock_parameter: MockParameter | None = None,
        start_from: Mapping[str, Tensor] | None = None,
        learns: bool = True,
    ) -> None:
        """Build the network and draw its first weights, or take them over.

        Args:
            recipe: From `worker.learning.recipes.resolve`.
            spec: The network to train; layers whose number of sends is open choose it now.
            dataset: The data set to train with.
            perceptron: The module that computes.
            execution: Where to learn. "chip" is the whole recipe on the open chip, or, with `start_from`,
                only the short phase of a training with the chip in the loop.
            mock_parameter: Gain and noise; those in force now when None.
            start_from: Weights to begin with, as `weights` gives them; they need a spec that states the
                number of sends.
            learns: False: the network is tested and its scale fitted, in one place, and its weights stay.

        Raises:
            NetworkInvalidError: The weights to begin with do not fit the spec, or it leaves the number of
                sends open.
        """
        if start_from is not None and spec.num_sends is None:
            raise NetworkInvalidError(
                "the network's spec leaves num_sends open; use the spec stored with the weights to begin with."
            )
        self.recipe = recipe
        self.execution: TrainingExecution = execution
        self.mock_parameter: MockParameter = mock_parameter or perceptron.get_mock_parameter()
        self._perceptron = perceptron
        self._asked_spec = self.spec = spec
        self._start_sha256 = None if start_from is None else fingerprint_weights(start_from)
        self._randomness = OwnRandomness(perceptron, self.mock_parameter, recipe.seed)

        self._learns = learns
        self._dataset = dataset
        self._parts = dataset.all_parts
        self._places = choose_places(dataset, hold_out=recipe.hold_out, learns=learns)
        self._scaling = torch.cat(self._places.scaling)
        self.watched = choose_watched(dataset, TEST_BATCH_SIZE)
        self._weights = [part.weight for part in self._parts]
        shown = sum(map(crops_shown, map(len, self._places.learned), self._weights)) if learns else 0
        self._repeats = max(1, math.ceil(recipe.min_steps_per_epoch * recipe.batch_size / max(shown, 1)))
        scaling_steps = math.ceil(len(self._scaling) / TEST_BATCH_SIZE)
        self.plan = Plan(
            phases=plan_phases(recipe, execution, goes_on=start_from is not None, learns=learns),
            train_steps=math.ceil(self._repeats * shown / recipe.batch_size),
            validation_steps=scaling_steps if recipe.patience and learns else 0,
            test_steps=math.ceil(len(dataset.test_labels) / TEST_BATCH_SIZE),
            scaling_steps=scaling_steps,
        )

        self.progress = Progress(score_scale=recipe.logit_scale)
        with self._randomness.active():
            self._enter_phase(0, start_from)

    @property
    def step_count(self) -> int:
        """Mini-batches done."""
        return self.progress.step_count

    @property
    def steps_total(self) -> int:
        """Mini-batches in all."""
        return self.plan.steps_total

    @property
    def finished(self) -> bool:
        """Whether all epochs and their tests are done, and the scale is fitted."""
        return self.step_count >= self.steps_total

    @property
    def epoch(self) -> int:
        """The epoch of the next step, counted from 0 through all phases."""
        return self.plan.place_of(self.step_count).epoch

    def step(self) -> StepMetrics:
        """Run one mini-batch.

        Raises:
            RuntimeError: The training is finished.
        """
        if self.finished:
            raise RuntimeError("the training is finished; build a new Trainer for another one")
        place = self.plan.place_of(self.step_count)
        with self._randomness.active():
            match place.kind:
                case "training":
                    metrics = self._train(place)
                case "validation":
                    metrics = self._validate(place)
                case "testing":
                    metrics = self._test(place)
                case "scaling":
                    metrics = self._scale(place)
            self.progress.step_count += 1
            if place.kind == "testing" and place.index == self.plan.test_steps - 1:
                self._end_epoch(place)
            following = self.plan.place_of(self.step_count).phase
            if following != place.phase:
                self._enter_phase(following, self.weights())
        return metrics

    def weights(self) -> dict[str, Tensor]:
        """Copy the weights as they are now, for a checkpoint."""
        return weights_of(self.network)

    def state(self) -> TrainerState:
        """Copy everything the rest of the training depends on."""
        weights = {f"weights.{name}": value.detach().clone() for name, value in self._parameters()}
        return TrainerState(
            tensors={
                **weights,
                **flatten_adam(self._optimiser, self.network),
                **self.progress.tensors(),
                "random": self._randomness.state.clone(),
            },
            facts={
                **self._identity(),
                **self.progress.facts(),
                "num_sends": list(self.spec.num_sends or ()),
                "noise_std": self.mock_parameter.noise_std,
                "gain": self.mock_parameter.gain,
            },
        )

    def load_state(self, state: TrainerState) -> None:
        """Go on from a saved state of the same training, with the gain and noise it began with.

        Raises:
            StateMismatchError: The state comes from another recipe, network, data set, execution or start, or
                lacks a part.
        """
        state.check_identity(self._identity())
        names = [name for name, _ in self._parameters()]
        state.check_tensors(["random", *(f"weights.{name}" for name in names)])
        progress, facts = Progress.of(state), state.facts
        self.mock_parameter = self._perceptron.MockParameter(
            noise_std=float(facts["noise_std"]), gain=float(facts["gain"])
        )
        self.spec = self.spec.with_num_sends(facts["num_sends"])
        self._randomness = OwnRandomness(self._perceptron, self.mock_parameter, self.recipe.seed)
        with self._randomness.active():
            weights = {name: state.tensors[f"weights.{name}"] for name in names}
            self._enter_phase(self.plan.place_of(progress.step_count).phase, weights)
        restore_adam(self._optimiser, self.network, state.tensors)
        self._randomness.state = state.tensors["random"].clone()
        self.progress = progress

    def _parameters(self) -> list[tuple[str, Tensor]]:
        """Return the network's parameters with their names."""
        return list(self.network.named_parameters())

    def _identity(self) -> dict[str, object]:
        """Return the facts that must agree between a saved state and the training it is loaded into, JSON-able."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "network": self._asked_spec.model_dump(mode="json"),
            "dataset_sha256": self._dataset.sha256,
            "execution": self.execution,
            "start_sha256": self._start_sha256,
            **({} if self._learns else {"learns": False}),
        }

    def _enter_phase(self, number: int, weights: Mapping[str, Tensor] | None) -> None:
        """Build the network and the optimiser of a phase; without weights the network keeps those it drew."""
        self.progress.best_loss, self.progress.epochs_since_best = None, 0
        self.network = build_network(self.spec, self._perceptron, self.plan.phases[number].execution)
        self.spec = resolve_spec(self.spec, self.network)
        if weights is not None:
            load_weights(self.network, weights)
        self._optimiser = torch.optim.Adam(self.network.parameters(), fused=True)

    def _train(self, place: Place) -> StepMetrics:
        """Learn from one mini-batch."""
        recipe, data, progress = self.recipe, self._dataset, self.progress
        if place.index == 0:
            progress.order = draw_epoch(self._places.learned, self._weights, self._repeats)
            progress.training = RunningMean()
        chosen = progress.order[place.index * recipe.batch_size : (place.index + 1) * recipe.batch_size]
        labels = data.train_labels.index_select(0, chosen)
        inputs = encode(vary(data.train_images.index_select(0, chosen), recipe))

        self._optimiser.param_groups[0]["lr"] = self._learning_rate(place)
        self._optimiser.zero_grad()
        scores = self.network(inputs)
        loss = self._loss(scores, labels)
        loss.backward()  # type: ignore[no-untyped-call] # torch types it as untyped
        self._optimiser.step()
        return self._count(progress.training, place, scores, labels, loss)

    def _validate(self, place: Place) -> StepMetrics:
        """Read one mini-batch of held-out crops, and sum up its losses by data set."""
        progress, counts = self.progress, [len(places) for places in self._places.scaling]
        labels, scores = self._read_held_out(place)
        logits = scores * self.recipe.logit_scale
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none").to(torch.float64)
        if place.index == 0:
            progress.validation_losses = [0.0] * len(counts)
        part = slice(place.index * TEST_BATCH_SIZE, (place.index + 1) * TEST_BATCH_SIZE)
        sums = torch.tensor(progress.validation_losses, dtype=torch.float64)
        progress.validation_losses = sums.index_add_(0, number_parts(counts)[part], losses).tolist()
        return self._count(RunningMean(), place, scores, labels, self._loss(scores, labels))

    def _test(self, place: Place) -> StepMetrics:
        """Read one mini-batch of the test set."""
        progress = self.progress
        part = slice(place.index * TEST_BATCH_SIZE, (place.index + 1) * TEST_BATCH_SIZE)
        labels = self._dataset.test_labels[part]
        with torch.inference_mode():
            scores = self.network(encode(self._dataset.test_images[part].flatten(1)))
            loss = self._loss(scores, labels)
            if place.index == 0:
                progress.begin_test(len(self._parts))
                progress.readings = scores[self.watched].argmax(1).tolist()
            progress.confusion += count_answers(scores, labels)
            progress.mistakes = add_mistakes(progress.mistakes, scores, labels, place.index * TEST_BATCH_SIZE)
        parts = number_parts([part.test_crops for part in self._parts])[part]
        correct = torch.bincount(parts[scores.argmax(1) == labels], minlength=len(self._parts))
        progress.test_correct = [a + b for a, b in zip(progress.test_correct, correct.tolist(), strict=False)]
        return self._count(progress.testing, place, scores, labels, loss)

    def _end_epoch(self, place: Place) -> None:
        """Complete the epoch's metrics; end the phase if its validation loss has not fallen for long enough."""
        progress, validation_loss = self.progress, None
        if self.plan.validation_steps:
            counts = [len(places) for places in self._places.scaling]
            means = [loss / n for loss, n in zip(progress.validation_losses, counts, strict=True) if n]
            validation_loss = sum(means) / len(means)
        progress.epoch_metrics.append(
            EpochMetrics(
                epoch=place.epoch,
                execution=self.plan.phases[place.phase].execution,
                learning_rate=self._learning_rate(replace(place, index=self.plan.train_steps - 1)),
                train_loss=progress.training.loss,
                train_accuracy=progress.training.accuracy,
                test_loss=progress.testing.loss,
                test_accuracy=progress.testing.accuracy,
                accuracies={
                    part.name: correct / part.test_crops
                    for part, correct in zip(self._parts, progress.test_correct, strict=False)
                    if part.test_crops
                },
                validation_loss=validation_loss,
                readings=list(progress.readings),
            )
        )
        if validation_loss is not None and progress.judge(validation_loss, self.recipe.patience):
            progress.step_count = self.plan.end_of_phase(place.phase)

    def _scale(self, place: Place) -> StepMetrics:
        """Read one mini-batch, not varied, to fit the scale on; the last one fits it."""
        labels, scores = self._read_held_out(place)
        loss = self._loss(scores, labels)
        progress = self.progress
        progress.scaling_scores = torch.cat((progress.scaling_scores, scores))
        if place.index == self.plan.scaling_steps - 1:
            every_label = self._dataset.train_labels[self._scaling]
            progress.score_scale = fit_score_scale(progress.scaling_scores, every_label)
        return self._count(RunningMean(), place, scores, labels, loss)

    def _read_held_out(self, place: Place) -> tuple[Tensor, Tensor]:
        """Read a mini-batch of crops as they are, of those held out; return its labels and scores."""
        chosen = self._scaling[place.index * TEST_BATCH_SIZE : (place.index + 1) * TEST_BATCH_SIZE]
        with torch.no_grad():
            scores = self.network(encode(self._dataset.train_images[chosen].flatten(1)))
        return self._dataset.train_labels[chosen], scores

    def _learning_rate(self, place: Place) -> float:
        """Return the learning rate of one training step."""
        phase, steps = self.plan.phases[place.phase], self.plan.train_steps
        if not steps:
            return 0.0
        done = place.epoch_in_phase * steps + place.index
        return phase.learning_rate * self.recipe.schedule_at(done, phase.epochs * steps)

    def _loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the recipe's loss of scores `(batch, 10)`, -128..127, and labels `(batch,)`, 0..9."""
        logits = scores * self.recipe.logit_scale
        return torch.nn.functional.cross_entropy(logits, labels) / self.recipe.loss_divisor

    def _count(
        self, sums: RunningMean, place: Place, scores: Tensor, labels: Tensor, loss: Tensor
    ) -> StepMetrics:
        """Record a mini-batch; return its measures."""
        crops, mean_loss = len(labels), loss.item()
        correct = int((scores.argmax(1) == labels).sum())
        sums.add(mean_loss, correct, crops)
        return StepMetrics(
            place.kind, place.epoch, self.step_count + 1, self.steps_total, crops, mean_loss, correct / crops
        )
