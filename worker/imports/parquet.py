"""Parquet with the bytes of pictures and their labels, as the Hugging Face hub ships MNIST."""

from collections.abc import Iterator
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
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 the same, and takes a tenth of a second
    except ImportError:
        raise UnavailableError(
            f"{entry.name}: this worker cannot read Parquet, it has no pyarrow; ask the operator to install "
            "hxserve-server[datasets]"
        ) from None
    try:
        file = yield from in_thread(lambda: ParquetFile(content))
        image, label = _columns(file, entry.name)
        batches = file.iter_batches(batch_size=_ROWS, columns=[image, label], use_threads=False)
        start = 0
        while (batch := (yield from in_thread(lambda: next(batches, None)))) is not None:
            rows = batch.to_pylist()
            for number, row in enumerate(rows, start):
                yield from _read_row(
                    row[image], row[label], f"{entry.name}: row {number}", entry, collection, normaliser
                )
                yield
            start += len(rows)
    except (ArrowException, OSError) as error:
        raise InvalidInputError(f"{entry.name} is no whole Parquet file: {error}") from None


def _columns(file: Any, name: str) -> tuple[str, str]:
    """Return the names of the columns of images and labels."""
    groups = [file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)]
    if sum(groups) > MOST_UNPACKED_BYTES or max(groups, default=0) > _MOST_GROUP_BYTES:
        raise InvalidInputError(f"{name} unpacks to more than this service takes; send several smaller ones")
    schema = file.schema_arrow
    names: list[str] = list(schema.names)
    label = next((column for column in names if column.lower() in _LABEL_NAMES), None)
    image = next((column for column in names if _holds_images(schema.field(column).type)), None)
    if label is None or image is None:
        raise InvalidInputError(f"{name} has the columns {', '.join(names)}; {_EXPECTED}")
    return image, label


def _holds_images(kind: Any) -> bool:
    """Return whether a column holds bytes, by themselves or as the field `bytes` of a struct."""
    if str(kind).startswith("struct<"):
        return any(kind.field(place).name == "bytes" for place in range(kind.num_fields))
    return str(kind) in {"binary", "large_binary"}


def _read_row(
    image: Any, label: Any, name: str, entry: Entry, collection: Collection, normaliser: Normaliser
) -> Iterator[None]:
    content = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(content, bytes):
        collection.report(f"{name} has no picture; {_EXPECTED}")
    elif not isinstance(label, int) or not 0 <= label <= 9:
        collection.report(f"{name}: the label is {label!r}; expected 0 to 9")
    else:
        try:
            crop = yield from normaliser.of_picture(content, name)
        except InvalidInputError as error:
            collection.report(error.message)
        else:
            collection.add(crop[np.newaxis], np.array([label], np.uint8), part_of(entry))
