"""The command `staircase`: how accuracy falls from float32 to the chip, and rises again in its loop."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.jobs import watch_job
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.outcome import Failure
from hxserve.cli.phrases import percent
from hxserve.cli.submission import RECIPE
from hxserve.client import Client
from hxserve.jobs import Job
from hxserve.plots import draw_staircase, require_plots

_STEPS: Final = (
    ("float32", "float32", "plain layers, no rounding"),
    ("quantised", "quantised", "the chip's integers, without noise"),
    ("mock", "mock", "the same with the chip's measured gain and noise"),
    ("transferred", "chip", "on the chip, as learnt in the mock"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the staircase: the test accuracy (0..1) of a version somewhere."""

    name: str
    version: str
    accuracy: float
    meaning: str


@click.command(cls=OptionsCommand)
@click.option("--model", default="staircase", show_default=True, help="Model to make; gets two new versions.")
@click.option("--recipe", type=RECIPE, default="strong", show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Default: the recipe's.")
@click.option("--dataset", type=click.Choice(["auto", "mnist", "digits"]), default="auto", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), default="staircase.png", show_default=True
)
@click.option("--no-plot", is_flag=True, help="Show the table only.")
def staircase(options: Options, /, model: str, plot: Path, no_plot: bool, **training: Any) -> None:
    """Train in the mock, carry the model to the chip, train it in the chip's loop, and measure each step.

    Draws a plot besides. Needs a service with a chip, real or emulated.
    """
    client = options.client()
    _require_chip(client)
    if not no_plot:
        require_plots()
    in_mock = _succeed(client, client.train(model, execution="mock", **training))
    measured = {"dataset": training["dataset"], "seed": training["seed"]}
    steps = [
        _measure(client, name, in_mock, execution, meaning, measured) for name, execution, meaning in _STEPS
    ]
    loop = {name: value for name, value in training.items() if name != "epochs"}
    in_loop = _succeed(client, client.train(model, execution="chip", start_from=_version(in_mock), **loop))
    steps.append(
        _measure(client, "in the loop", in_loop, "chip", "on the chip, after learning there", measured)
    )
    _show(options, client, steps, None if no_plot else plot)
    if not no_plot:
        draw_staircase([(step.name, step.accuracy) for step in steps], plot)
        if not options.as_json:
            show_line(f"Drawn in {plot}.")


def _require_chip(client: Client) -> None:
    """Refuse a service that has nothing but mocks: the last steps of the staircase would fail there."""
    backends = {chip.get("backend") for chip in client.chip()["chips"]}
    if backends == {"mock"}:
        raise Failure(
            "no_chip",
            "every chip of this service is a mock, and the staircase ends on a chip; "
            "start the service with `hxserve up --chip emulator`, or with a real chip",
        )


def _succeed(client: Client, job: Job) -> Job:
    return watch_job(client, job.id).expect_success()


def _version(job: Job) -> str:
    assert job.version is not None, "a training that succeeded made a version"
    return job.version


def _measure(
    client: Client, name: str, trained: Job, execution: str, meaning: str, measured: dict[str, Any]
) -> Step:
    version = _version(trained)
    job = _succeed(client, client.evaluate(trained.model, version, execution=execution, **measured))
    assert job.accuracy is not None, "an evaluation that succeeded has an accuracy"
    return Step(name, version, job.accuracy, meaning)


def _show(options: Options, client: Client, steps: list[Step], plot: Path | None) -> None:
    chips = client.chip()["chips"]
    if options.as_json:
        rows = [{"step": s.name, "version": s.version, "accuracy": s.accuracy} for s in steps]
        show_json({"staircase": rows, "chips": chips, "plot": None if plot is None else str(plot)})
        return
    show_table(
        ["step", "version", "accuracy", "what"],
        [[step.name, step.version, percent(step.accuracy), step.meaning] for step in steps],
        right=["accuracy"],
    )
    for chip in chips:
        show_line(f"{chip['id']}: {chip['backend']} {chip['identifier']}")
