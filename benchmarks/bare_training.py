"""`python -m benchmarks.bare_training`: one training in a process of its own, without a service around it.

Prints one JSON object: `seconds`, from building the network to the last weights, without starting Python,
importing torch and reading the data, none of which a running service does for each job; `accuracies` on the test
set, 0..1, after each epoch; `threads` of torch.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

import torch
from torch.utils.data import DataLoader

from hxtorch_emulator import perceptron
from hxtorch_emulator.vision import load_torchvision
from services.networks.network import Network
from worker.learning.datasets import load_dataset
from worker.learning.recipes import RECIPES, resolve
from worker.learning.training import Trainer

NOTEBOOK: Final = "notebook-plain"


def train_recipe(recipe: str, mnist: Path | None) -> tuple[float, list[float]]:
    """Return seconds and accuracies of a recipe."""
    dataset = load_dataset("mnist", mnist) if mnist else load_dataset("digits")
    module: Any = perceptron
    start = time.perf_counter()
    trainer = Trainer(resolve(recipe), Network.perceptron(), dataset, module)
    while not trainer.finished:
        trainer.step()
    trainer.weights()
    seconds = time.perf_counter() - start
    return seconds, [metrics.test_accuracy for metrics in trainer.progress.epoch_metrics]


def train_notebook(mnist: Path, epochs: int = 4) -> tuple[float, list[float]]:
    """Return times and accuracies of the teaching notebook: torchvision's transforms image by image, and a plain loop.

    Source: the BrainScaleS-2 tutorial notebook on MNIST.
    """
    vision = load_torchvision()
    transforms = vision.transforms
    varied = transforms.Compose([transforms.RandomResizedCrop(28), transforms.ToTensor(), torch.round])
    plain = transforms.Compose([transforms.ToTensor(), torch.round])
    training = DataLoader(vision.datasets.MNIST(mnist, True, varied), batch_size=200, shuffle=True)
    test = DataLoader(vision.datasets.MNIST(mnist, False, plain), batch_size=200)

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


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=(*RECIPES, NOTEBOOK))
    parser.add_argument("--mnist", type=Path, help=f"required by {NOTEBOOK}")
    parser.add_argument("--threads", type=int, default=0, help="of torch [its own default]")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.recipe == NOTEBOOK:
        seconds, accuracies = train_notebook(options.mnist)
    else:
        seconds, accuracies = train_recipe(options.recipe, options.mnist)
    print(json.dumps({"seconds": seconds, "accuracies": accuracies, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
