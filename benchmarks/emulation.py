"""Group `emulator`: the emulator's arithmetic beside a plain transcription of the mock."""

from collections.abc import Mapping
from typing import Final

import torch

from benchmarks import emulator
from benchmarks.context import Context
from benchmarks.ratio import Ratio, Target

TARGETS: Final[Mapping[str, Target]] = {
    "emulator.forward256.speedup": Target(3.0, "higher"),
    "emulator.train_step.speedup": Target(2.0, "higher"),
    "emulator.virtual256.speedup": Target(1.0, "higher"),
}


def measure(context: Context) -> dict[str, Ratio]:
    """All comparisons, in this process with one thread of torch, as the worker has on two cores."""
    del context
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        figures = {
            "emulator.forward256.speedup": emulator.forward256(),
            "emulator.train_step.speedup": emulator.train_step(),
            "emulator.virtual256.speedup": emulator.virtual256(),
        }
    finally:
        torch.set_num_threads(threads)
    return {
        name: Ratio(entry["speedup"], {key: entry[key] for key in ("emulator_ms", "plain_ms")})
        for name, entry in figures.items()
    }
