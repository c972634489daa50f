"""Read rate and error rate as plots, for choosing a threshold with one's own eyes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hxserve.plots import require_plots
from hxserve_letters.decisions import Decision


def draw_rates(decisions: Sequence[Decision], threshold: float, path: Path) -> None:
    """Draw read and error rate over the threshold, and error over reject rate, into a file.

    Raises:
        PlotsMissingError: matplotlib is not installed.
    """
    require_plots()
    from matplotlib.figure import Figure  # noqa: PLC0415 takes a second, and only plots need it

    thresholds, read_rates, error_rates = rates_over_threshold(decisions)
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    over_threshold, over_rejects = figure.subplots(1, 2)
    over_threshold.plot(thresholds, 100 * read_rates, label="read rate")
    over_threshold.plot(thresholds, 100 * error_rates, label="error rate")
    over_threshold.axvline(threshold, linestyle=":", color="black", label=f"threshold {threshold:.3f}")
    over_threshold.set_xlabel("threshold of confidence (0 to 1)")
    over_threshold.set_ylabel("letters / %")
    over_threshold.legend()
    over_rejects.plot(100 * (1 - read_rates), 100 * error_rates)
    routed = [d for d in decisions if d.reading is not None and d.reading.confidence >= threshold]
    if routed:
        wrong = sum(d.reading is not None and d.reading.postcode[:2] != d.written[:2] for d in routed)
        over_rejects.plot(
            100 * (1 - len(routed) / len(decisions)),
            100 * wrong / len(routed),
            "ko",
            label="chosen threshold",
        )
        over_rejects.legend()
    over_rejects.set_xlabel("reject rate / %")
    over_rejects.set_ylabel("error rate among routed letters / %")
    for axes in (over_threshold, over_rejects):
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
    figure.savefig(path, dpi=130)


def rates_over_threshold(
    decisions: Sequence[Decision],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Return thresholds from 0 to 1, and read rate and error rate (0..1) that the letters would have at each."""
    thresholds = np.linspace(0, 1, 201)
    confidences = np.array([d.reading.confidence if d.reading else -1.0 for d in decisions])
    are_wrong = np.array(
        [d.reading is not None and d.reading.postcode[:2] != d.written[:2] for d in decisions]
    )
    routed = confidences[None] >= thresholds[:, None]
    counts = routed.sum(1)
    return thresholds, counts / len(decisions), (routed & are_wrong).sum(1) / np.maximum(counts, 1)
