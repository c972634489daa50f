"""An answer as a picture: waiting and utilisation over the day, how long trainings take, and the tries of a search."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from hxserve.plots import require_plots

_BLUE, _ORANGE, _GREEN, _YELLOW, _GREY = "#0072b2", "#e69f00", "#009e73", "#f0e442", "#999999"
"""Of Okabe and Ito: colour-blind people tell them apart; lines differ in style and marker besides."""

_DOINGS: Final = (
    ("crops", "crops", _BLUE),
    ("programs", "programs", _YELLOW),
    ("long", "trainings", _ORANGE),
    ("care", "the chip's care", _GREEN),
    ("around", "between units", _GREY),
)
_LOADS: Final = {
    "chips": "chips",
    "letters": "letters per hour (busiest hour)",
    "users": "users",
    "trainings": "trainings per user and day",
}
_FOUND: Final = (
    ("p99_ms", "crops: p99 / ms", 1.0),
    ("training_wait_min", "trainings: p95 of waiting / min", 1.0),
    ("training_done_min", "trainings: p95 of completion / min", 1.0),
    ("hurried", "letters without time for a second look / %", 100.0),
    ("deadline_met", "letters late / %", -100.0),
)


def draw_plan(answer: Mapping[str, Any], path: Path) -> None:
    """Draw an answer into a file.

    Raises:
        PlotsMissingError: matplotlib is not installed.
    """
    require_plots()
    from matplotlib.figure import Figure  # noqa: PLC0415 takes a second, and only plots need it

    figure = Figure(figsize=(11.0, 7.4), layout="constrained")
    [waiting, utilisation], [completion, last] = figure.subplots(2, 2)
    day, hours = answer["day"], _edges(answer)
    _draw_waiting(waiting, answer, hours)
    _draw_utilisation(utilisation, day, hours)
    _draw_completion(completion, answer["trainings"])
    if answer.get("find"):
        _draw_capacity(last, answer["find"], answer["levels"])
    else:
        _draw_queue(last, day, hours)
    figure.suptitle(
        f"{answer['chips']:,} chip(s), {answer['users']:,} users, {answer['letters_per_hour']:,.0f} letters/h in the "
        f"busiest hour, {answer['trainings_per_user_per_day']:g} trainings per user and day"
    )
    figure.savefig(path, dpi=130)


def _edges(answer: Mapping[str, Any]) -> list[float]:
    """Return the bounds of the hours, by the clock of the simulated day; past midnight they exceed 24."""
    start = float(answer.get("start_hour", 0.0))
    return [start + hour["hour"] for hour in answer["day"]] + [start + answer["hours"]]


def _draw_waiting(axes: Any, answer: Mapping[str, Any], hours: Sequence[float]) -> None:
    middles = [(a + b) / 2 for a, b in pairwise(hours)]
    for key, name, colour, marker in (
        ("users_answer_ms", "users' requests", _BLUE, "o"),
        ("letters_latency_ms", "letters, camera to decision", _ORANGE, "s"),
    ):
        for rank, line in (("p50", ":"), ("p99", "-")):
            known = [(x, h[key][rank]) for x, h in zip(middles, answer["day"], strict=True) if h[key]]
            if known:
                axes.plot(
                    *zip(*known, strict=True),
                    color=colour,
                    linestyle=line,
                    marker=marker,
                    markersize=3,
                    label=f"{name}, {rank}",
                )
    deadline_ms = 1000 * answer["letters"]["deadline_s"]
    if answer["letters"]["count"]:
        axes.axhline(deadline_ms, color="black", linewidth=1, linestyle="--", label="letters' deadline")
    axes.set(title="Until crops are answered", xlabel="hour of the day", ylabel="time / ms", yscale="log")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _draw_utilisation(axes: Any, day: Sequence[Mapping[str, Any]], hours: Sequence[float]) -> None:
    below = [0.0] * len(day)
    for key, name, colour in _DOINGS:
        top = [b + 100 * hour["utilisation"][key] for b, hour in zip(below, day, strict=True)]
        axes.stairs(
            top, hours, baseline=below, fill=True, color=colour, label=name, edgecolor="white", linewidth=0.5
        )
        below = top
    axes.set(title="The chips' time", xlabel="hour of the day", ylabel="share / %", ylim=(0, 105))
    axes.legend(fontsize=8, loc="upper left")


def _draw_completion(axes: Any, trainings: Mapping[str, Any]) -> None:
    curve = trainings["completion_curve_s"]
    axes.set(
        title="Trainings, from submission to end",
        xlabel="time / min",
        ylabel="finished by then / %",
        ylim=(0, 102),
    )
    if not curve:
        axes.text(0.5, 0.5, "none ended", ha="center", transform=axes.transAxes)
        return
    axes.plot([s / 60 for s in curve], [100 * k / (len(curve) - 1) for k in range(len(curve))], color=_ORANGE)
    axes.axvline(
        trainings["chip_s"] / 60, color="black", linewidth=1, linestyle="--", label="alone on a chip"
    )
    if curve[-1] > 20 * max(curve[0], 1e-9):
        axes.set_xscale("log")
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(alpha=0.3)


def _draw_queue(axes: Any, day: Sequence[Mapping[str, Any]], hours: Sequence[float]) -> None:
    axes.stairs([hour["unfinished_jobs"] for hour in day], hours, color=_ORANGE, label="unfinished trainings")
    axes.stairs(
        [hour["waiting_crops"] for hour in day], hours, color=_BLUE, linestyle=":", label="waiting crops"
    )
    axes.set(title="What waits at the end of each hour", xlabel="hour of the day", ylabel="number")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _draw_capacity(axes: Any, found: Mapping[str, Any], levels: Mapping[str, Any]) -> None:
    """Draw the tries of a search, on one axis per level: the first level measured in time, else letters late."""
    name, label, factor = next(
        each for each in (*_FOUND, ("refused", "refused / %", 100.0)) if each[0] in levels
    )

    def shown(value: float) -> float:
        return 100 * (1 - value) if factor < 0 else factor * value

    tried = [(t["value"], shown(t[name]), t["holds"]) for t in found["tried"] if t.get(name) is not None]
    axes.plot([x for x, _, _ in tried], [y for _, y, _ in tried], color=_GREY, linewidth=1)
    for holds, colour, marker, said in (
        (True, _BLUE, "o", "levels hold"),
        (False, _ORANGE, "x", "a level is broken"),
    ):
        points = [(x, y) for x, y, held in tried if held is holds]
        if points:
            axes.plot(*zip(*points, strict=True), linestyle="", color=colour, marker=marker, label=said)
    axes.axhline(shown(levels[name]["wanted"]), color="black", linewidth=1, linestyle="--", label="wanted")
    axes.axvline(found["found"], color=_GREEN, linewidth=1, label=f"found: {found['found']:,.6g}")
    axes.set(title="Capacity", xlabel=_LOADS[found["what"]], ylabel=label)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
