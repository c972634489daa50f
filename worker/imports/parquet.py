"""Parquet with the bytes of pictures and their labels, as the Hugging Face hub ships MNIST."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any, Final

import numpy as np

from services.errors import InvalidInputError, UnavailableError
from worker.imports.background import in_thread
from worker.imports.collection import Collection
from worker.imports.normalisation import Normaliser
from worker.imports.parts import part_of
from worker.imports.source import MOST_UNPACKED_BYTES, Entry

_ROWS: Final = 50
"""Rows of a step."""
_LABEL_NAMES: Final = ("label", "labels", "digit")
_MOST_GROUP_BYTES: Final = 512 * 2**20
_EXPECTED: Final = (
    "expected a column image with the bytes of pictures, and a column label, as in ylecun/mnist"
)


def read_parquet(
    entry: Entry, content: IO[bytes], collection: Collection, normaliser: Normaliser
) -> Iterator[None]:
    """Read pictures and labels of a Parquet file.

    Raises:
        InvalidInputError: it is damaged, too large, or has other columns.
        UnavailableError: this worker cannot read Parquet.
    """
    file = yield from open_table(entry.name, content)
    names: list[str] = list(file.schema_arrow.names)
    label = next((column for column in names if column.lower() in _LABEL_NAMES), None)
    image = image_column(file)
    if label is None or image is None:
        raise InvalidInputError(f"{entry.name} has the columns {', '.join(names)}; {_EXPECTED}")
    start = 0
    for rows in rows_of(file, entry.name, [image, label]):
        for number, row in enumerate(rows or (), start):
            yield from _read_row(
                row[image], row[label], f"{entry.name}: row {number}", entry, collection, normaliser
            )
            yield
        start += len(rows or ())
        yield


def open_table(
    name: str, content: IO[bytes], most_bytes: int = MOST_UNPACKED_BYTES
) -> Generator[None, None, Any]:
    """Return an opened Parquet file.

    Raises:
        InvalidInputError: it is damaged or too large.
        UnavailableError: this worker cannot read Parquet.
    """
    try:
        from pyarrow import ArrowException  # noqa: F401, PLC0415 an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 the same, and takes a tenth of a second
    except ImportError:
        raise UnavailableError(
            f"{name}: this worker cannot read Parquet, it has no pyarrow; ask the operator to install "
            "hxserve-server[datasets]"
        ) from None
    with _readable(name):
        file = yield from in_thread(lambda: ParquetFile(content))
    groups = [file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)]
    if sum(groups) > most_bytes or max(groups, default=0) > _MOST_GROUP_BYTES:
        raise InvalidInputError(f"{name} unpacks to more than this service takes; send several smaller ones")
    return file


def image_column(file: Any) -> str | None:
    """Return the name of the column of pictures of an opened table."""
    schema = file.schema_arrow
    return next((name for name in schema.names if _holds_images(schema.field(name).type)), None)


def rows_of(file: Any, name: str, columns: Sequence[str]) -> Iterator[list[dict[str, Any]] | None]:
    """Return some rows of an opened table after the other; None where a step ends without one.

    Raises:
        InvalidInputError: the file is damaged.
    """
    with _readable(name):
        batches = file.iter_batches(batch_size=_ROWS, columns=list(columns), use_threads=False)
        found: list[Any] = [None]
        while found:
            found.clear()
            for _ in in_thread(lambda: found.extend(islice(batches, 1))):
                yield None
            for batch in found:
                yield batch.to_pylist()


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Translate the errors of damaged files."""
    from pyarrow import ArrowException  # noqa: PLC0415 an extra

    try:
        yield
    except (ArrowException, OSError) as error:
        raise InvalidInputError(f"{name} is no whole Parquet file: {error}") from None


def picture_in(cell: Any, name: str) -> bytes:
    """Return the bytes of a picture in a cell, by themselves or as the field `bytes`.

    Raises:
        InvalidInputError: it has none.
    """
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise InvalidInputError(f"{name} has no picture; {_EXPECTED}")
    return content


def _holds_images(kind: Any) -> bool:
    """Return whether a column holds bytes, by themselves or as the field `bytes` of a struct."""
    if str(kind).startswith("struct<"):
        return any(kind.field(place).name == "bytes" for place in range(kind.num_fields))
    return str(kind) in {"binary", "large_binary"}


def _read_row(
    image: Any, label: Any, name: str, entry: Entry, collection: Collection, normaliser: Normaliser
) -> Iterator[None]:
    if not isinstance(label, int) or not 0 <= label <= 9:
        collection.report(f"{name}: the label is {label!r}; expected 0 to 9")
    else:
        try:
            crop = yield from normaliser.of_picture(picture_in(image, name), name)
        except InvalidInputError as error:
            collection.report(error.message)
        else:
            collection.add(crop[np.newaxis], np.array([label], np.uint8), part_of(entry))
