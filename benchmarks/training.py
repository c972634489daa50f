"""Group `training`: the time of a training beside the teaching notebook's, and beside the same without a service."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.bare_training import NOTEBOOK
from benchmarks.context import Context, MeasurementError, say
from benchmarks.digits import write_as_mnist
from benchmarks.processes import ROOT, python_module
from benchmarks.results import Ratio, Target
from benchmarks.service import Service, running_service

TARGETS: Final[Mapping[str, Target]] = {
    "training.strong.time_vs_notebook": Target(1.0, "lower"),
    "training.service_overhead": Target(1.05, "lower"),
}

_ROUNDS: Final = 3
_LIMIT_S: Final = 1800.0
_SERVICE_THREADS: Final = max(1, (os.cpu_count() or 2) - 1)
"""The worker's own choice when nothing is set."""


def measure(context: Context) -> dict[str, Ratio]:
    """Measure both with the same trainings through the service."""
    say(f"data set: {context.dataset}")
    with context.folder() as folder:
        notebook_data = context.mnist or write_as_mnist(folder / "digits")
        through_service: list[dict[str, Any]] = []
        bare: list[dict[str, Any]] = []
        with running_service(folder / "data", context.mnist) as service:
            for number in range(_ROUNDS):
                say(f"strong through the service and bare, round {number + 1} of {_ROUNDS}")
                through_service.append(_train_through(service, context.dataset))
                bare.append(_train_alone("strong", context.mnist, threads=_SERVICE_THREADS))
            say("the notebook's four epochs, image by image")
            notebook = _train_alone(NOTEBOOK, notebook_data, threads=0)
    return {
        "training.strong.time_vs_notebook": Ratio(
            _median_s(through_service) / notebook["seconds"],
            {
                "dataset": context.dataset,
                "strong_s": _rounded(through_service),
                "strong_accuracy": through_service[-1]["accuracies"][-1],
                "notebook_s": round(notebook["seconds"], 2),
                "notebook_accuracy": _notebook_accuracy(notebook, context),
                "threads": {"service": _SERVICE_THREADS, "notebook": notebook["threads"]},
            },
        ),
        "training.service_overhead": Ratio(
            _least_s(through_service) / _least_s(bare),
            {
                "dataset": context.dataset,
                "service_s": _rounded(through_service),
                "bare_s": _rounded(bare),
                "chip_s": [run["chip_s"] for run in through_service],
                "service_accuracy": [run["accuracies"][-1] for run in through_service],
                "bare_accuracy": [run["accuracies"][-1] for run in bare],
                "threads": _SERVICE_THREADS,
            },
        ),
    }


def _train_through(service: Service, dataset: str) -> dict[str, Any]:
    """Time a training, from the request that submits it to the answer that it succeeded."""
    start = time.perf_counter()
    job = service.await_end(service.train("bench", recipe="strong", dataset=dataset))
    seconds = time.perf_counter() - start
    accuracies = [epoch["test_accuracy"] for epoch in job["metrics"]["epochs"]]
    return {"seconds": seconds, "accuracies": accuracies, "chip_s": round(job["chip_time_s"], 2)}


def _train_alone(recipe: str, data: Path | None, *, threads: int) -> dict[str, Any]:
    """Return the output of `benchmarks.bare_training`."""
    command = [*python_module("benchmarks.bare_training", recipe), "--threads", str(threads)]
    if data is not None:
        command += ["--mnist", str(data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode:
        raise MeasurementError(f"{recipe} failed: {done.stderr.strip().splitlines()[-1:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _median_s(runs: list[dict[str, Any]]) -> float:
    return statistics.median(float(run["seconds"]) for run in runs)


def _least_s(runs: list[dict[str, Any]]) -> float:
    """Return the time of the least disturbed run: other programs can only add to it."""
    return min(float(run["seconds"]) for run in runs)


def _rounded(runs: list[dict[str, Any]]) -> list[float]:
    return [round(run["seconds"], 2) for run in runs]


def _notebook_accuracy(notebook: Mapping[str, Any], context: Context) -> float | None:
    """Return the notebook's accuracy; None without MNIST, because it is counted out of MNIST's 10,000 test images."""
    return float(notebook["accuracies"][-1]) if context.mnist else None
