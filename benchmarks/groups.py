"""The measurement groups, by the name that `--only` takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks import emulation, serving, training
from benchmarks.context import Context
from benchmarks.ratio import Ratio, Target


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements that are made together, and their targets."""

    targets: Mapping[str, Target]
    measure: Callable[[Context], Mapping[str, Ratio]]


GROUPS: Final[Mapping[str, Group]] = {
    "serving": Group(serving.TARGETS, serving.measure),
    "training": Group(training.TARGETS, training.measure),
    "emulator": Group(emulation.TARGETS, emulation.measure),
}
