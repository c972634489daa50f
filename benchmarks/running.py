"""Running groups one after the other; one that fails does not take the others with it."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.context import Context
from benchmarks.ratio import Ratio, Target
from benchmarks.results import summarise


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements that are made together, and their targets."""

    targets: Mapping[str, Target]
    measure: Callable[[Context], Mapping[str, Ratio]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, as the results file holds it, and which groups could not be."""

    ratios: dict[str, dict[str, Any]]
    failed: list[str]


def run_groups(groups: Mapping[str, Group], context: Context) -> Outcome:
    """Measures every group; what a failing one had to say goes to standard error."""
    outcome = Outcome({}, [])
    for name, group in groups.items():
        print(f"{name}:", flush=True)
        try:
            ratios = group.measure(context)
        except Exception:  # noqa: BLE001  # whatever it is, the other groups can still be measured
            traceback.print_exc()
            outcome.failed.append(name)
        else:
            outcome.ratios.update(summarise(ratios, group.targets))
    return outcome
