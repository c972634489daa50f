"""Group `emulator`: the mock's arithmetic beside plain float32 layers of the same shape, in one thread of torch."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final

import torch

from benchmarks.context import Context
from benchmarks.results import Ratio, Target
from hxtorch_emulator import perceptron

TARGETS: Final[Mapping[str, Target]] = {
    "emulator.forward256.over_float32": Target(2.0, "lower"),
    "emulator.train_step.over_float32": Target(1.5, "lower"),
}

_BATCH: Final = 256
_ROUNDS: Final = 200


def measure(context: Context) -> dict[str, Ratio]:
    """Measure with one thread of torch, as the worker has on two cores."""
    del context
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    mock, plain = _mock(), _plain()
    try:
        return {
            "emulator.forward256.over_float32": _ratio(_forward(mock), _forward(plain)),
            "emulator.train_step.over_float32": _ratio(_train_step(mock), _train_step(plain)),
        }
    finally:
        torch.set_num_threads(threads)


def _ratio(emulated: Callable[[], object], plain: Callable[[], object]) -> Ratio:
    """Return the median time of the emulator over that of the plain layers, measured in turns."""
    calls = (emulated, plain)
    for _ in range(10):
        for call in calls:
            call()
    times_ms: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for call, series in zip(calls, times_ms, strict=True):
            start = time.perf_counter()
            call()
            series.append(1e3 * (time.perf_counter() - start))
    emulator_ms, plain_ms = (statistics.median(series) for series in times_ms)
    return Ratio(emulator_ms / plain_ms, {"emulator_ms": emulator_ms, "float32_ms": plain_ms})


def _mock() -> torch.nn.Sequential:
    nn = perceptron.nn
    return torch.nn.Sequential(
        nn.Linear(784, 256, mock=True),
        nn.ConvertingReLU(shift=1, mock=True),
        nn.Linear(256, 256, mock=True),
        nn.ConvertingReLU(shift=1, mock=True),
        nn.Linear(256, 10, mock=True),
    )


def _plain() -> torch.nn.Sequential:
    nn = torch.nn
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def _crops() -> torch.Tensor:
    """Return inputs (256, 784), 0 or 31, as sparse as binarised MNIST."""
    return (torch.rand(_BATCH, 784) < 0.13).float() * 31


def _forward(network: torch.nn.Module) -> Callable[[], object]:
    crops = _crops()

    def run() -> None:
        with torch.inference_mode():
            network(crops)

    return run


def _train_step(network: torch.nn.Module) -> Callable[[], object]:
    """Run one step of training: forward, backward and Adam."""
    crops, labels = _crops(), torch.randint(0, 10, (_BATCH,))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.25)

    def run() -> None:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(crops), labels) / 64
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it so
        optimiser.step()

    return run
