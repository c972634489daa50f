"""Tables of pixels as CSV: a label and 784 grey values in each line, as Kaggle ships MNIST."""

from collections.abc import Generator, Iterator, Sequence
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from services.errors import InvalidInputError
from worker.imports.collection import Collection
from worker.imports.normalisation import SIDE, Normaliser
from worker.imports.parts import part_of
from worker.imports.source import Entry

_PIXELS: Final = SIDE * SIDE
_MOST_LINE: Final = 64 * 1024
_BRIGHTEST: Final = 255
_COUNTED_BYTES: Final = 2**20
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
                label_at = _label_column(_cells(line), entry, has_names=_has_names(line))
                if _has_names(line):
                    continue
            if line.strip():
                rows.append((number, line))
            if len(rows) == _LINES:
                _add_rows(rows, label_at, entry, collection, normaliser)
                rows = []
                yield
        _add_rows(rows, label_at, entry, collection, normaliser)


def count_rows(entry: Entry) -> Generator[None, None, int]:
    """Return the number of lines of a table without its column names; blank lines count.

    Raises:
        InvalidInputError: the file is damaged.
    """
    with entry.open() as file:
        first = file.readline(_MOST_LINE)
        count, end = int(not _has_names(first.decode("utf-8-sig", "replace"))), b""
        while piece := file.read(_COUNTED_BYTES):
            count += piece.count(b"\n")
            end = piece[-1:]
            yield
    return count + (end not in {b"", b"\n"})


def pixels_of(entry: Entry, start: int) -> Iterator[NDArray[np.uint8] | InvalidInputError | None]:
    """Return the pixels of a table's rows from one on, some rows `(n, 784)` after the other; labels are left out.

    A row that cannot be read is an error in its place; None stands where a step ends.

    Raises:
        InvalidInputError: it has other columns than pixels and perhaps a label.
    """
    with entry.open() as file:
        label_at, rows, place = None, list[tuple[int, str]](), 0
        for number, line in enumerate(lines_of(file, entry.name), 1):
            if number == 1:
                label_at = _unwanted_column(line, entry)
                if _has_names(line):
                    continue
            if not line.strip():
                continue
            place += 1
            if place > start:
                rows.append((number, line))
            if len(rows) == _LINES:
                yield from _pixels(rows, label_at, entry)
                rows = []
            elif place % _LINES == 0:
                yield None
        yield from _pixels(rows, label_at, entry)


def _pixels(
    rows: Sequence[tuple[int, str]], label_at: int | None, entry: Entry
) -> Iterator[NDArray[np.uint8] | InvalidInputError]:
    """Return the pixels of some rows; one by one if one of them cannot be read."""
    if not rows:
        return
    try:
        yield _values([line for _, line in rows], label_at)
    except ValueError as error:
        if len(rows) == 1:
            yield InvalidInputError(f"line {rows[0][0]} of {entry.name} cannot be read: {error}")
        else:
            for row in rows:
                yield from _pixels([row], label_at, entry)


def _values(lines: Sequence[str], label_at: int | None) -> NDArray[np.uint8]:
    """Return the pixels of lines, `(n, 784)`.

    Raises:
        ValueError: a line has other columns, or what is no grey value.
    """
    values = np.loadtxt(lines, np.int64, delimiter=",", comments=None, ndmin=2)
    columns = _PIXELS + (label_at is not None)
    if values.shape[1] != columns:
        raise ValueError(f"it has {values.shape[1]} columns; expected {columns}")
    pixels = values if label_at is None else np.delete(values, label_at, axis=1)
    if pixels.min() < 0 or pixels.max() > _BRIGHTEST:
        raise ValueError("it holds a pixel that is not 0 to 255")
    return pixels.astype(np.uint8)


def _unwanted_column(line: str, entry: Entry) -> int | None:
    """Return the place of the labels in a table whose first line this is; None if it has pixels alone."""
    cells = _cells(line)
    if len(cells) == _PIXELS and not set(cells) & set(_LABEL_NAMES):
        return None
    return _label_column(cells, entry, has_names=_has_names(line))


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"').lower() for cell in line.split(",")]


def _has_names(line: str) -> bool:
    """Return whether a first line is one of column names."""
    return not _cells(line)[0].isdecimal()


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
