"""Crops without labels, each file readable from any item on: what batch jobs read."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.datasets.paths import PICTURES
from services.errors import InvalidInputError
from worker.imports import idx, parquet
from worker.imports.arrays import GreyValues, read_header, rows_of, sides_of
from worker.imports.normalisation import SIDE, Normaliser
from worker.imports.pictures import content_of
from worker.imports.source import Entry, Source
from worker.imports.tables import count_rows, pixels_of

PIXELS: Final = SIDE * SIDE
MOST_CROPS: Final = 10_000_000
MOST_UNPACKED_BYTES: Final = 32 * 2**30
"""Ten million crops as text."""
FORMS: Final = (
    "IDX images as of MNIST, .npy or .npz of images, a CSV with pixel0 to pixel783, Parquet with pictures, or "
    "pictures, all also in a zip"
)
_STEP_CROPS: Final = 256
_IDX_SUFFIXES: Final = frozenset({".idx", ".idx3", ".idx3-ubyte"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Crops that follow each other in a file.

    Attributes:
        crops: (n, 784) uint8; of a picture that cannot be read, one that is black.
        name: of the picture; empty for items of arrays and tables.
        problem: why the picture cannot be read; empty if it can.
    """

    crops: NDArray[np.uint8]
    name: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CropFile:
    """A file of crops.

    Attributes:
        name: of the file.
        count: of its crops; of a table, at most.
        read: gives the crops from an item on; None where a step ends without any.
    """

    name: str
    count: int
    read: Callable[[int], Iterator[Piece | None]]


def crops_in_memory(name: str, images: NDArray[np.uint8]) -> CropFile:
    """Return crops `(n, 28, 28)` uint8 that are in memory."""

    def read(start: int) -> Iterator[Piece]:
        for first in range(start, len(images), _STEP_CROPS):
            yield Piece(images[first : first + _STEP_CROPS].reshape(-1, PIXELS))

    return CropFile(name, len(images), read)


def find_crops(
    source: Source, normaliser: Normaliser, scratch: Path
) -> Generator[None, None, list[CropFile]]:
    """Return the files of crops of an upload in their order; yields meanwhile.

    Args:
        source: of the files.
        normaliser: makes crops of pictures.
        scratch: where what is in archives may be unpacked, with a number behind the name.

    Raises:
        InvalidInputError: a file is of no known form or damaged, or there are no crops or too many.
        UnavailableError: this worker lacks what reads a form.
    """
    entries = yield from source.entries()
    found: list[CropFile] = []
    for outer, group in groupby(entries, _outer_name):
        pictures = []
        for entry in group:
            if entry.suffix in PICTURES:
                pictures.append(entry)
                continue
            unpacked = scratch.with_name(f"{scratch.stem}-{len(found)}{scratch.suffix}")
            found += yield from _files_of(entry, source, normaliser, unpacked)
            yield
        if pictures:
            found.append(_pictures(outer, pictures, normaliser))
    count = sum(file.count for file in found)
    if not count:
        raise InvalidInputError(f"the files hold no crops; send {FORMS}")
    if count > MOST_CROPS:
        raise InvalidInputError(f"the files hold {count} crops; send at most {MOST_CROPS}")
    return found


def _outer_name(entry: Entry) -> str:
    """Return the name of the uploaded file that an entry is, or is in."""
    return entry.name.partition(": ")[0]


def _files_of(
    entry: Entry, source: Source, normaliser: Normaliser, unpacked: Path
) -> Generator[None, None, list[CropFile]]:
    """Return the crops of a file that is no picture; none of one of labels."""
    name = idx.NAME.fullmatch(entry.base)
    if (name and name[2] == "images") or entry.suffix in _IDX_SUFFIXES:
        return [_idx(entry, normaliser)]
    if name:
        return []
    match entry.suffix:
        case ".npy":
            return [_array(entry, normaliser)]
        case ".npz":
            path = yield from source.unpack(entry, unpacked)
            members = yield from source.members(path, entry.name)
            arrays = [member for member in members if member.suffix == ".npy" and _holds_images(member)]
            if not arrays:
                raise InvalidInputError(f"{entry.name} has no array of shape (n, 28, 28) or (n, 784)")
            return [_array(member, normaliser) for member in arrays]
        case ".csv":
            count = yield from count_rows(entry)
            return [CropFile(entry.name, count, lambda start: _table(entry, normaliser, start))]
        case ".parquet":
            path = yield from source.unpack(entry, unpacked)
            return [(yield from _parquet(entry, path, source, normaliser))]
    raise InvalidInputError(f"{entry.name} is of no known form; send {FORMS}")


