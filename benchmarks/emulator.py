"""The emulator's speed beside a plain transcription of the same semantics, in one run."""

import statistics
import time
from collections.abc import Callable

import torch

import hxtorch_emulator as emulator
from benchmarks.plain_mock import PlainConvertingReLU, PlainLinear
from hxtorch_emulator import perceptron

BATCH = 256
SIZES = (784, 256, 256, 10)


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
    """(256, 784), 0 or 31, as sparse as binarised MNIST."""
    return (torch.rand(BATCH, SIZES[0]) < 0.13).float() * 31


def _forward(network: torch.nn.Module) -> Callable[[], object]:
    crops = _crops()

    def run() -> None:
        with torch.inference_mode():
            network(crops)

    return run


def _train_step(network: torch.nn.Module) -> Callable[[], object]:
    crops, labels = _crops(), torch.randint(0, 10, (BATCH,))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.25)

    def run() -> None:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(crops), labels) / 64
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it so
        optimiser.step()

    return run


def _side_by_side(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of each, taken in turns so that both meet the same machine."""
    for _ in range(10):
        one()
        other()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, series in zip((one, other), seconds, strict=True):
            start = time.perf_counter()
            call()
            series.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _speedup(plain: Callable[[], object], emulated: Callable[[], object], rounds: int) -> dict[str, float]:
    plain_s, emulated_s = _side_by_side(plain, emulated, rounds)
    return {"plain_ms": plain_s * 1e3, "emulator_ms": emulated_s * 1e3, "speedup": plain_s / emulated_s}


def forward256(rounds: int = 200) -> dict[str, float]:
    """The forward pass of 256 crops in mock arithmetic, against the plain mock."""
    network = _emulated(mock=True)
    return _speedup(_forward(_plain(network)), _forward(network), rounds)


def train_step(rounds: int = 200) -> dict[str, float]:
    """Forward, backward and Adam for 256 crops in mock arithmetic, against the plain mock."""
    network = _emulated(mock=True)
    return _speedup(_train_step(_plain(network)), _train_step(network), rounds)


def virtual256(rounds: int = 200) -> dict[str, float]:
    """The forward pass of 256 crops on the virtual chip, against the plain mock."""
    network = _emulated(mock=False)
    emulator.init_hardware()
    try:
        return _speedup(_forward(_plain(network)), _forward(network), rounds)
    finally:
        emulator.release_hardware()


def main() -> None:
    """Print every comparison."""
    for measure in (forward256, train_step, virtual256):
        figures = measure()
        print(
            f"{measure.__name__:12} plain {figures['plain_ms']:6.2f} ms   emulator {figures['emulator_ms']:6.2f} ms"
            f"   {figures['speedup']:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
