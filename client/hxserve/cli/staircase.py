"""The command `staircase`: how accuracy falls from float32 to the chip, and rises again in its loop."""

from pathlib import Path
from typing import Any

import click

from hxserve.cli.choices import MODELS, VERSIONS
from hxserve.cli.console import show_json, show_line
from hxserve.cli.jobs import watch_job
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.outcome import Failure
from hxserve.cli.results import STEPS, show_staircase
from hxserve.cli.submission import DATASET, FIRST_RECIPES
from hxserve.client import Client
from hxserve.jobs import Job
from hxserve.plots import draw_staircase, require_plots


@click.command(cls=OptionsCommand)
@click.option(
    "--model",
    default="staircase",
    show_default=True,
    shell_complete=MODELS,
    help="Model to make; gets a new version.",
)
@click.option(
    "--version",
    shell_complete=VERSIONS,
    help="Measure this version of the model, a number or an alias, and train none.",
)
@click.option("--recipe", type=click.Choice(FIRST_RECIPES), default="strong", show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Default: the recipe's.")
@DATASET
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), default="staircase.png", show_default=True
)
@click.option("--no-plot", is_flag=True, help="Show the table only.")
def staircase(
    options: Options, /, model: str, version: str | None, plot: Path, no_plot: bool, **training: Any
) -> None:
    """Train in the mock, and measure the model from float32 to the chip, and after learning in the chip's loop.

    Draws a plot besides. Needs a service with a chip, real or emulated, unless --version names what to measure.
    """
    client = options.client()
    if version is None:
        _require_chip(client)
    if not no_plot:
        require_plots()
    if version is None:
        version = _succeed(client, client.train(model, execution="mock", **training)).version
    assert version is not None, "a training that succeeded made a version"
    measured = {"dataset": training["dataset"], "seed": training["seed"]}
    job = _succeed(client, client.staircase(model, version, **measured))
    _show(options, client, job, None if no_plot else plot)
    if not no_plot:
        draw_staircase([(_name(step), step["accuracy"]) for step in job.result["steps"]], plot)
        if not options.as_json:
            show_line(f"Drawn in {plot}.")


def _require_chip(client: Client) -> None:
    """Refuse a service that has nothing but mocks: it has no last steps of the staircase."""
    backends = {chip.get("backend") for chip in client.chip()["chips"]}
    if backends == {"mock"}:
        raise Failure(
            "no_chip",
            "every chip of this service is a mock, and the staircase ends on a chip; "
            "start the service with `hxserve up --chip emulator`, or with a real chip",
        )


def _succeed(client: Client, job: Job) -> Job:
    return watch_job(client, job.id).expect_success()


def _name(step: dict[str, Any]) -> str:
    return STEPS.get(step["name"], (step["name"],))[0]


def _show(options: Options, client: Client, job: Job, plot: Path | None) -> None:
    chips = client.chip()["chips"]
    if options.as_json:
        rows = [
            {
                "step": _name(step),
                "version": job.version,
                "accuracy": step["accuracy"],
                "interval": step["interval"],
            }
            for step in job.result["steps"]
        ]
        show_json({"staircase": rows, "chips": chips, "plot": None if plot is None else str(plot)})
        return
    show_staircase(job)
    for chip in chips:
        show_line(f"{chip['id']}: {chip['backend']} {chip['identifier']}")
