"""What a run found, for people and for programs."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.ratio import Ratio, Target

_HEADINGS = ("name", "value", "target", "better", "ok", "detail")


def summarise(ratios: Mapping[str, Ratio], targets: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    """Every ratio beside its target, as `latest.json` holds it; what was not a number becomes null."""
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
    """Writes the file; it holds what this run measured and nothing older."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "ratios": ratios}, indent=2) + "\n")


def table(ratios: Mapping[str, Mapping[str, Any]]) -> str:
    """The ratios as a table a person can read; figures inside a detail are shown, nested ones flattened."""
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
