"""A program written for hxtorch, run as a process of its own: `python -m benchmarks.program [--shared]`.

It prints the median times, in milliseconds, of a forward pass and of a training step of the teaching notebook's network
at batch 200, on the emulator of this process, or with `--shared` on the chip of the service that HXSERVE_URL and
HXSERVE_TOKEN name.
"""

import argparse
import importlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import torch

BATCH: Final = 200
LAYERS: Final = ((784, 256), (256, 256), (256, 10))
_WARM_UP: Final = 3


def build_network(hxtorch: Any) -> torch.nn.Sequential:
    """Return the network of the teaching notebook, on the chip."""
    nn = hxtorch.perceptron.nn
    layers: list[torch.nn.Module] = []
    for number, (rows, columns) in enumerate(LAYERS):
        if number:
            layers.append(nn.ConvertingReLU(shift=1, mock=True))
        layers.append(nn.Linear(rows, columns, mock=False))
    return torch.nn.Sequential(*layers)


def _median_ms(call: Callable[[], object], rounds: int) -> float:
    for _ in range(_WARM_UP):
        call()
    times_ms = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times_ms.append(1000 * (time.perf_counter() - began))
    return statistics.median(times_ms)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser("python -m benchmarks.program", description=__doc__)
    parser.add_argument("--shared", action="store_true", help="compute on the chip of a service")
    parser.add_argument("--rounds", type=int, default=30, help="forward passes, and training steps")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as the worker of a service on two cores has
    hxtorch: Any = importlib.import_module("hxserve.hxtorch" if options.shared else "hxtorch_emulator")
    hxtorch.init_hardware()
    torch.manual_seed(1)
    network = build_network(hxtorch)
    inputs = 31 * torch.bernoulli(torch.full((BATCH, LAYERS[0][0]), 0.2))
    targets = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.25)

    def forward() -> None:
        with torch.no_grad():
            network(inputs)

    def step() -> None:
        optimizer.zero_grad()
        (torch.nn.functional.cross_entropy(network(inputs), targets) / 64).backward()  # type: ignore[no-untyped-call] # untyped in torch
        optimizer.step()

    measured = {
        "forward_ms": _median_ms(forward, options.rounds),
        "step_ms": _median_ms(step, options.rounds),
    }
    hxtorch.release_hardware()
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
