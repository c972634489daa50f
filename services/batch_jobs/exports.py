"""The answers of batch jobs as files: npz, CSV, Parquet, JSON lines, each made as it is sent."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from services.batch_jobs.parts import ARRAYS, UNREADABLE, CallOrigin, Part, Totals, facts_in, parts_of
from services.errors import UnavailableError

Form = Literal["npz", "csv", "parquet", "jsonl"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
MEDIA_TYPES: Final[Mapping[Form, str]] = {
    "npz": "application/octet-stream",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/jsonl",
}
_ROWS: Final = 1000
"""Rows of a piece that is sent."""
_GROUP_ROWS: Final = 10_000
"""Rows of a group in a Parquet file."""
_DIGITS: Final = 6
"""Decimals of confidences and seconds."""
_OF_CROPS: Final = ("digits", "scores", "confidences", "calls")
_OF_CALLS: Final = ("call_s", "called_at", "call_source")


_COLUMNS: Final = (
    *("index", "name", "digit", "confidence", "scores", "problem", "call", "call_s", "called_at"),
    *("model", "version", "chip", "backend", "transferred", "repeats", "calibration"),
)
"""Of CSV, JSON lines and Parquet; the calibration by its sha256."""


def export(paths: Sequence[Path], form: Form) -> Iterator[bytes]:
    """Return the answers in some parts as the pieces of a file.

    Raises:
        BatchDamagedError: a part cannot be read.
        UnavailableError: there is no pyarrow, which writes Parquet.
    """
    writers: Mapping[Form, Callable[[Sequence[Path]], Iterator[bytes]]] = {
        "npz": _npz,
        "csv": _csv,
        "parquet": _parquet,
        "jsonl": _jsonl,
    }
    return writers[form](paths)


class _Written(io.RawIOBase):
    """A file that keeps what was written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._content += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._content)
        self._content.clear()
        return taken


Columns = dict[str, Sequence[Any]]
"""By the names in `_COLUMNS`."""


def _columns_of(paths: Sequence[Path], rows: int) -> Iterator[Columns]:
    """Return the columns of some rows after the other, a row for each crop."""
    for part in parts_of(paths):
        for start in range(0, len(part.digits), rows):
            yield _columns(part, slice(start, start + rows))


def _columns(part: Part, rows: slice) -> Columns:
    facts, digits = part.facts, part.digits[rows]
    places = range(rows.start, rows.start + len(digits))
    calls = part.calls[rows]
    numbers = calls - np.uint32(facts.first_call)
    sources = part.call_source[numbers].tolist()
    of_sources = [source.model_dump() for source in facts.sources]
    columns: Columns = {
        "index": [part.first + place for place in places],
        "name": [facts.names.get(place) for place in places],
        "digit": digits.tolist(),
        "confidence": part.confidences[rows].astype(float).round(_DIGITS).tolist(),
        "scores": part.scores[rows].tolist(),
        "problem": [facts.problems.get(place) for place in places],
        "call": calls.tolist(),
        "call_s": part.call_s[numbers].astype(float).round(_DIGITS).tolist(),
        "called_at": part.called_at[numbers].round(3).tolist(),
        **{
            name: [of_sources[number][name] for number in sources]
            for name in CallOrigin.model_fields
            if name != "calibration"
        },
        "calibration": [(of_sources[number]["calibration"] or {}).get("sha256") for number in sources],
    }
    unreadable = np.flatnonzero(digits == UNREADABLE).tolist()
    for name in ("digit", "confidence", "scores") if unreadable else ():
        column = list(columns[name])
        for place in unreadable:
            column[place] = None
        columns[name] = column
    return columns


def _jsonl(paths: Sequence[Path]) -> Iterator[bytes]:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    for columns in _columns_of(paths, _ROWS):
        rows = zip(*columns.values(), strict=True)
        yield "".join(encode(dict(zip(columns, row, strict=True))) + "\n" for row in rows).encode()


def _csv(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield lines with a column for each score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    place = _COLUMNS.index("scores")
    before, behind = _COLUMNS[:place], _COLUMNS[place + 1 :]
    writer.writerow([*before, *(f"score_{digit}" for digit in range(10)), *behind])
    for columns in _columns_of(paths, _ROWS):
        scores = zip(*(each or [None] * 10 for each in columns["scores"]), strict=True)
        ordered = (*map(columns.__getitem__, before), *scores, *map(columns.__getitem__, behind))
        writer.writerows(zip(*ordered, strict=True))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _npz(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield an archive of arrays; the parts are read once for each array, and what is no array is JSON in `facts`."""
    written, totals = _Written(), Totals()
    facts: dict[str, Any] = {"sources": [], "names": {}, "problems": {}}
    for path in paths:
        found = facts_in(path)
        for name in ("names", "problems"):
            facts[name] |= {totals.crops + place: text for place, text in getattr(found, name).items()}
        totals = totals.plus(found.totals)
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, (dtype, tail) in ARRAYS.items():
            length = totals.calls if name in _OF_CALLS else totals.crops
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (length, *tail)}
                np.lib.format.write_array_header_1_0(file, header)
                for part in parts_of(paths):
                    array = getattr(part, name)
                    if name == "call_source":
                        array = array + array.dtype.type(len(facts["sources"]))
                        facts["sources"] += [source.model_dump() for source in part.facts.sources]
                    file.write(array.tobytes())
                    yield written.take()
        with archive.open("facts.npy", "w") as file:
            np.lib.format.write_array(file, np.array(json.dumps(facts)), allow_pickle=False)
    yield written.take()


def _parquet(paths: Sequence[Path]) -> Iterator[bytes]:
    try:
        import pyarrow as pa  # noqa: PLC0415 an extra
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 the same
    except ImportError:
        raise UnavailableError(
            "this service cannot write Parquet, it has no pyarrow; take another form, or ask the operator to install "
            "hxserve-server[datasets]"
        ) from None
    schema = pa.schema(
        [
            ("index", pa.uint32()),
            ("name", pa.string()),
            ("digit", pa.uint8()),
            ("confidence", pa.float32()),
            ("scores", pa.list_(pa.int8())),
            ("problem", pa.string()),
            ("call", pa.uint32()),
            ("call_s", pa.float32()),
            ("called_at", pa.float64()),
            *((name, pa.string()) for name in ("model", "version", "chip", "backend")),
            ("transferred", pa.bool_()),
            ("repeats", pa.uint8()),
            ("calibration", pa.string()),
        ]
    )
    written = _Written()
    with ParquetWriter(written, schema, compression="zstd") as writer:
        for columns in _columns_of(paths, _GROUP_ROWS):
            writer.write_table(pa.table(columns, schema))
            yield written.take()
    yield written.take()
