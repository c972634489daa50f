"""Tables of pixels as CSV: a label and 784 grey values in each line, as Kaggle ships MNIST."""

from collections.abc import Iterator, Sequence
from typing import IO, Final

import numpy as np

from services.errors import InvalidInputError
from worker.imports.collection import Collection
from worker.imports.normalisation import SIDE, Normaliser
from worker.imports.parts import part_of
from worker.imports.source import Entry

_PIXELS: Final = SIDE * SIDE
_MOST_LINE: Final = 64 * 1024
_LINES: Final = 20
"""Lines of a step."""
_LABEL_NAMES: Final = ("label", "labels", "class", "digit", "target", "y")
_EXPECTED: Final = "expected the columns label, pixel0 to pixel783, as in Kaggle's train.csv"


def lines_of(file: IO[bytes], name: str) -> Iterator[str]:
    """Return the lines of a text without their ends.

    Raises:
        InvalidInputError: it is no text, or a line is too long.
    """
    number = 0
    while line := file.readline(_MOST_LINE):
        number += 1
        if len(line) == _MOST_LINE:
            raise InvalidInputError(f"{name}: line {number} is longer than {_MOST_LINE} bytes; {_EXPECTED}")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise InvalidInputError(f"{name}: line {number} is no text in UTF-8") from None


def read_table(entry: Entry, collection: Collection, normaliser: Normaliser) -> Iterator[None]:
    """Read a table of labels and pixels, with a line of column names or without one.

    Raises:
        InvalidInputError: it has no labels, or other columns.
    """
    with entry.open() as file:
        lines = enumerate(lines_of(file, entry.name), 1)
        label_at, rows = 0, list[tuple[int, str]]()
        for number, line in lines:
            if number == 1:
                cells = [cell.strip().strip('"').lower() for cell in line.split(",")]
                has_names = not cells[0].isdecimal()
                label_at = _label_column(cells, entry, has_names=has_names)
                if has_names:
                    continue
            if line.strip():
                rows.append((number, line))
            if len(rows) == _LINES:
                _add_rows(rows, label_at, entry, collection, normaliser)
                rows = []
                yield
        _add_rows(rows, label_at, entry, collection, normaliser)


def _label_column(cells: Sequence[str], entry: Entry, *, has_names: bool) -> int:
    """Return the place of the labels among the columns."""
    if len(cells) == _PIXELS and not set(cells) & set(_LABEL_NAMES):
        raise InvalidInputError(
            f"{entry.name} has {_PIXELS} columns and no labels, as Kaggle's test.csv, from which nothing can be "
            "learnt; send train.csv, or a table with labels"
        )
    if len(cells) != _PIXELS + 1:
        raise InvalidInputError(f"{entry.name} has {len(cells)} columns; {_EXPECTED}")
    if not has_names:
        return 0
    places = [cells.index(name) for name in _LABEL_NAMES if name in cells]
    if not places:
        raise InvalidInputError(f"{entry.name} has no column of the name label; {_EXPECTED}")
    return places[0]


def _add_rows(
    rows: Sequence[tuple[int, str]],
    label_at: int,
    entry: Entry,
    collection: Collection,
    normaliser: Normaliser,
) -> None:
    images, labels = [], []
    for number, line in rows:
        cells = line.split(",")
        if len(cells) != _PIXELS + 1:
            collection.report(f"{entry.name}: line {number} has {len(cells)} columns; expected {_PIXELS + 1}")
            continue
        try:
            values = np.array([int(cell) for cell in cells])
        except ValueError:
            collection.report(f"{entry.name}: line {number} holds what is no whole number; {_EXPECTED}")
            continue
        label, pixels = values[label_at], np.delete(values, label_at)
        if not 0 <= label <= 9:
            collection.report(f"{entry.name}: the label in line {number} is {label}; expected 0 to 9")
        elif pixels.min() < 0 or pixels.max() > 255:
            collection.report(f"{entry.name}: line {number} holds a pixel that is not 0 to 255")
        else:
            images.append(pixels.astype(np.uint8).reshape(SIDE, SIDE))
            labels.append(label)
    if images:
        digits = np.array(labels, np.uint8)
        collection.add(normaliser.crops_of(np.stack(images)), digits, part_of(entry))