def _idx(entry: Entry, normaliser: Normaliser) -> CropFile:
    with entry.open() as file:
        count, height, width = idx.read_header(file, entry.name)
    crops = max(1, _STEP_CROPS * PIXELS // (height * width))

    def read(start: int) -> Iterator[Piece | None]:
        with entry.open() as file:
            idx.read_header(file, entry.name)
            for first in range(0, count, crops):
                planes = idx.read_items(file, (min(crops, count - first), height, width), entry.name)
                yield from _pieces(planes, first, start, normaliser)
            if file.read(1):
                raise InvalidInputError(f"{entry.name} is longer than its header says")

    return CropFile(entry.name, count, read)


def _array(entry: Entry, normaliser: Normaliser) -> CropFile:
    with entry.open() as file:
        header = read_header(file, entry.name, MOST_CROPS)
    height, width = sides_of(header, entry.name)

    def read(start: int) -> Iterator[Piece | None]:
        first, values = 0, GreyValues(entry.name)
        with entry.open() as file:
            read_header(file, entry.name, MOST_CROPS)
            for rows in rows_of(file, header, entry.name):
                if rows is None:
                    yield None
                    continue
                planes = values.of(rows).reshape(-1, height, width)
                values.check_bright()
                yield from _pieces(planes, first, start, normaliser)
                first += len(rows)

    return CropFile(entry.name, header.shape[0], read)


def _holds_images(entry: Entry) -> bool:
    """Return whether an array of an archive may be images; labels are not."""
    with entry.open() as file:
        try:
            sides_of(read_header(file, entry.name, MOST_CROPS), entry.name)
        except InvalidInputError:
            return False
    return True


def _pieces(
    planes: NDArray[np.uint8], first: int, start: int, normaliser: Normaliser
) -> Iterator[Piece | None]:
    """Return the crops of images `(n, height, width)`, of which the first has the number `first`, from `start` on."""
    planes = planes[max(0, start - first) :]
    if not len(planes):
        yield None
    elif planes.shape[1:] == (SIDE, SIDE):
        yield Piece(normaliser.crops_of(planes).reshape(-1, PIXELS))
    else:
        for number, plane in enumerate(planes, max(first, start)):
            try:
                yield Piece(normaliser.of_plane(plane, f"image {number}").reshape(1, PIXELS))
            except InvalidInputError as error:
                yield unreadable_piece("", error)


def unreadable_piece(name: str, error: InvalidInputError) -> Piece:
    """Return the place of a picture that cannot be read."""
    return Piece(np.zeros((1, PIXELS), np.uint8), name, error.message)


def _table(entry: Entry, normaliser: Normaliser, start: int) -> Iterator[Piece | None]:
    for found in pixels_of(entry, start):
        if isinstance(found, InvalidInputError):
            yield unreadable_piece("", found)
        elif found is None:
            yield None
        else:
            yield Piece(normaliser.crops_of(found.reshape(-1, SIDE, SIDE)).reshape(-1, PIXELS))


def _pictures(name: str, entries: Sequence[Entry], normaliser: Normaliser) -> CropFile:
    def read(start: int) -> Iterator[Piece | None]:
        for entry in entries[start:]:
            yield from _picture(lambda entry=entry: content_of(entry), entry.path, normaliser)  # type: ignore[misc] # mypy has no types of a lambda's defaults

    return CropFile(name, len(entries), read)


def _picture(content: Callable[[], bytes], name: str, normaliser: Normaliser) -> Iterator[Piece | None]:
    """Return the crop of a picture file; None while a large one is decoded."""
    try:
        reading = normaliser.of_picture(content(), name)
        while True:
            try:
                next(reading)
            except StopIteration as ended:
                yield Piece(ended.value.reshape(1, PIXELS), name)
                return
            yield None
    except InvalidInputError as error:
        yield unreadable_piece(name, error)


def _parquet(
    entry: Entry, path: Path, source: Source, normaliser: Normaliser
) -> Generator[None, None, CropFile]:
    table = yield from parquet.open_table(entry.name, source.open_again(path), MOST_UNPACKED_BYTES)
    column = parquet.image_column(table)
    if column is None:
        raise InvalidInputError(f"{entry.name} has no column with the bytes of pictures")

    def read(start: int) -> Iterator[Piece | None]:
        first = 0
        for rows in parquet.rows_of(table, entry.name, [column]):
            yield None
            for number, row in enumerate(rows or (), first):
                if number >= start:
                    name = f"{entry.name}: row {number}"
                    yield from _picture(
                        lambda row=row, name=name: parquet.picture_in(row[column], name),  # type: ignore[misc] # the same
                        name,
                        normaliser,
                    )
            first += len(rows or ())

    return CropFile(entry.name, table.metadata.num_rows, read)
