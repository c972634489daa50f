"""The banner of chips in maintenance."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import click

from hxserve.cli.phrases import age, one_line


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
