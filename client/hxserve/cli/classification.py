"""The command `classify`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, cast, get_args

import click

from hxserve.batches import AnswerFormat
from hxserve.cli.choices import DATASETS, MODELS
from hxserve.cli.console import show_json, show_line
from hxserve.cli.jobs import watch_job
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.predictions import show_predictions
from hxserve.cli.results import show_outcome, show_submitted
from hxserve.progress import bytes_progress, crops_progress

_OF_A_JOB: Final = ("dataset", "part", "max_chip_s", "output", "form", "no_wait", "webhook")
"""Options that mean something with --job alone."""
_OF_REQUESTS: Final = ("segment", "keep", "wait")
"""Options that mean something without it alone."""


@click.command(cls=OptionsCommand)
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("--model", default="digits", show_default=True, shell_complete=MODELS, help="Model to use.")
@click.option("--version", default="latest", show_default=True, help="A number or an alias.")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Readings of each crop; their mean counts.",
)
@click.option(
    "--allow-transfer", is_flag=True, help="Also on another chip than the one in whose loop it learnt."
)
@click.option("--centre", is_flag=True, help="Scale and centre the crops of .npy files.")
@click.option(
    "--segment", is_flag=True, default=None, help="Read several digits of each picture, from left to right."
)
@click.option("--keep", is_flag=True, default=None, help="Keep crops and answers, to correct them later.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Give up waiting then; the job goes on.  [default: as long as it takes]",
)
@click.option(
    "--job",
    "as_job",
    is_flag=True,
    help="As a batch job: files of up to ten million crops, read when the chip has time.",
)
@click.option(
    "--dataset", shell_complete=DATASETS, metavar="NAME[@VERSION]", help="With --job: instead of files."
)
@click.option("--part", type=click.Choice(["all", "train", "test"]), help="With --job: of the data set.")
@click.option(
    "--max-chip-s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --job: end with the answers so far after so much chip time.",
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="With --job: write the answers there, .npz, .csv, .parquet or .jsonl.",
)
@click.option(
    "--format", "form", type=click.Choice(get_args(AnswerFormat)), help="With --job: of the output."
)
@click.option("--no-wait", is_flag=True, default=None, help="With --job: submit only.")
@click.option(
    "--webhook", metavar="URL|ID", help="With --job: address, or webhook of yours, that hears of its end."
)
def classify(options: Options, /, files: tuple[str, ...], as_job: bool, **given: Any) -> None:
    """Read the digits in image files.

    Pictures (PNG, JPEG, WebP, GIF, BMP, TIFF) of any size, one digit each, or several with --segment; .npy of crops,
    (n, 28, 28) or (n, 784). With --job also IDX, .npz, CSV, Parquet, a zip or a folder; interrupted while it sends,
    the same command goes on where it stopped.
    """
    useless = [name for name in (_OF_REQUESTS if as_job else _OF_A_JOB) if given.pop(name) is not None]
    if useless:
        name = {"form": "format"}.get(useless[0], useless[0]).replace("_", "-")
        raise click.UsageError(f"--{name} is for classifying {'without' if as_job else 'with'} --job")
    if as_job:
        _submit(options, files, **given)
    else:
        _classify(options, files, **given)


def _submit(
    options: Options,
    files: tuple[str, ...],
    *,
    model: str,
    version: str,
    dataset: str | None,
    output: str | None,
    form: AnswerFormat | None,
    no_wait: bool | None,
    **given: Any,
) -> None:
    """Submit a batch job; write the answers that there are when it has ended."""
    if bool(files) == bool(dataset):
        raise click.UsageError("give FILE..., or --dataset NAME")
    client = options.client()
    with bytes_progress("sending") as update:
        job = client.batches.submit(
            list(files) or None,
            model,
            version,
            dataset=dataset,
            on_progress=update,
            **cast("Any", {name: value or None for name, value in given.items()}),
        )
    if no_wait:
        show_submitted(job, as_json=options.as_json)
        return
    job = watch_job(client, job.id)
    if output is not None:
        written = client.batches.download(job, Path(output), form)
        if not options.as_json:
            show_line(f"Answers written to {written}.")
    show_outcome(job, as_json=options.as_json)


def _classify(
    options: Options,
    files: tuple[str, ...],
    *,
    model: str,
    version: str,
    repeats: int,
    allow_transfer: bool,
    centre: bool,
    segment: bool | None,
    keep: bool | None,
    wait: float | None,
) -> None:
    if not files:
        raise click.UsageError("give at least one FILE")
    with crops_progress() as update:
        predictions = options.client().classify(
            list(files),
            model,
            version,
            repeats=repeats,
            allow_transfer=allow_transfer,
            centre=centre,
            segment=bool(segment),
            keep=keep,
            wait_s=10.0 if wait is None else wait,
            timeout_s=wait,
            on_progress=update,
        )
    if options.as_json:
        document = asdict(replace(predictions, thumbnails=()))
        del document["thumbnails"]
        show_json(document | {"predictions": document.pop("items")})
    else:
        show_predictions(predictions)
        if keep:
            for answer in dict.fromkeys(p.answer for p in predictions):
                show_line(
                    f"Kept as {answer}; `hxserve corrections add {answer} DIGIT --index N` corrects it."
                )
