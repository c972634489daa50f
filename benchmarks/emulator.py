"""Group `emulator`: the emulator's arithmetic beside a plain transcription of the mock, in one thread of torch."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final

import torch

import hxtorch_emulator as emulator
from benchmarks.context import Context
from benchmarks.plain_mock import PlainConvertingReLU, PlainLinear
from benchmarks.results import Ratio, Target
from hxtorch_emulator import perceptron

TARGETS: Final[Mapping[str, Target]] = {
    "emulator.forward256.speedup": Target(3.0, "higher"),
    "emulator.train_step.speedup": Target(2.0, "higher"),
    "emulator.virtual256.speedup": Target(1.0, "higher"),
}

_BATCH: Final = 256
_ROUNDS: Final = 200


def measure(context: Context) -> dict[str, Ratio]:
    """Measure with one thread of torch, as the worker has on two cores."""
    del context
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    mock, virtual = _emulated(mock=True), _emulated(mock=False)
    try:
        forward = _speedup(_forward(_plain(mock)), _forward(mock))
        train_step = _speedup(_train_step(_plain(mock)), _train_step(mock))
        emulator.init_hardware()
        virtual_forward = _speedup(_forward(_plain(virtual)), _forward(virtual))
    finally:
        emulator.release_hardware()
        torch.set_num_threads(threads)
    return {
        "emulator.forward256.speedup": forward,
        "emulator.train_step.speedup": train_step,
        "emulator.virtual256.speedup": virtual_forward,
    }


def _speedup(plain: Callable[[], object], emulated: Callable[[], object]) -> Ratio:
    """Return the median time of the plain mock over the emulator's, measured in turns."""
    calls = (plain, emulated)
    for _ in range(10):
        for call in calls:
            call()
    times_ms: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for call, series in zip(calls, times_ms, strict=True):
            start = time.perf_counter()
            call()
            series.append(1e3 * (time.perf_counter() - start))
    plain_ms, emulator_ms = (statistics.median(series) for series in times_ms)
    return Ratio(plain_ms / emulator_ms, {"emulator_ms": emulator_ms, "plain_ms": plain_ms})


def _emulated(mock: bool) -> torch.nn.Sequential:
    nn = perceptron.nn
    return torch.nn.Sequential(
        nn.Linear(784, 256, mock=mock),
        nn.ConvertingReLU(shift=1, mock=mock),
        nn.Linear(256, 256, mock=mock),
        nn.ConvertingReLU(shift=1, mock=mock),
        nn.Linear(256, 10, mock=mock),
    )


def _plain(twin: torch.nn.Sequential) -> torch.nn.Sequential:
    """Return the same network in plain layers, with the same weights."""
    layers: list[torch.nn.Module] = []
    for layer in twin:
        if isinstance(layer, perceptron.nn.Linear):
            assert layer.bias is not None
            assert layer.num_sends is not None
            layers.append(PlainLinear(layer.weight, layer.bias, layer.num_sends))
        else:
            layers.append(PlainConvertingReLU(shift=1))
    return torch.nn.Sequential(*layers)


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
