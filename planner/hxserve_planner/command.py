"""The command `plan`: how many letters, users, trainings and programs a number of chips can serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from hxserve.cli.console import show_json, show_line
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.outcome import Failure
from hxserve.cli.submission import RECIPE
from hxserve.client import Client
from hxserve.errors import AddressError, ConnectionFailedError
from hxserve.plots import require_plots
from hxserve_planner.answer import answer_of
from hxserve_planner.measured_costs import backend_of, measured_paces
from hxserve_planner.plots import draw_plan
from hxserve_planner.question import read_question
from hxserve_planner.search import find
from hxserve_planner.view import plan_progress, show_plan
from services.errors import HxserveError

_POSITIVE: Final = click.FloatRange(min=0, min_open=True)
_NOT_NEGATIVE: Final = click.FloatRange(min=0)
_LEVELS: Final = ("p99_ms", "deadline_met", "hurried", "training_wait_min", "training_done_min", "refused")
_LIMITS: Final = (
    *("max_queued_jobs", "max_waiting_crops"),
    *("user_max_queued_jobs", "user_max_waiting_crops", "user_chip_seconds_per_day"),
)


class Limit(click.ParamType[Any]):
    """A number, or `unlimited`."""

    name = "number|unlimited"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Convert to a number; `unlimited` stays, for None would be the default."""
        if value == "unlimited":
            return "unlimited"
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            self.fail(f"{value!r} is neither `unlimited` nor a number from 0 on", param, ctx)
        return int(number) if number.is_integer() else number


