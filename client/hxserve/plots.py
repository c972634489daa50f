"""Plots for people; matplotlib is needed only here."""

from collections.abc import Sequence
from pathlib import Path

from hxserve.errors import ClientError


class PlotsMissingError(ClientError):
    """Plots need matplotlib; install it with `pip install matplotlib`, or do without by `--no-plot`."""


def require_plots() -> None:
    """Make sure that plots can be drawn, before the work that they would show.

    Raises:
        PlotsMissingError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401, PLC0415 takes a second, and only plots need it
    except ImportError:
        raise PlotsMissingError from None


def draw_staircase(steps: Sequence[tuple[str, float]], path: Path) -> None:
    """Draw test accuracies (0..1) as steps, named along the axis, into a file.

    Raises:
        PlotsMissingError: matplotlib is not installed.
    """
    require_plots()
    from matplotlib.figure import Figure  # noqa: PLC0415 takes a second, and only plots need it

    figure = Figure(figsize=(7.0, 3.8), layout="constrained")
    axes = figure.add_subplot()
    percents = [100 * accuracy for _, accuracy in steps]
    axes.stairs(percents, baseline=None, linewidth=2)
    for place, percent in enumerate(percents):
        axes.annotate(
            f"{percent:.2f}", (place + 0.5, percent), (0, 6), textcoords="offset points", ha="center"
        )
    axes.set_xticks([place + 0.5 for place in range(len(steps))], [name for name, _ in steps])
    axes.set_ylabel("test accuracy / %")
    axes.set_ylim(min(percents) - 1.0, max(*percents, 99.0) + 0.6)
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=150)
