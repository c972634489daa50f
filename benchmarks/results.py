"""Measured values beside their targets, the groups they are measured in, and the table and file they end in."""

import json
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks.context import Context

_HEADINGS: Final = ("name", "value", "target", "better", "ok", "detail")


@dataclass(frozen=True, slots=True)
class Target:
    """The value that a measurement should reach, and the better direction."""

    value: float
    better: Literal["higher", "lower"]

    def reached_by(self, value: float) -> bool:
        """Return True if a value is as good as the target; NaN never is."""
        return value >= self.value if self.better == "higher" else value <= self.value


@dataclass(frozen=True, slots=True)
class Ratio:
    """A value, and the figures it was computed from."""

    value: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements that are made together, and their targets by name."""

    targets: Mapping[str, Target]
    measure: Callable[[Context], Mapping[str, Ratio]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The measured ratios as the results file holds them, and the names of the groups that failed."""

    ratios: dict[str, dict[str, Any]]
    failed: list[str]


def run_groups(groups: Mapping[str, Group], context: Context) -> Outcome:
    """Measure every group; the traceback of a failing one goes to standard error."""
    outcome = Outcome({}, [])
    for name, group in groups.items():
        print(f"{name}:", flush=True)
        try:
            ratios = group.measure(context)
        except Exception:  # noqa: BLE001  # the other groups can still be measured
            traceback.print_exc()
            outcome.failed.append(name)
        else:
            outcome.ratios.update(summarise(ratios, group.targets))
    return outcome


def summarise(ratios: Mapping[str, Ratio], targets: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    """Return every ratio beside its target; values that are not finite become None."""
    return {
        name: {
            "value": ratio.value if math.isfinite(ratio.value) else None,
            "target": targets[name].value,
            "better": targets[name].better,
            "ok": targets[name].reached_by(ratio.value),
            "detail": dict(ratio.detail),
        }
        for name, ratio in ratios.items()
    }


def write_results(path: Path, machine: Mapping[str, Any], ratios: Mapping[str, Any]) -> None:
    """Write the results of this run, and nothing older, to a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "ratios": ratios}, indent=2) + "\n")


def table(ratios: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the ratios as a table; the figures of a detail are flattened into the last column."""
    rows = [_HEADINGS]
    for name, entry in ratios.items():
        value = "none" if entry["value"] is None else f"{entry['value']:.3g}"
        verdict = "yes" if entry["ok"] else "NO"
        rows.append((name, value, f"{entry['target']:g}", entry["better"], verdict, _brief(entry["detail"])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )


def _brief(detail: Mapping[str, Any], prefix: str = "") -> str:
    parts = []
    for key, value in detail.items():
        if isinstance(value, Mapping):
            parts.append(_brief(value, f"{prefix}{key}."))
        elif isinstance(value, float):
            parts.append(f"{prefix}{key}={value:.4g}")
        else:
            parts.append(f"{prefix}{key}={value}")
    return " ".join(parts)
