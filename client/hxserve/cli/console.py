"""Output on stdout: tables for people, or one JSON document for a program."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hxserve.cli.phrases import one_line

_FILE_WIDTH: Final = 200
"""Columns when the output is no terminal: wide enough that nothing is cut."""


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
    """Write a table as wide as its content, at most as the terminal.

    `right` names the columns of numbers, `whole` those that are never folded, `title` is a line above; values that are
    None are left blank.
    """
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
    _show(table)


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


def _show(table: Table) -> None:
    width = None if sys.stdout.isatty() else _FILE_WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