@click.command(cls=OptionsCommand)
@click.option("--chips", type=click.IntRange(1, 100_000), help="How many.  [default: 1]")
@click.option(
    "--chip",
    "backend",
    type=click.Choice(["mock", "emulator", "hxtorch"]),
    help="What executes.  [default: as the running service, else mock]",
)
@click.option(
    "--users", type=click.IntRange(0, 10_000_000), help="People who train and classify.  [default: 20]"
)
@click.option(
    "--letters-per-hour", type=_NOT_NEGATIVE, help="In the busiest hour, of all letter centres.  [default: 0]"
)
@click.option(
    "--trainings-per-user-per-day", type=_NOT_NEGATIVE, help="Mean over a whole day.  [default: 0.5]"
)
@click.option("--requests-per-user-per-hour", type=_NOT_NEGATIVE, help="In the busiest hour.  [default: 20]")
@click.option("--crops-per-request", type=click.IntRange(1, 20_000), help="Of users.  [default: 1]")
@click.option(
    "--programs",
    type=click.IntRange(0, 10_000),
    help="In the loop at once, in the busiest hour.  [default: 0]",
)
@click.option(
    "--operation-ms",
    type=_POSITIVE,
    multiple=True,
    help="Chip time of an operation of a program; repeat it for the operations of one forward pass.",
)
@click.option(
    "--program-home-ms",
    type=_NOT_NEGATIVE,
    help="Time that a program computes at home between two operations.  [default: 5]",
)
@click.option("--hours", type=click.FloatRange(0, 168, min_open=True), help="To simulate.  [default: 24]")
@click.option(
    "--start-hour", type=click.FloatRange(0, 24, max_open=True), help="Hour it begins.  [default: 0]"
)
@click.option("--recipe", type=RECIPE, default="strong", show_default=True)
@click.option("--dataset", type=click.Choice(["mnist", "digits"]), default="mnist", show_default=True)
@click.option(
    "--execution",
    type=click.Choice(["mock", "chip", "mock-then-chip", "float32"]),
    help="Where trainings learn.  [default: the service's]",
)
@click.option("--epochs", type=click.IntRange(1, 200), help="Default: the recipe's.")
@click.option("--batch-size", type=click.IntRange(1, 1000), help="Default: the recipe's.")
@click.option(
    "--allow-transfer", is_flag=True, help="Let any chip read what learnt in the loop of another one."
)
@click.option(
    "--deadline", "letter_deadline_s", type=_POSITIVE, help="Seconds from camera to gate.  [default: 2]"
)
@click.option(
    "--connections",
    "connections_per_centre",
    type=click.IntRange(1, 64),
    help="Of each letter centre.  [default: 4]",
)
@click.option(
    "--profiles",
    "profiles_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of `users` and `letters`: 24 numbers each, how busy each hour is.",
)
@click.option(
    "--find",
    type=click.Choice(["chips", "letters", "users", "trainings"]),
    help="Find the fewest chips, or the largest load, that hold the levels below.",
)
@click.option("--p99-ms", type=_POSITIVE, help="Level: 99 % of users' crops answered within.")
@click.option(
    "--deadline-met",
    type=click.FloatRange(0, 1, min_open=True),
    help="Level: share of letters in time.  [default: 0.99]",
)
@click.option(
    "--hurried",
    type=click.FloatRange(0, 1),
    help="Level: share of letters without their second look for want of time, at most.  [default: 0.01]",
)
@click.option("--training-wait-min", type=_POSITIVE, help="Level: 95 % of trainings begin within.")
@click.option("--training-done-min", type=_POSITIVE, help="Level: 95 % of trainings end within.")
@click.option(
    "--refused",
    type=click.FloatRange(0, 1),
    help="Level: share refused for want of room, at most.  [default: 0.01]",
)
@click.option("--max-queued-jobs", type=click.IntRange(min=1), help="As HXSERVE_MAX_QUEUED_JOBS.")
@click.option("--max-waiting-crops", type=click.IntRange(min=1), help="As HXSERVE_MAX_WAITING_CROPS.")
@click.option("--user-max-queued-jobs", type=Limit(), help="As HXSERVE_USER_MAX_QUEUED_JOBS.")
@click.option("--user-max-waiting-crops", type=Limit(), help="As HXSERVE_USER_MAX_WAITING_CROPS.")
@click.option("--user-chip-seconds-per-day", type=Limit(), help="As HXSERVE_USER_CHIP_SECONDS_PER_DAY.")
@click.option("--long-work-share", type=click.FloatRange(0, 1, max_open=True), help="As in the settings.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--events",
    type=click.IntRange(min=1000),
    help="Units, requests and letters to simulate one by one: more is slower and steadier.  [default: 500000]",
)
@click.option(
    "--assumed", is_flag=True, help="Use the documented paces also where a service measured its own."
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the day into a file.")
def plan(
    options: Options, /, *, plot: Path | None, assumed: bool, profiles_file: Path | None, **given: Any
) -> None:
    """Forecast the capacity of chips: letters, users, trainings and programs over a day.

    Simulates the service's own scheduling in simulated time. Paces are those that a running service of the same chip
    measured, if one is reachable, else documented ones; every assumption is printed. With --find, answers how many
    chips are needed, or how much load fits.
    """
    if plot is not None:
        require_plots()
    question = question_of(given, profiles_file)
    if not assumed:
        _take_measured(options, question)
    answer = _simulated(question)
    if plot is not None:
        draw_plan(answer, plot)
    answer["plot"] = None if plot is None else str(plot)
    if options.as_json:
        show_json(answer)
        return
    show_plan(answer)
    if plot is not None:
        show_line(f"Drawn in {plot}.")


def question_of(given: dict[str, Any], profiles_file: Path | None) -> dict[str, Any]:
    """Compile the question that the options ask; options not given are left to the simulation's defaults."""
    asked = {name: value for name, value in given.items() if value is not None}
    if asked.get("find") == "chips" and "chips" in asked:
        raise click.UsageError("--find chips looks for the number of chips; leave --chips out")
    if not asked["allow_transfer"]:
        del asked["allow_transfer"]
    levels = {name: asked.pop(name) for name in _LEVELS if name in asked}
    limits = {name: asked.pop(name) for name in _LIMITS if name in asked}
    return {
        **asked,
        "levels": levels,
        "limits": {name: None if value == "unlimited" else value for name, value in limits.items()},
        **(_profiles(profiles_file) if profiles_file else {}),
    }


def _simulated(question: dict[str, Any]) -> dict[str, Any]:
    try:
        asked = read_question(json.dumps(question))
        with plan_progress() as update:
            return find(asked, update) if asked.find is not None else answer_of(asked, update)
    except HxserveError as error:
        raise Failure(error.code, error.message) from None


def _profiles(path: Path) -> dict[str, Any]:
    expected = '{"users": [24 numbers], "letters": [24 numbers]}, either may be left out'
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise Failure("invalid_input", f"{path} is no JSON ({error}); expected {expected}") from None
    if not isinstance(found, dict) or not found or set(found) - {"users", "letters"}:
        raise Failure("invalid_input", f"{path}: expected {expected}")
    return {f"{name.removesuffix('s')}_profile": values for name, values in found.items()}


def _take_measured(options: Options, question: dict[str, Any]) -> None:
    """Add the measurements of a running service; without one of the same chips the question stays as it is."""
    try:
        with Client(options.url, options.token, data_dir=options.data_dir, retries=0) as client:
            backend = backend_of(client)
            wanted = question.get("backend", backend)
            if backend is None or backend != wanted:
                return
            question["backend"] = backend
            question["measured"] = measured_paces(
                client, backend, question["recipe"], question["dataset"], question.get("execution")
            )
    except (AddressError, ConnectionFailedError):
        if options.url is not None:
            raise
