"""The commands that submit long work: `train`, `evaluate` and `calibrate`."""

import json
from typing import Any, Final, TextIO, get_args

import click

from hxserve.cli.chips import show_maintenance
from hxserve.cli.choices import DATASETS, MODELS
from hxserve.cli.jobs import watch_job
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.results import show_outcome, show_submitted
from hxserve.client import Client, Recipe
from hxserve.jobs import Job


class Numbers(click.ParamType[list[int]]):
    """Whole numbers separated by commas."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Convert the text to numbers."""
        try:
            return [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 256,256", param, ctx)


FIRST_RECIPES: Final = tuple(name for name in get_args(Recipe) if name != "adapt")
"""Those that need no version to learn on from."""
RECIPE: Final = click.Choice(get_args(Recipe))


def parse_datasets(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> str | dict[str, float] | None:
    """Return a data set, or several with their weights; None if none was given."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    weights = {}
    for text in given:
        name, equals, weight = text.partition("=")
        try:
            weights[name] = float(weight) if equals else 1.0
        except ValueError:
            raise click.BadParameter(
                f"{text!r} has no number behind '='; write NAME=WEIGHT, such as mine=20", context, parameter
            ) from None
    return weights


DATASET: Final = click.option(
    "--dataset",
    multiple=True,
    metavar="NAME[@VERSION][=WEIGHT]",
    callback=parse_datasets,
    shell_complete=DATASETS,
    help="mnist, digits, or one of yours; repeated, a mixture.  [default: auto]",
)
_SEED = click.option("--seed", type=click.IntRange(min=0), help="Of the random numbers; default 0.")
_WEBHOOK = click.option(
    "--webhook", metavar="URL|ID", help="Address, or webhook of yours, that hears of the job's end."
)
_NO_WAIT = click.option("--no-wait", is_flag=True, help="Submit only; do not wait for the end.")


@click.command(cls=OptionsCommand)
@click.option(
    "--model",
    default="digits",
    show_default=True,
    shell_complete=MODELS,
    help="Model to train; made if it is new.",
)
@click.option("--recipe", type=RECIPE, help="Default: strong.")
@click.option("--epochs", type=click.IntRange(min=1), help="Default: the recipe's.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Crops per step; default: the recipe's.")
@click.option("--learning-rate", type=float, help="Default: the recipe's.")
@click.option(
    "--execution",
    type=click.Choice(["mock", "chip", "mock-then-chip", "float32"]),
    help="Where to learn; default: mock, then the chip if there is one.",
)
@click.option(
    "--start-from",
    metavar="[MODEL@]VERSION",
    help="Version to learn on from, of the same model unless named.",
)
@click.option(
    "--chip-epochs", type=click.IntRange(min=1), help="Epochs in the chip's loop; default: the recipe's."
)
@click.option("--chip-learning-rate", type=float, help="In the chip's loop; default: the recipe's.")
@click.option("--hidden", type=Numbers(), help="Sizes of the hidden layers; default 256,256.")
@click.option("--shift", type=click.IntRange(min=0), help="Right shift of the converting ReLU; default 1.")
@click.option("--num-sends", type=Numbers(), help="Per layer, how often its input is sent.")
@click.option(
    "--network",
    type=click.File(),
    metavar="FILE",
    help="Layers, as JSON; instead of --hidden, --shift, --num-sends.",
)
@DATASET
@_SEED
@_WEBHOOK
@_NO_WAIT
def train(options: Options, /, model: str, network: TextIO | None, no_wait: bool, **given: Any) -> None:
    """Train a model; its next version comes out.

    Shows the progress. Ctrl-C stops the watching, not the training.
    """
    short = {name: given.pop(name) for name in ("hidden", "shift", "num_sends")}
    short = {name: value for name, value in short.items() if value is not None}
    if network is not None and short:
        raise click.UsageError("give either --network or --hidden, --shift and --num-sends")
    given["network"] = (short or None) if network is None else _read_network(network)
    client = options.client()
    follow_job(options, client, client.train(model, **given), no_wait)


@click.command(cls=OptionsCommand)
@click.option("--model", default="digits", show_default=True, shell_complete=MODELS, help="Model to measure.")
@click.option("--version", default="latest", show_default=True, help="A number or an alias.")
@click.option(
    "--execution",
    type=click.Choice(["mock", "quantised", "float32", "chip"]),
    help="Where to measure; default: where the version serves, on the chip if there is one.",
)
@click.option(
    "--repeats", type=click.IntRange(min=1), help="Readings of each crop; their mean counts.  [default: 1]"
)
@click.option(
    "--allow-transfer",
    is_flag=True,
    default=None,
    help="On any chip, also when it learnt in the loop of another one.",
)
@DATASET
@_SEED
@_WEBHOOK
@_NO_WAIT
def evaluate(options: Options, /, model: str, version: str, no_wait: bool, **given: Any) -> None:
    """Measure a version on the test set: accuracy and confusion matrix.

    Shows the progress. Ctrl-C stops the watching, not the measurement.
    """
    client = options.client()
    follow_job(options, client, client.evaluate(model, version, **given), no_wait)


@click.command(cls=OptionsCommand)
@click.option("--chip", metavar="ID", help="The chip to calibrate; default: any that is free.")
@_NO_WAIT
def calibrate(options: Options, /, chip: str | None, no_wait: bool) -> None:
    """Calibrate a chip: measure it, flatten its fixed pattern, and load what was found."""
    client = options.client()
    follow_job(options, client, client.calibrate(chip), no_wait)


def _read_network(file: TextIO) -> Any:
    try:
        return json.load(file)
    except ValueError as error:
        raise click.UsageError(f"{file.name} is not JSON: {error}") from None


def follow_job(options: Options, client: Client, job: Job, no_wait: bool) -> None:
    """Show a job that was just submitted until it has ended, or only that it was submitted."""
    show_maintenance(client.chip()["chips"])
    if no_wait:
        show_submitted(job, as_json=options.as_json)
    else:
        show_outcome(watch_job(client, job.id), as_json=options.as_json)
