"""`python -m benchmarks.bare_training`: one training in a process of its own, without a service around it.

Prints one JSON object: `seconds`, from building the network to the last weights, without starting Python,
importing torch and reading the data, none of which a running service does per job either; `accuracies`, after
each epoch; `threads`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.recipes import train_notebook_plain
from hxtorch_emulator import perceptron
from worker.learning.datasets import load_dataset
from worker.learning.network_spec import NetworkSpec
from worker.learning.recipes import resolve
from worker.learning.training import Trainer


def train_bare(recipe: str, mnist: Path | None) -> tuple[float, list[float]]:
    """Seconds and accuracies of a recipe, stepped through as fast as it goes."""
    dataset = load_dataset("mnist", mnist) if mnist else load_dataset("digits")
    module: Any = perceptron
    start = time.perf_counter()
    trainer = Trainer(resolve(recipe), NetworkSpec(), dataset, module)
    while not trainer.finished:
        trainer.step()
    trainer.weights()
    seconds = time.perf_counter() - start
    return seconds, [metrics.test_accuracy for metrics in trainer.epoch_metrics]


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("strong", "notebook-plain"))
    parser.add_argument("--mnist", type=Path, help="required by notebook-plain")
    parser.add_argument("--threads", type=int, default=0, help="of torch [its own default]")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.what == "notebook-plain":
        seconds, accuracies = train_notebook_plain(options.mnist)
    else:
        seconds, accuracies = train_bare(options.what, options.mnist)
    print(json.dumps({"seconds": seconds, "accuracies": accuracies, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
