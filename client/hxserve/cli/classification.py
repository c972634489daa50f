"""The command `classify`."""

from collections import Counter
from dataclasses import asdict, replace
from itertools import groupby
from typing import Final

import click

from hxserve.cli.choices import MODELS
from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsCommand
from hxserve.phrases import duration, percent
from hxserve.predictions import Prediction, Predictions
from hxserve.progress import crops_progress

_LISTED: Final = 20
"""Crops of one source shown one by one; of more, a summary per digit."""

_LEAST_SURE: Final = 5


@click.command(cls=OptionsCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
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
@click.option("--segment", is_flag=True, help="Read several digits of each picture, from left to right.")
@click.option("--keep", is_flag=True, help="Keep crops and answers, to correct them later.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Give up waiting then; the job goes on.  [default: as long as it takes]",
)
def classify(
    options: Options,
    /,
    files: tuple[str, ...],
    model: str,
    version: str,
    repeats: int,
    allow_transfer: bool,
    centre: bool,
    segment: bool,
    keep: bool,
    wait: float | None,
) -> None:
    """Read the digits in image files.

    Pictures (PNG, JPEG, WebP, GIF, BMP, TIFF) of any size, one digit each, or several with --segment; .npy of crops,
    (n, 28, 28) or (n, 784).
    """
    with crops_progress() as update:
        predictions = options.client().classify(
            list(files),
            model,
            version,
            repeats=repeats,
            allow_transfer=allow_transfer,
            centre=centre,
            segment=segment,
            keep=keep or None,
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


def show_predictions(predictions: Predictions) -> None:
    """Show predictions: few one by one, many of one source as a summary."""
    rows = []
    for source, group in groupby(predictions, key=lambda p: p.source):
        found = list(group)
        if len(found) > _LISTED:
            _show_summary(source, found)
            continue
        for i, p in enumerate(found):
            name = source if source and len(found) == 1 else f"{source}[{i}]"
            rows.append([name, p.digit, f"{p.confidence:.1%}", p.runner_up, _lead(p)])
    if rows:
        columns = ["file", "digit", "confidence", "runner-up", "lead (LSB)"]
        show_table(columns, rows, right=columns[1:])
    for warning in predictions.warnings:
        show_line(f"Warning: {warning}.")
    total_ms = predictions.timing.get("total_ms")
    took = f" in {duration(total_ms / 1000)}" if total_ms else ""
    show_line(f"{_count(len(predictions))} read by {predictions.origin}{took}.")


def _show_summary(source: str, found: list[Prediction]) -> None:
    count = Counter(p.digit for p in found)
    rows = []
    for digit in sorted(count):
        confidences = [p.confidence for p in found if p.digit == digit]
        mean = sum(confidences) / len(confidences)
        rows.append([digit, count[digit], percent(count[digit] / len(found)), f"{mean:.1%}"])
    columns = ["digit", "crops", "share", "mean confidence"]
    show_table(columns, rows, right=columns, title=f"{source or 'crops'}: {_count(len(found))}")
    least = sorted(range(len(found)), key=lambda i: found[i].confidence)[:_LEAST_SURE]
    said = (f"[{i}] {found[i].digit} or {found[i].runner_up} ({found[i].confidence:.1%})" for i in least)
    show_line(f"Least sure: {', '.join(said)}.")


def _lead(prediction: Prediction) -> int:
    """Return the difference between the score of the digit and the next best, in LSB."""
    return prediction.scores[prediction.digit] - prediction.scores[prediction.runner_up]


def _count(crops: int) -> str:
    return "1 digit" if crops == 1 else f"{crops:,} digits"
