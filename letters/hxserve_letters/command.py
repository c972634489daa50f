"""The command `letters`: a letter centre that sorts with a model of the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from hxserve.addresses import DATA_DIR_VARIABLE, DEFAULT_DATA_DIR
from hxserve.cli.console import show_facts, show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.phrases import duration, percent
from hxserve.client import Client
from hxserve.plots import require_plots
from hxserve_letters.belts import Pace
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.centre import Centre, Effort
from hxserve_letters.decisions import Decision
from hxserve_letters.digits import find_mnist
from hxserve_letters.directory import every_number, invent_directory, load_directory
from hxserve_letters.report import summarise
from hxserve_letters.run import Run
from hxserve_letters.status_reporter import StatusReporter
from hxserve_letters.view import LettersView

_SETS: Final = {"mnist": "MNIST's digits", "digits": "the small digits of scikit-learn"}
_STRANGE_HAND: Final = "; in a handwriting that the model did not learn"
"""Part of the title on the page, which translates it."""

_FILE = click.Path(dir_okay=False, path_type=Path)


class Threshold(click.ParamType[float | None]):
    """A confidence 0..1, or `auto`."""

    name = "auto|0..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Convert to a number; None for `auto`."""
        if value in (None, "auto"):
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            self.fail(f"{value!r} is neither `auto` nor a number from 0 to 1", param, ctx)
        return number


