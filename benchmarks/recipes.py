"""Training recipes beside the teaching notebook's own pipeline, in one process and one run.

    python -m benchmarks.recipes --mnist DIR [--threads N] [--seeds N]

Prints a table; every time stands beside the notebook's in the same run. By default one thread, as the worker
uses where other processes share the cores.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from hxtorch_emulator import perceptron
from worker.learning.datasets import Dataset, load_dataset
from worker.learning.network_spec import NetworkSpec
from worker.learning.recipes import resolve
from worker.learning.training import Trainer
from worker.learning.vision import load_torchvision


def train_notebook_plain(dataset_folder: Path, epochs: int = 4) -> tuple[float, list[float]]:
    """Train as the teaching notebook does: torchvision's transforms image by image, a plain loop around them.

    Returns:
        Seconds for all epochs, tests included, and the test accuracy after each, 0..1.

    Source: the BrainScaleS-2 tutorial notebook on MNIST.
    """
    vision = load_torchvision()
    transforms = vision.transforms
    varied = transforms.Compose([transforms.RandomResizedCrop(28), transforms.ToTensor(), torch.round])
    plain = transforms.Compose([transforms.ToTensor(), torch.round])
    training = DataLoader(vision.datasets.MNIST(dataset_folder, True, varied), batch_size=200, shuffle=True)
    test = DataLoader(vision.datasets.MNIST(dataset_folder, False, plain), batch_size=200)

    torch.manual_seed(0)
    nn = perceptron.nn
    network = torch.nn.Sequential(
        nn.Linear(784, 256, mock=True),
        nn.ConvertingReLU(shift=1, mock=True),
        nn.Linear(256, 256, mock=True),
        nn.ConvertingReLU(shift=1, mock=True),
        nn.Linear(256, 10, mock=True),
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=0.25)
    loss_of = torch.nn.CrossEntropyLoss()

    accuracies = []
    start = time.perf_counter()
    for _ in range(epochs):
        for images, labels in training:
            optimiser.zero_grad()
            loss = loss_of(network(images.flatten(1) * 31), labels) / 64
            loss.backward()
            optimiser.step()
        correct = 0
        with torch.no_grad():
            for images, labels in test:
                correct += int((network(images.flatten(1) * 31).argmax(1) == labels).sum())
        accuracies.append(correct / 10_000)
    return time.perf_counter() - start, accuracies


def train_recipe(dataset: Dataset, name: str, **overrides: object) -> tuple[float, list[float]]:
    """Train a recipe by the bare loop around the trainer.

    Returns:
        Seconds from building the trainer to the last test, and the test accuracy after each epoch, 0..1.
    """
    start = time.perf_counter()
    trainer = Trainer(resolve(name, overrides), NetworkSpec(), dataset, perceptron)
    while not trainer.finished:
        trainer.step()
    return time.perf_counter() - start, [metrics.test_accuracy for metrics in trainer.epoch_metrics]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in seconds, accuracies in parts of 1.

    With one thread, the processor time tells the recipes apart also on a machine that does other work.
    """

    name: str
    wall_s: float
    cpu_s: float
    accuracies: list[float]

    def as_text(self, reference: "Row") -> str:
        """Show the row with its times as parts of the reference's."""
        accuracies = " ".join(f"{100 * accuracy:5.2f}" for accuracy in self.accuracies)
        return (
            f"{self.name:24} {self.wall_s:7.1f} {self.wall_s / reference.wall_s:6.2f} "
            f"{self.cpu_s:8.1f} {self.cpu_s / reference.cpu_s:6.2f}   {accuracies}"
        )


def measure(name: str, train: Callable[[], tuple[float, list[float]]]) -> Row:
    """Train once and note the time."""
    before_s = time.process_time()
    wall_s, accuracies = train()
    return Row(name, wall_s, time.process_time() - before_s, accuracies)


def compare_recipes(dataset_folder: Path, seeds: int = 3) -> dict[str, Any]:
    """Measure the notebook's pipeline, then both recipes, `strong` with several seeds, printing a table.

    Returns:
        The result of `training.strong.time_vs_notebook` without a service, as `make bench` writes it.
    """
    dataset = load_dataset("mnist", dataset_folder)
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=2.0, gain=0.002))
    print(f"{'recipe':24} {'wall s':>7} {'ratio':>6} {'cpu s':>8} {'ratio':>6}   test accuracy by epoch, %")

    plain = measure("notebook, by image", lambda: train_notebook_plain(dataset_folder))
    print(plain.as_text(plain), flush=True)
    notebook = measure("notebook, by mini-batch", lambda: train_recipe(dataset, "notebook"))
    print(notebook.as_text(plain), flush=True)
    strong = []
    for seed in range(seeds):
        strong.append(measure(f"strong, seed {seed}", partial(train_recipe, dataset, "strong", seed=seed)))
        print(strong[-1].as_text(plain), flush=True)

    value = statistics.median(row.wall_s for row in strong) / plain.wall_s
    return {
        "value": value,
        "target": 1.0,
        "better": "lower",
        "ok": value <= 1.0,
        "detail": {
            "threads": torch.get_num_threads(),
            "notebook_plain": asdict(plain),
            "notebook": asdict(notebook),
            "strong": [asdict(row) for row in strong],
        },
    }


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description="Compare the training recipes on MNIST.")
    parser.add_argument("--mnist", type=Path, required=True, help="folder that holds MNIST")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds of the strong recipe")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = compare_recipes(arguments.mnist, arguments.seeds)
    print(f"strong takes {result['value']:.2f} of the notebook's time (at most 1.0)")


if __name__ == "__main__":
    main()
