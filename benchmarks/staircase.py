"""The staircase: one network from float32 to the virtual chip, without retraining and with the chip in the loop.

    python -m benchmarks.staircase --mnist DIR [--chip-id ID ...] [--seed N]

Trains `strong` in mock arithmetic with the parameters measured on each chip, freshly calibrated, then goes on
with the chip in the loop, and reads the test set at every step. One thread.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import hxtorch_emulator as emulator
from hxtorch_emulator import connection, perceptron
from hxtorch_emulator.chip import VirtualChip
from worker.learning.arithmetic import MockParameter
from worker.learning.datasets import Dataset, load_dataset
from worker.learning.evaluation import EvaluationExecution, EvaluationReport, Evaluator
from worker.learning.network_spec import NetworkSpec
from worker.learning.recipes import resolve
from worker.learning.training import Trainer

REPEATS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained network.

    Attributes:
        spec: With the number of sends of each layer stated.
        weights: As the trainer gives them.
        score_scale: Fitted by the trainer.
        cpu_s: Processor seconds it took.
    """

    spec: NetworkSpec
    weights: Mapping[str, Tensor]
    score_scale: float
    cpu_s: float


def learn(
    dataset: Dataset, parameter: MockParameter, seed: int, start_from: Learned | None = None
) -> Learned:
    """Train in mock arithmetic, or go on with the chip in the loop."""
    before_s = time.process_time()
    recipe = resolve("strong", {"seed": seed})
    if start_from is None:
        trainer = Trainer(recipe, NetworkSpec(), dataset, perceptron, mock_parameter=parameter)
    else:
        trainer = Trainer(
            recipe,
            start_from.spec,
            dataset,
            perceptron,
            execution="chip",
            mock_parameter=parameter,
            start_from=start_from.weights,
        )
    while not trainer.finished:
        trainer.step()
    return Learned(trainer.spec, trainer.weights(), trainer.score_scale, time.process_time() - before_s)


def read(
    learned: Learned,
    dataset: Dataset,
    parameter: MockParameter,
    execution: EvaluationExecution,
    repeats: int = 1,
) -> EvaluationReport:
    """Read the test set."""
    evaluator = Evaluator(
        learned.spec,
        learned.weights,
        dataset.test_images,
        dataset.test_labels,
        perceptron,
        execution=execution,
        mock_parameter=parameter,
        logit_scale=learned.score_scale,
        repeats=repeats,
    )
    while not evaluator.finished:
        evaluator.step()
    return evaluator.report()


def _line(name: str, report: EvaluationReport, cpu_s: float | None = None) -> None:
    learning = "" if cpu_s is None else f"   learned in {cpu_s:.0f} s of processor time"
    print(
        f"  {name:34} {100 * report.accuracy:6.2f} {report.calibration_error:8.4f}{learning}",
        flush=True,
    )


def climb(chip_id: str, dataset: Dataset, seed: int) -> dict[str, float]:
    """Print the staircase of one chip, calibrated now.

    Returns:
        The accuracy of each step, 0..1.
    """
    connection.choose_chip(VirtualChip(chip_id))
    torch.manual_seed(seed)
    emulator.init_hardware()
    try:
        parameter = perceptron.measure_mock_parameter()
        print(f"chip {chip_id}: gain {parameter.gain:.5f}, noise {parameter.noise_std:.2f} LSB, seed {seed}")
        print(f"  {'':34} {'read %':>6} {'ECE':>8}")
        mock = learn(dataset, parameter, seed)
        accuracies: dict[str, float] = {}
        steps: tuple[EvaluationExecution, ...] = ("float32", "quantised", "mock")
        for execution in steps:
            report = read(mock, dataset, parameter, execution)
            _line(execution, report, mock.cpu_s if execution == "float32" else None)
            accuracies[execution] = report.accuracy
        report = read(mock, dataset, parameter, "chip")
        _line("transferred to the chip", report)
        accuracies["transferred"] = report.accuracy
        looped = learn(dataset, parameter, seed, mock)
        report = read(looped, dataset, parameter, "chip")
        _line("learned with the chip in the loop", report, looped.cpu_s)
        accuracies["in the loop"] = report.accuracy
        for repeats in REPEATS:
            _line(f"mock, mean of {repeats}", read(mock, dataset, parameter, "mock", repeats))
        for repeats in REPEATS:
            _line(f"in the loop, mean of {repeats}", read(looped, dataset, parameter, "chip", repeats))
    finally:
        emulator.release_hardware()
    return accuracies


def misses(accuracies: Mapping[str, float]) -> list[str]:
    """What of the published shape a staircase lacks; each accuracy is 0..1.

    Source: Weis et al., arXiv 2006.13177: 98.29, 98.10 quantised, 92.13 transferred, 98.0 in the loop.
    """
    wanted = {
        "quantised within 0.5 points of float32": accuracies["quantised"] >= accuracies["float32"] - 0.005,
        "at least 3 points lost on transfer": accuracies["transferred"] <= accuracies["quantised"] - 0.03,
        "in the loop within 0.5 points of quantised": accuracies["in the loop"]
        >= accuracies["quantised"] - 0.005,
        "in the loop at least 98.0 %": accuracies["in the loop"] >= 0.98,
    }
    return [name for name, reached in wanted.items() if not reached]


def main() -> None:
    """Print the staircases from the command line."""
    parser = argparse.ArgumentParser(description="Read MNIST step by step from float32 to the virtual chip.")
    parser.add_argument("--mnist", type=Path, required=True, help="folder that holds MNIST")
    parser.add_argument(
        "--chip-id", nargs="+", default=[connection.DEFAULT_CHIP_ID], help="one or more virtual chips"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset("mnist", arguments.mnist)
    for chip_id in arguments.chip_id:
        for name in misses(climb(chip_id, dataset, arguments.seed)):
            print(f"  missed: {name}")


if __name__ == "__main__":
    main()
