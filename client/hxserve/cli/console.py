"""Output on stdout: tables for people, or one JSON document for a program."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import click
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hxserve.phrases import one_line

_FILE_WIDTH: Final = 200
"""Columns when the output is no terminal: wide enough that nothing is cut."""

_CARD_COLUMNS: Final = 4
"""Tables of fewer columns are folded instead."""


def show_json(document: object) -> None:
    """Write one JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def show_line(text: str = "") -> None:
    """Write a line, shown as it is."""
    click.echo(text)


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    whole: Iterable[str] = (),
    title: str = "",
) -> None:
    """Write a table as wide as its content; on a terminal too narrow for it, a card for each row.

    `right` names the columns of numbers, `whole` those that are never folded, `title` is a line above; values that are
    None are left blank.
    """
    kept = [list(row) for row in rows]
    table = make_table(columns, kept, right=right, whole=whole, title=title)
    out = console()
    if len(columns) < _CARD_COLUMNS or _least_width(table, out) <= out.width:
        _show(table)
        return
    if title:
        show_line(title)
    for row in kept:
        name, *facts = (None if value is None else one_line(value) for value in row)
        show_line(click.style(name or columns[0], bold=True))
        show_facts({f"  {key}": value for key, value in zip(columns[1:], facts, strict=True)})
        show_line()


def _least_width(table: Table, out: Console) -> int:
    """Return the columns that a table needs if no word is broken."""
    return Measurement.get(out, out.options.update(width=10 * _FILE_WIDTH), table).minimum


def make_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    whole: Iterable[str] = (),
    title: str = "",
) -> Table:
    """Return a table; values that are None are left blank."""
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title=title or None, title_justify="left"
    )
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in set(right) else "left",
            overflow="fold",
            no_wrap=column in set(whole),
        )
    for row in rows:
        table.add_row(*(Text("" if value is None else one_line(value)) for value in row))
    return table


def show_facts(facts: Mapping[str, object]) -> None:
    """Write names and values, one pair a line; empty values are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in (None, "", {}, []):
            table.add_row(Text(name), Text(one_line(value)))
    _show(table)


def show_confusion(confusion: Sequence[Sequence[int]]) -> None:
    """Write a confusion matrix: a row per true digit, a column per digit read."""
    show_table(
        ["true \\ read", *map(str, range(len(confusion)))],
        [[i, *(count or "." for count in row)] for i, row in enumerate(confusion)],
        right=["true \\ read", *map(str, range(len(confusion)))],
    )


def console() -> Console:
    """Return the console of stdout, without colours where these are not wanted (https://no-color.org)."""
    width = None if sys.stdout.isatty() else _FILE_WIDTH
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=sys.stdout, width=width, highlight=False, color_system=colours)


def _show(table: Table) -> None:
    out = console()
    with out.capture() as capture:
        out.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
