"""Plots for people; matplotlib is needed only here."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
    figure = _figure(7.0, 3.8)
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


def draw_curves(epochs: Sequence[Mapping[str, Any]], title: str) -> Any:
    """Return a figure of a training's epochs: loss and accuracy, the part in the chip's loop on a tinted ground.

    Raises:
        PlotsMissingError: matplotlib is not installed.
    """
    figure = _figure(8.0, 3.4)
    numbers = [row["epoch"] for row in epochs]
    on_chip = [row["epoch"] for row in epochs if row.get("execution") == "chip"]
    for axes, measure, scale in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), ("loss", "accuracy / %"), strict=True
    ):
        factor = 100 if measure == "accuracy" else 1
        for part in ("train", "test"):
            axes.plot(numbers, [factor * row[f"{part}_{measure}"] for row in epochs], marker=".", label=part)
        if on_chip:
            axes.axvspan(
                min(on_chip) - 0.5,
                max(on_chip) + 0.5,
                color="tab:orange",
                alpha=0.15,
                label="in the chip's loop",
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(scale)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    return figure


def draw_confusion(confusion: Sequence[Sequence[int]], title: str) -> Any:
    """Return a figure of a confusion matrix (10, 10); mistakes are coloured by their number.

    Raises:
        PlotsMissingError: matplotlib is not installed.
    """
    figure = _figure(4.6, 4.4)
    axes = figure.add_subplot()
    mistakes = [[0 if i == j else count for j, count in enumerate(row)] for i, row in enumerate(confusion)]
    axes.imshow(mistakes, cmap="Reds")
    most = max(1, *(count for row in mistakes for count in row))
    for i, row in enumerate(confusion):
        for j, count in enumerate(row):
            colour = "white" if mistakes[i][j] > most / 2 else "black"
            axes.text(j, i, str(count or ""), ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(confusion)))
    axes.set_yticks(range(len(confusion)))
    axes.set_xlabel("read")
    axes.set_ylabel("true digit")
    axes.set_title(title)
    return figure


def _figure(width: float, height: float) -> Any:
    """Return an empty figure, sizes in inches, that a notebook shows also before pyplot is imported."""
    require_plots()
    from matplotlib.figure import Figure  # noqa: PLC0415 takes a second, and only plots need it

    figure: Any = Figure(figsize=(width, height), layout="constrained")

    def png() -> bytes:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=100)
        return file.getvalue()

    figure._repr_png_ = png
    return figure
