"""Execution of the command `letters`: from its options to the report."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click

from hxserve.addresses import DATA_DIR_VARIABLE, DEFAULT_DATA_DIR
from hxserve.cli.console import show_json
from hxserve.cli.options import Options
from hxserve.client import Client
from hxserve.plots import require_plots
from hxserve_letters.belts import Pace
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.centre import Centre, Effort
from hxserve_letters.coding import Coded, CodingDesk, SimulatedCoder
from hxserve_letters.comparing import compare_read_rates
from hxserve_letters.decisions import Decision
from hxserve_letters.digits import find_mnist
from hxserve_letters.directory import every_number, invent_directory, load_directory
from hxserve_letters.report import summarise, summarise_desk
from hxserve_letters.run import Run
from hxserve_letters.showing import SETS, show_report
from hxserve_letters.status_reporter import StatusReporter
from hxserve_letters.view import LettersView

_STRANGE_HAND: Final = "; in a handwriting that the model did not learn"
"""Part of the title on the page, which translates it."""


def sort_letters(options: Options, given: dict[str, Any]) -> None:
    """Sort letters and show the report; `given` are the options of the command by their names.

    Raises:
        ClientError: the service or a camera failed.
        UsageError: options do not fit each other.
    """
    if given["plot"]:
        require_plots()
    if given["against"] and not given["flat_out"]:
        raise click.UsageError("--against reads the same crops with two versions; give --flat-out, too")
    directory = _directory(given["directory"])
    # The centre itself sees to repetitions, so that it knows how often the service had no room.
    with Client(options.url, options.token, data_dir=options.data_dir, retries=0) as client:
        learnt = _learnt(client.model(given["model"], given["version"]))
        mnist = Path(given["mnist"]) if given["mnist"] else None
        if mnist is None and learnt == "mnist":
            mnist = find_mnist(_service_folders(options))
        source = LetterSource(given["seed"], directory, mnist, "desk" if given["desk"] else "report")
        handwriting = "digits" if mnist is None else "mnist"
        doubt = "" if learnt in {handwriting, None} else _STRANGE_HAND
        if doubt:
            click.echo(
                f"hxserve: the letters are written with {SETS[handwriting]}, and the model learnt "
                f"{SETS.get(str(learnt), learnt)}: expect more errors"
                + ("; give MNIST with --mnist FOLDER" if learnt == "mnist" else ""),
                err=True,
            )
        done = _sort(client, source, given, doubt)
    run = done.run
    report = summarise(run, done.pace) | {"directory": source.directory.name, "seed": source.seed}
    report |= {"mode": "flat out" if given["flat_out"] else "paced"}
    report |= {"handwriting": handwriting, "learnt": learnt}
    report |= {"desk": summarise_desk(run, done.coded)} if done.coded else {}
    if done.against:
        rates = compare_read_rates(run.decisions, done.against.decisions, given["most_error"])
        report |= {"against": asdict(rates) | {"version": done.against.origin.get("version")}}
    report |= _draw(source, run, given["plot"], given["picture"])
    if options.as_json:
        show_json(report)
    else:
        show_report(report)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """A run at its pace; if asked for, the result of the desk, and the other version's run on the same letters."""

    run: Run
    pace: Pace
    coded: Coded | None = None
    against: Run | None = None


def _sort(client: Client, source: LetterSource, given: dict[str, Any], doubt: str) -> _Sorted:
    """Choose the threshold and sort; `doubt` is added to the title on the page."""
    effort = Effort(given["cameras"], given["connections"], given["crops_per_request"])
    pace = Pace(
        1 if given["flat_out"] else given["machines"],
        None if given["flat_out"] else given["rate"],
        None if given["flat_out"] else given["deadline"],
        given["buffer"],
    )
    with LettersView() as view, StatusReporter(client, source) as reporter, ExitStack() as coding:
        desk = coding.enter_context(CodingDesk(client, source)) if given["desk"] else None

        def decided(decision: Decision) -> None:
            view.update(decision)
            reporter.update(decision)
            if desk:
                desk.update(decision)

        centre = Centre(client, given["model"], given["version"], effort)
        threshold = given["threshold"]
        if threshold is None:
            view.begin("choosing a threshold", given["threshold_letters"], 1)
            threshold = centre.find_threshold(
                source, given["threshold_letters"], given["most_error"], view.update
            )
        if desk and given["coder"] == "simulated":
            coding.enter_context(
                SimulatedCoder(
                    client,
                    desk,
                    error_rate=given["coder_error"],
                    per_hour=given["coder_rate"],
                    seed=given["seed"],
                )
            )
        title = "flat out" if given["flat_out"] else "sorting"
        reporter.begin(title + doubt, given["letters"], pace.machines)
        view.begin(title, given["letters"], pace.machines)
        against = None
        if given["flat_out"]:
            scans = centre.prepare(source, given["letters"])
            run = centre.sort_flat_out(scans, source.directory, threshold=threshold, on_decision=decided)
            if given["against"]:
                other = Centre(client, given["model"], given["against"], effort)
                against = other.sort_flat_out(scans, source.directory, threshold=threshold)
        else:
            run = centre.sort(source, given["letters"], pace, threshold=threshold, on_decision=decided)
        coded = desk.finish(given["desk_patience"]) if desk else None
    return _Sorted(run, pace, coded, against)


def _learnt(manifest: dict[str, Any]) -> str | None:
    """Return the data set that a version learnt; of several, the first that letters can be written with."""
    dataset = manifest.get("dataset", {})
    names: list[str] = [part["name"] for part in dataset.get("parts", ())]
    whole: str | None = dataset.get("name")
    return next((name for name in names if name in SETS), whole)


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
