"""The command `chip`: how the chips are, and their maintenance."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsGroup
from hxserve.phrases import age, flat, one_line

_CHIP = click.option("--chip", "chip_id", metavar="ID", help="Only this chip; default: all.")


@click.group(cls=OptionsGroup, invoke_without_command=True)
@click.pass_context
def chip(context: click.Context) -> None:
    """Show the chips, their owners and their self-tests; drain and resume them."""
    if context.invoked_subcommand is not None:
        return
    options: Options = context.obj
    found = options.client().chip()
    if options.as_json:
        show_json(found)
        return
    if not found["chips"]:
        show_line("No worker has opened a chip yet.")
        return
    show_maintenance(found["chips"])
    show_table(
        ["chip", "backend", "state", "since", "held by", "self-test", "calibrated"],
        [_row(c) for c in found["chips"]],
    )
    show_line()
    for record in found["chips"]:
        show_line(f"{record['id']}: {_details(record)}")


@chip.command()
@_CHIP
@click.option("--message", metavar="TEXT", default="", help="Reason, shown to users.")
@click.option("--finish", is_flag=True, help="Let running long work finish instead of pausing it.")
def drain(options: Options, chip_id: str | None, message: str, finish: bool) -> None:
    """Put chips into maintenance: crops are served on, new long work waits. For admins.

    Long work that runs is kept and paused, and goes on after `hxserve chip resume`.
    """
    found = options.client().drain_chip(chip_id, message=message, finish=finish)
    if options.as_json:
        show_json({"chips": found})
    else:
        show_maintenance(found)


@chip.command()
@_CHIP
def resume(options: Options, chip_id: str | None) -> None:
    """End the maintenance of chips; long work goes on. For admins."""
    found = options.client().resume_chip(chip_id)
    if options.as_json:
        show_json({"chips": found})
        return
    for record in found:
        show_line(f"chip {record['id']} takes long work again")


def _row(record: dict[str, Any]) -> list[object]:
    """Return the cells of a chip, which fit a terminal of 80 columns."""
    holder = record.get("holder") or {}
    since, calibration = record.get("since"), record.get("calibration")
    made_at = calibration.get("made_at") if isinstance(calibration, dict) else None
    return [
        record["id"],
        record.get("backend"),
        f"{record['state']}, maintenance" if record.get("maintenance") else record["state"],
        age(datetime.fromisoformat(since)) if since else None,
        f"{holder['host']}:{holder['pid']}" if {"host", "pid"} <= holder.keys() else flat(holder),
        _self_test(record.get("self_test")),
        age(datetime.fromtimestamp(made_at, UTC)) if made_at else "yes" if calibration else "no",
    ]


def _self_test(found: object) -> str:
    """Describe a self-test by the two readings that must be apart."""
    match found:
        case {"high_lsb": float(high), "low_lsb": float(low)}:
            return f"{high:+.0f}, {low:+.0f} LSB"
        case dict():
            return flat(found)
        case None:
            return ""
        case _:
            return str(found)


def _details(record: dict[str, Any]) -> str:
    """Describe a chip's measured properties, and its calibration file."""
    calibration = record.get("calibration")
    file = calibration.get("path") if isinstance(calibration, dict) else calibration
    gain, noise = record.get("gain"), record.get("noise_std")
    parts = [
        f"gain {gain:.5f}" if gain is not None else "",
        f"noise {noise:.2f} LSB" if noise is not None else "",
        f"calibration {file}" if file else "no calibration",
    ]
    return ", ".join(filter(None, parts))


def show_maintenance(chips: Iterable[Mapping[str, Any]]) -> None:
    """Say on stderr which of the chips are in maintenance, since when and why."""
    for chip in chips:
        maintenance = chip.get("maintenance")
        if maintenance:
            since = age(datetime.fromisoformat(maintenance["since"]))
            said = f": {one_line(maintenance['message'])}" if maintenance["message"] else ""
            click.echo(
                f"chip {chip['id']} is in maintenance since {since}, new long work waits{said}", err=True
            )
