"""Predictions as text."""

from collections import Counter
from itertools import groupby
from typing import Final

from hxserve.cli.console import show_line, show_table
from hxserve.phrases import duration, percent
from hxserve.predictions import Prediction, Predictions

_LISTED: Final = 20
"""Crops of one source shown one by one; of more, a summary per digit."""

_LEAST_SURE: Final = 5


def show_predictions(predictions: Predictions) -> None:
    """Show predictions: few one by one, many of one source as a summary."""
    rows = []
    for source, group in groupby(predictions, key=lambda p: p.source):
        found = list(group)
        if len(found) > _LISTED:
            _show_summary(source, found)
            continue
        for i, p in enumerate(found):
            name = source if source and len(found) == 1 else f"{source}[{i}]"
            rows.append([name, p.digit, f"{p.confidence:.1%}", p.runner_up, _lead(p)])
    if rows:
        columns = ["file", "digit", "confidence", "runner-up", "lead (LSB)"]
        show_table(columns, rows, right=columns[1:])
    for warning in predictions.warnings:
        show_line(f"Warning: {warning}.")
    total_ms = predictions.timing.get("total_ms")
    took = f" in {duration(total_ms / 1000)}" if total_ms else ""
    show_line(f"{_count(len(predictions))} read by {predictions.origin}{took}.")


def _show_summary(source: str, found: list[Prediction]) -> None:
    count = Counter(p.digit for p in found)
    rows = []
    for digit in sorted(count):
        confidences = [p.confidence for p in found if p.digit == digit]
        mean = sum(confidences) / len(confidences)
        rows.append([digit, count[digit], percent(count[digit] / len(found)), f"{mean:.1%}"])
    columns = ["digit", "crops", "share", "mean confidence"]
    show_table(columns, rows, right=columns, title=f"{source or 'crops'}: {_count(len(found))}")
    least = sorted(range(len(found)), key=lambda i: found[i].confidence)[:_LEAST_SURE]
    said = (f"[{i}] {found[i].digit} or {found[i].runner_up} ({found[i].confidence:.1%})" for i in least)
    show_line(f"Least sure: {', '.join(said)}.")


def _lead(prediction: Prediction) -> int:
    """Return the difference between the score of the digit and the next best, in LSB."""
    return prediction.scores[prediction.digit] - prediction.scores[prediction.runner_up]


def _count(crops: int) -> str:
    return "1 digit" if crops == 1 else f"{crops:,} digits"
