"""Arrays of numpy: `.npz` with images and labels of one or both parts, and pairs of `.npy` files."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from tokenize import TokenError
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from services.errors import InvalidInputError
from worker.imports.collection import MOST_CROPS, Collection
from worker.imports.idx import add_images
from worker.imports.normalisation import SIDE, Normaliser
from worker.imports.source import Entry

_LABELS_OF: Final = {
    "x_train": "y_train",
    "train_images": "train_labels",
    "train_x": "train_y",
    "images_train": "labels_train",
    "x_test": "y_test",
    "test_images": "test_labels",
    "test_x": "test_y",
    "images_test": "labels_test",
    "images": "labels",
    "x": "y",
    "data": "target",
    "arr_0": "arr_1",
}
_EXPECTED: Final = (
    "expected pairs such as x_train and y_train, train_images and train_labels, or images and labels"
)
_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_NOT_NPY: Final = (
    *(ValueError, KeyError, EOFError, OverflowError, SyntaxError, TypeError, MemoryError),
    *(RecursionError, TokenError, UserWarning),  # numpy reads a header as Python source
)
_MOST_SIDE: Final = 1024
_STEP_BYTES: Final = 2**17
_MOST_FORTRAN_BYTES: Final = 2**29


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a `.npy` file."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """The size of an item of the first axis."""
        return int(np.prod(self.shape[1:], dtype=object)) * self.dtype.itemsize


def read_arrays(entries: Sequence[Entry], collection: Collection, normaliser: Normaliser) -> Iterator[None]:
    """Read pairs of `.npy` entries: images with their labels.

    Raises:
        InvalidInputError: an array has no pair, is none of numbers, or does not fit the other.
    """
    named = {entry.base.removesuffix(".npy"): entry for entry in entries}
    pairs = [
        (named.pop(images), named.pop(labels))
        for images, labels in _LABELS_OF.items()
        if images in named and labels in named
    ]
    if not pairs:
        names = ", ".join(entry.name for entry in entries)
        raise InvalidInputError(f"there is no pair of images and labels among {names}; {_EXPECTED}")
    for entry in named.values():
        collection.remark(f"{entry.name} was left out: it has no pair; {_EXPECTED}.")
    for images, labels in pairs:
        yield from _read_pair(images, labels, collection, normaliser)


def _read_pair(
    images: Entry, labels: Entry, collection: Collection, normaliser: Normaliser
) -> Iterator[None]:
    digits = yield from _read_labels(labels, collection)
    with images.open() as file:
        header = read_header(file, images.name)
        height, width = sides_of(header, images.name)
        if header.shape[0] != len(digits):
            raise InvalidInputError(
                f"{images.name} has {header.shape[0]} images, but {labels.name} has {len(digits)} labels"
            )
        start, values = 0, GreyValues(images.name)
        for rows in rows_of(file, header, images.name):
            if rows is None:
                yield
                continue
            yield from add_images(
                values.of(rows).reshape(-1, height, width),
                digits[start : start + len(rows)],
                images,
                start,
                collection,
                normaliser,
            )
            start += len(rows)
            yield
        values.check_bright()


class GreyValues:
    """Makes grey values 0..255 of the numbers of one array: integers, or floats of 0 to 1 or of 0 to 255."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._scale = 0.0
        self._brightest = 0.0

    def of(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the grey values of some items, in their order from the array's first on: it tells the scale.

        Raises:
            InvalidInputError: a number is none of the scale.
        """
        highest = float(rows.max()) if rows.size else 0.0
        if rows.dtype != np.uint8 and (not np.isfinite(rows).all() or rows.min() < 0 or highest > 255):
            raise InvalidInputError(f"{self._name} holds numbers outside 0 to 255")
        if not self._scale:
            self._scale = 255.0 if rows.dtype.kind == "f" and highest <= 1 else 1.0
        if self._scale > 1 and highest > 1:
            raise InvalidInputError(f"{self._name} holds floats of both 0 to 1 and 0 to 255")
        self._brightest = max(self._brightest, highest)
        if rows.dtype == np.uint8:
            return rows
        values: NDArray[np.uint8] = np.ceil(rows * self._scale - 0.5).astype(np.uint8)
        return values

    def check_bright(self) -> None:
        """Raise InvalidInputError if all values until now are integers 0 and 1."""
        if self._scale == 1.0 and self._brightest == 1.0:
            raise InvalidInputError(
                f"{self._name} holds integers 0 and 1, nearly black as grey values 0..255; multiply by 255, "
                "or send floats"
            )


def _read_labels(entry: Entry, collection: Collection) -> Generator[None, None, NDArray[np.uint8]]:
    """Return digits of an array of labels, `(n,)`, `(n, 1)` or one-hot `(n, 10)`."""
    with entry.open() as file:
        header = read_header(file, entry.name)
        if header.shape[0] > MOST_CROPS:
            raise InvalidInputError(f"{entry.name} holds more than {MOST_CROPS} labels")
        if header.shape[1:] not in {(), (1,), (10,)}:
            raise InvalidInputError(
                f"{entry.name} has shape {header.shape}; expected (n,) or one-hot (n, 10)"
            )
        parts = []
        for rows in rows_of(file, header, entry.name):
            yield
            if rows is not None:
                parts.append(rows)
    values = np.concatenate(parts) if parts else np.empty(0)
    if header.shape[1:] == (10,):
        if not ((values == 0) | (values == 1)).all() or not (values.sum(1) == 1).all():
            raise InvalidInputError(f"{entry.name} has ten columns, but not one 1 in each row")
        values = values.argmax(1)
    values = values.reshape(-1)
    wrong = np.flatnonzero(~np.isin(values, np.arange(10)))
    for place in wrong:
        collection.report(f"{entry.name}: the label of item {place} is {values[place]}; expected 0 to 9")
    if len(wrong):
        collection.check()
    return values.astype(np.uint8)


def read_header(file: IO[bytes], name: str, most: int = MOST_CROPS) -> Header:
    """Return the header of a `.npy` file of at most so many numbers; nothing is allocated by what it says.

    Raises:
        InvalidInputError: it is none, or has too many items.
    """
    try:
        header = Header(*_HEADERS[np.lib.format.read_magic(file)](file))
    except _NOT_NPY as error:
        raise InvalidInputError(f"{name} is not a .npy array of numbers: {error}") from None
    if header.dtype.kind not in "uif" or not header.shape:
        raise InvalidInputError(
            f"{name} is of type {header.dtype} and shape {header.shape}; expected numbers"
        )
    if header.shape[0] > most:
        raise InvalidInputError(f"{name} has {header.shape[0]} items; send at most {most}")
    return header


def sides_of(header: Header, name: str) -> tuple[int, int]:
    """Return the sides of each image: of `(n, 784)`, `(n, h, w)`, `(n, h, w, 1)` or `(n, 1, h, w)`.

    Raises:
        InvalidInputError: the items are no images.
    """
    sides = tuple(side for side in header.shape[1:] if side != 1)
    if sides == (SIDE * SIDE,):
        return SIDE, SIDE
    if len(sides) != 2 or not 0 < min(sides) <= max(sides) <= _MOST_SIDE:
        raise InvalidInputError(f"{name} has shape {header.shape}; expected (n, 28, 28) or (n, 784)")
    return sides[0], sides[1]


def rows_of(file: IO[bytes], header: Header, name: str) -> Iterator[NDArray[Any] | None]:
    """Return some items after the other; None where a step ends without one.

    An array in Fortran's order is read as a whole before its first item.

    Raises:
        InvalidInputError: the file is shorter or longer than its header says.
    """
    total = header.shape[0] * header.row_bytes
    if header.is_fortran and len(header.shape) > 1:
        if total > _MOST_FORTRAN_BYTES:
            raise InvalidInputError(f"{name} is a large array in Fortran's order; save it with order='C'")
        whole = bytearray()
        while len(whole) < total:
            whole += _exactly(file, min(_STEP_BYTES, total - len(whole)), name)
            yield None
        array = np.frombuffer(whole, header.dtype).reshape(header.shape, order="F")
        count = max(1, _STEP_BYTES // max(1, header.row_bytes))
        for start in range(0, len(array), count):
            yield np.ascontiguousarray(array[start : start + count])
    else:
        count = max(1, _STEP_BYTES // max(1, header.row_bytes))
        for start in range(0, header.shape[0], count):
            size = min(count, header.shape[0] - start)
            data = _exactly(file, size * header.row_bytes, name)
            yield np.frombuffer(data, header.dtype).reshape(size, *header.shape[1:])
    if file.read(1):
        raise InvalidInputError(f"{name} is longer than its header says")


def _exactly(file: IO[bytes], count: int, name: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise InvalidInputError(f"{name} is cut off: it is shorter than its header says")
    return data
