"""The command `letters`: a letter centre that sorts with a model of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hxserve.cli.options import Options, OptionsCommand

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
    "--against",
    metavar="VERSION",
    help="Read the same letters with this version, too, and compare the read rates at the error rate --most-error.",
)
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
@click.option(
    "--desk",
    is_flag=True,
    help="Send rejected letters to the coding desk of the service; they are written with training digits.",
)
@click.option(
    "--coder",
    type=click.Choice(["person", "simulated"]),
    default="person",
    show_default=True,
    help="Who keys there: people on the page /desk, or a program that knows what was written.",
)
@click.option(
    "--coder-error",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of letters that the simulated coder keys wrong.",
)
@click.option(
    "--coder-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Letters that it keys in an hour.  [default: as many as come]",
)
@click.option(
    "--desk-patience",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds without a keyed letter after which the desk is waited for no longer.",
)
@click.option("--plot", type=_FILE, help="Draw read rate over threshold and error over reject rate.")
@click.option("--picture", type=_FILE, help="Draw sample letters with their crops and what was read.")
@click.option(
    "--on-demand",
    is_flag=True,
    help="Wait, and sort whenever an admin starts a letter centre on the page /letters; other options come from there.",
)
def letters(options: Options, /, **given: Any) -> None:
    """Sort letters: draw envelopes, find and cut their postcodes, read them, route or reject each.

    Paced like belts with a deadline per letter, or flat out.
    """
    if given.pop("on_demand"):
        from hxserve_letters.on_demand import serve_orders  # noqa: PLC0415 only one of the two is needed

        serve_orders(options)
    from hxserve_letters.execution import sort_letters  # noqa: PLC0415 imports NumPy and OpenCV

    sort_letters(options, given)
