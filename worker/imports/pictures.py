"""Pictures of digits, sorted into folders 0 to 9 or labelled by a table."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.errors import InvalidInputError
from worker.imports.collection import Collection, Part
from worker.imports.normalisation import Normaliser
from worker.imports.parts import part_of
from worker.imports.source import Entry
from worker.imports.tables import lines_of

_FILE_NAMES: Final = frozenset({"file", "filename", "file_name", "image", "name", "path", "id"})
_LABEL_NAMES: Final = frozenset({"label", "digit", "class"})
_PART_NAMES: Final = frozenset({"part", "split"})
_MOST_BYTES: Final = 32 * 2**20
_LINES: Final = 200
_DIGITS: Final = frozenset("0123456789")
_PARTS: Final[Mapping[str, Part]] = {"train": "train", "training": "train", "test": "test", "testing": "test"}


@dataclass(frozen=True, slots=True)
class _Label:
    """What a table says of a picture, and where."""

    digit: int
    part: Part | None
    line: str


_Labels = dict[tuple[str, str], _Label]
"""Labels by the folder of their table and the path that it names."""


def read_pictures(
    pictures: Sequence[Entry], tables: Sequence[Entry], collection: Collection, normaliser: Normaliser
) -> Iterator[None]:
    """Read pictures, each with the label that a table or else its folder gives it.

    Raises:
        InvalidInputError: a table cannot be read.
    """
    labels: _Labels = {}
    for table in tables:
        yield from _read_labels(table, labels, collection)
    missing = dict(labels)
    for entry in pictures:
        found = _label_of(entry, labels, missing) if tables else _by_folder(entry)
        if found is None:
            where = "its row in the table of labels" if tables else "a folder 0 to 9 around it"
            collection.report(f"{entry.name} has no label; expected {where}")
        else:
            yield from _read_picture(entry, found, collection, normaliser)
        yield
    for (_, path), label in missing.items():
        collection.report(f"{label.line}: there is no picture {path!r}")


def _read_picture(
    entry: Entry, label: _Label, collection: Collection, normaliser: Normaliser
) -> Iterator[None]:
    try:
        crop = yield from normaliser.of_picture(content_of(entry), entry.name)
    except InvalidInputError as error:
        collection.report(error.message)
    else:
        digits = np.array([label.digit], np.uint8)
        collection.add(crop[np.newaxis], digits, label.part or part_of(entry))


def content_of(entry: Entry) -> bytes:
    """Return the bytes of a picture file.

    Raises:
        InvalidInputError: it is damaged or too large.
    """
    with entry.open() as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InvalidInputError(f"{entry.name} is larger than {_MOST_BYTES // 2**20} MiB")
    return content


def _by_folder(entry: Entry) -> _Label | None:
    """Return the label that the innermost folder of a digit's name gives a picture."""
    digit = next((folder for folder in reversed(entry.folders) if folder in _DIGITS), None)
    return None if digit is None else _Label(int(digit), None, entry.name)


def _label_of(entry: Entry, labels: _Labels, missing: _Labels) -> _Label | None:
    """Return the label of a picture in the nearest table above it, by the end of its path, with or without suffix."""
    parts = entry.path.split("/")
    for depth in reversed(range(len(parts))):
        for first in range(depth, len(parts)):
            path = "/".join(parts[first:])
            for known in (path, path.rpartition(".")[0]):
                key = "/".join(parts[:depth]), known
                if key in labels:
                    missing.pop(key, None)
                    return labels[key]
    return None


def _read_labels(entry: Entry, labels: _Labels, collection: Collection) -> Iterator[None]:
    """Read a table of pictures and their digits."""
    folder = entry.path.rpartition("/")[0]
    with entry.open() as file:
        rows = _rows_of(lines_of(file, entry.name), entry.name)
        names = [name.strip().lower() for name in next(rows, [])]
        file_at, label_at, part_at = (
            _place(names, known) for known in (_FILE_NAMES, _LABEL_NAMES, _PART_NAMES)
        )
        if file_at is None or label_at is None:
            raise InvalidInputError(
                f"{entry.name} has the columns {', '.join(names) or 'none'}; expected file and label, and part if you "
                "like"
            )
        for number, row in enumerate(rows, 2):
            line = f"{entry.name}: line {number}"
            if number % _LINES == 0:
                yield
            if not row:
                continue
            if len(row) != len(names):
                collection.report(f"{line} has {len(row)} columns; expected {len(names)}")
            elif row[label_at].strip() not in _DIGITS:
                collection.report(f"{line}: the label is {row[label_at]!r}; expected 0 to 9")
            else:
                part = None if part_at is None else _PARTS.get(row[part_at].strip().lower())
                path = row[file_at].strip().removeprefix("./")
                known = labels.setdefault((folder, path), _Label(int(row[label_at]), part, line))
                if known.digit != int(row[label_at]):
                    collection.report(f"{line}: {path!r} has another label in {known.line}")


def _rows_of(lines: Iterator[str], name: str) -> Iterator[list[str]]:
    """Return the cells of each line.

    Raises:
        InvalidInputError: a line is no CSV.
    """
    try:
        yield from csv.reader(lines, strict=True)
    except csv.Error as error:
        raise InvalidInputError(f"{name} is no CSV: {error}") from None


def _place(names: Sequence[str], known: frozenset[str]) -> int | None:
    return next((place for place, name in enumerate(names) if name in known), None)