@click.command(cls=OptionsCommand)
@click.option("--machines", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--letters", type=click.IntRange(min=1), default=5000, show_default=True, help="In all.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=40_000,
    show_default=True,
    help="Letters per hour and machine.",
)
@click.option("--flat-out", is_flag=True, help="Prepare all crops, then send as fast as the service reads.")
@click.option("--model", default="digits", show_default=True, help="Model to read with.")
@click.option("--version", default="latest", show_default=True, help="A number or an alias.")
@click.option(
    "--threshold", type=Threshold(), default=None, help="Least confidence to route by.  [default: auto]"
)
@click.option(
    "--most-error",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.01,
    show_default=True,
    help="Error rate that `auto` keeps, on letters of its own.",
)
@click.option("--threshold-letters", type=click.IntRange(min=100), default=2000, show_default=True)
@click.option("--deadline", type=float, default=2.0, show_default=True, help="Seconds from camera to gate.")
@click.option(
    "--buffer", type=click.IntRange(min=1), default=20, show_default=True, help="Letters per machine between."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the letters.")
@click.option(
    "--mnist",
    metavar="DIRECTORY",
    help="Folder of MNIST; default: the service's on this machine if the model learnt MNIST, else small digits.",
)
@click.option(
    "--directory",
    default="invented",
    show_default=True,
    help="Postcodes that exist: `invented`, `all` numbers, or a file with one per line.",
)
@click.option("--cameras", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes.")
@click.option("--connections", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--crops-per-request", type=click.IntRange(1, 4096), default=256, show_default=True)
@click.option("--plot", type=_FILE, help="Draw read rate over threshold and error over reject rate.")
@click.option("--picture", type=_FILE, help="Draw sample letters with their crops and what was read.")
def letters(options: Options, /, **given: Any) -> None:
    """Sort letters: draw envelopes, find and cut their postcodes, read them, route or reject each.

    Paced like belts with a deadline per letter, or flat out.
    """
    if given["plot"]:
        require_plots()
    directory = _directory(given["directory"])
    # The centre itself sees to repetitions, so that it knows how often the service had no room.
    with Client(options.url, options.token, data_dir=options.data_dir, retries=0) as client:
        learnt = client.model(given["model"], given["version"]).get("dataset", {}).get("name")
        mnist = Path(given["mnist"]) if given["mnist"] else None
        if mnist is None and learnt == "mnist":
            mnist = find_mnist(_service_folders(options))
        source = LetterSource(given["seed"], directory, mnist)
        handwriting = "digits" if mnist is None else "mnist"
        doubt = "" if learnt in {handwriting, None} else _STRANGE_HAND
        if doubt:
            click.echo(
                f"hxserve: the letters are written with {_SETS[handwriting]}, and the model learnt "
                f"{_SETS.get(learnt, learnt)}: expect more errors"
                + ("; give MNIST with --mnist FOLDER" if learnt == "mnist" else ""),
                err=True,
            )
        run, pace = _sort(client, source, given, doubt)
    report = summarise(run, pace) | {"directory": source.directory.name, "seed": source.seed}
    report |= {"mode": "flat out" if given["flat_out"] else "paced"}
    report |= {"handwriting": handwriting, "learnt": learnt}
    report |= _draw(source, run, given["plot"], given["picture"])
    if options.as_json:
        show_json(report)
    else:
        show_report(report)


def _sort(client: Client, source: LetterSource, given: dict[str, Any], doubt: str) -> tuple[Run, Pace]:
    """Choose the threshold and sort; `doubt` is added to the title on the page."""
    effort = Effort(given["cameras"], given["connections"], given["crops_per_request"])
    pace = Pace(
        1 if given["flat_out"] else given["machines"],
        None if given["flat_out"] else given["rate"],
        None if given["flat_out"] else given["deadline"],
        given["buffer"],
    )
    with LettersView() as view, StatusReporter(client, source) as reporter:

        def decided(decision: Decision) -> None:
            view.update(decision)
            reporter.update(decision)

        centre = Centre(client, given["model"], given["version"], effort)
        threshold = given["threshold"]
        if threshold is None:
            view.begin("choosing a threshold", given["threshold_letters"], 1)
            threshold = centre.find_threshold(
                source, given["threshold_letters"], given["most_error"], view.update
            )
        title = "flat out" if given["flat_out"] else "sorting"
        reporter.begin(title + doubt, given["letters"], pace.machines)
        view.begin(title, given["letters"], pace.machines)
        if given["flat_out"]:
            scans = centre.prepare(source, given["letters"])
            run = centre.sort_flat_out(scans, source.directory, threshold=threshold, on_decision=decided)
        else:
            run = centre.sort(source, given["letters"], pace, threshold=threshold, on_decision=decided)
    return run, pace


def show_report(report: dict[str, Any]) -> None:
    """Show the result of a run: a row per machine, then the total."""
    paced = report["deadline_s"] is not None
    if paced:
        columns = ["machine", "letters", "read", "error", "rejected", "letters/h", "late", "p99"]
        show_table(
            columns,
            [
                [
                    row["machine"],
                    row["count"],
                    percent(row["read_rate"]),
                    percent(row["error_rate"]),
                    percent(row["reject_rate"]),
                    f"{row['letters_per_h']:,.0f}",
                    row["missed_deadlines"],
                    duration(row["latency_ms"].get("p99", 0) / 1000),
                ]
                for row in report["machines"]
            ],
            right=columns,
        )
    latency = report["latency_ms"] or {}
    show_facts(
        {
            "letters": f"{report['count']:,}, {report['letters_per_h']:,.0f} per hour",
            "read rate": f"{percent(report['read_rate'])} routed by their postcodes",
            "error rate": f"{percent(report['error_rate'])} of these to a wrong region; "
            f"{percent(report['postcode_error_rate'])} with any of the five digits wrong",
            "reject rate": f"{percent(report['reject_rate'])}: "
            + ", ".join(f"{count} {reason}" for reason, count in report["rejects"].items()),
            "threshold": f"{report['threshold']:.4f}",
            "deadline": f"{report['missed_deadlines']} missed of {report['deadline_s']:g} s "
            f"(p50 {latency.get('p50')} ms, p99 {latency.get('p99')} ms, longest {latency.get('max')} ms)"
            if paced
            else None,
            "speed": f"{report['digits_per_s']:,.0f} digits/s at the API",
            "back-pressure": f"{report['refused_requests']} requests refused for now, "
            f"belts stood {report['stalled_s']:.1f} s, waited for drawing {report['starved_s']:.1f} s",
            "directory": report["directory"],
            "handwriting": _SETS[report["handwriting"]]
            + ("" if report["learnt"] in {report["handwriting"], None} else "; the model learnt another one"),
            "read by": f"{report.get('model')} version {report.get('version')} on {report.get('chip')} "
            f"({report.get('backend')})",
        }
    )
    for name in ("plot", "picture"):
        if report[name]:
            show_line(f"Drawn in {report[name]}.")


def _service_folders(options: Options) -> list[str | Path]:
    """Return where a service on this machine has its MNIST: as it was started, as variables say, as it downloads it."""
    data_dir = Path(options.data_dir or os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)
    started_with = data_dir / "mnist"
    given = [started_with.read_text("utf-8")] if started_with.is_file() else []
    return [folder for folder in (*given, os.environ.get("HXSERVE_MNIST"), data_dir / "datasets") if folder]


def _directory(name: str) -> Any:
    match name:
        case "invented":
            return invent_directory()
        case "all":
            return every_number()
        case path:
            return load_directory(Path(path))


def _draw(source: LetterSource, run: Run, plot: Path | None, picture: Path | None) -> dict[str, str | None]:
    if plot:
        from hxserve_letters.plots import draw_rates  # noqa: PLC0415 only where asked for

        draw_rates(run.decisions, run.threshold, plot)
    if picture:
        from hxserve_letters.pictures import draw_samples  # noqa: PLC0415 imports OpenCV

        draw_samples(source, run.decisions, picture)
    return {"plot": str(plot) if plot else None, "picture": str(picture) if picture else None}
