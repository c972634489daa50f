"""The forms in which data sets are sent, told by the names of the files."""

from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from services.datasets.paths import PICTURES
from services.errors import InvalidInputError
from worker.imports.arrays import read_arrays
from worker.imports.collection import Collection
from worker.imports.idx import NAME as IDX_NAME
from worker.imports.idx import read_idx
from worker.imports.normalisation import Normaliser
from worker.imports.parquet import read_parquet
from worker.imports.pictures import read_pictures
from worker.imports.source import Entry, Source
from worker.imports.tables import lines_of, read_table

FORMS: Final = (
    "IDX files as of MNIST, a CSV with label and pixel0 to pixel783, .npz or pairs of .npy, Parquet with image and "
    "label, or pictures in folders 0 to 9 or with a labels.csv, all also in a zip"
)
_BESIDE: Final = frozenset({".txt", ".md", ".json", ".yaml", ".yml", ".html", ".pdf"})
"""Files that people and sites put beside data."""
_MOST_COLUMNS: Final = 20
"""A table with more columns is one of pixels."""


def read_files(
    source: Source, collection: Collection, normaliser: Normaliser, scratch: Path
) -> Iterator[None]:
    """Read all files of an upload into a collection.

    Args:
        source: of the files.
        collection: takes the crops.
        normaliser: makes crops of pictures.
        scratch: a file that may be written.

    Raises:
        InvalidInputError: a file is of no known form or wrong; the message names up to 20 wrong entries.
        UnavailableError: this worker lacks what reads a form.
    """
    entries = yield from source.entries()
    forms: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        form = yield from _form_of(entry)
        forms[form].append(entry)
        yield
    for entry in forms["unknown"]:
        collection.report(f"{entry.name} is of no known form; send {FORMS}")
    collection.check()
    for entry in forms["beside"]:
        collection.remark(f"{entry.name} was left out.")
    if forms["idx"]:
        yield from read_idx(forms["idx"], collection, normaliser)
    for entry in forms["table"]:
        yield from read_table(entry, collection, normaliser)
    for entry in forms[".npz"]:
        path = yield from source.unpack(entry, scratch)
        yield from read_arrays((yield from source.members(path, entry.name)), collection, normaliser)
    if forms[".npy"]:
        yield from read_arrays(forms[".npy"], collection, normaliser)
    for entry in forms[".parquet"]:
        path = yield from source.unpack(entry, scratch)
        yield from read_parquet(entry, source.open_again(path), collection, normaliser)
    if forms["picture"] or forms["labels"]:
        yield from read_pictures(forms["picture"], forms["labels"], collection, normaliser)
    collection.check()
    if not len(collection):
        raise InvalidInputError(f"the files hold no digits; send {FORMS}")


def _form_of(entry: Entry) -> Generator[None, None, str]:
    """Return the form of a file by its name; of a CSV, by its first line."""
    if IDX_NAME.fullmatch(entry.base):
        return "idx"
    if entry.suffix == ".csv":
        with entry.open() as file:
            first = next(lines_of(file, entry.name), "")
        yield
        return "table" if first.count(",") >= _MOST_COLUMNS else "labels"
    if entry.suffix in {".npz", ".npy", ".parquet"}:
        return entry.suffix
    if entry.suffix in PICTURES:
        return "picture"
    return "beside" if entry.suffix in _BESIDE else "unknown"
