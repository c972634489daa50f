"""Files of crops without labels: every form gives the same crops, from any item on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from services.datasets.uploads import DeclaredFile
from services.errors import InvalidInputError
from tests.worker.imports.files import digits, gzipped, idx, npy, npz, png, zipped
from worker.imports.normalisation import Normaliser
from worker.imports.source import Source
from worker.imports.unlabelled import MOST_UNPACKED_BYTES, CropFile, Piece, find_crops

IMAGES = digits(700).images
FLAT = IMAGES.reshape(-1, 784)


PIXELS = [f"pixel{number}" for number in range(784)]


def csv_of(rows: NDArray[Any], head: Sequence[str] = PIXELS) -> bytes:
    """A table of pixels, with a first line."""
    return "\n".join([",".join(head), *(",".join(map(str, row)) for row in rows), ""]).encode()


def parquet_of(images: NDArray[np.uint8], folder: Path) -> bytes:
    """Pictures as the Hugging Face hub ships them, without labels."""
    path = folder / "made.parquet"
    pq.write_table(pa.table({"image": [{"bytes": png(image), "path": None} for image in images]}), path)
    return path.read_bytes()


@contextmanager
def found_in(files: Mapping[str, bytes], folder: Path, *, centre: bool = False) -> Iterator[list[CropFile]]:
    """The files of crops among uploaded ones."""
    for index, content in enumerate(files.values()):
        (folder / str(index)).write_bytes(content)
    declared = [DeclaredFile(name=name, bytes=len(content)) for name, content in files.items()]
    source = Source(declared, lambda index: folder / str(index), MOST_UNPACKED_BYTES)
    looking = find_crops(source, Normaliser(centre=centre), folder / "unpacked.scratch")
    try:
        while True:
            try:
                next(looking)
            except StopIteration as ended:
                yield ended.value
                return
    finally:
        source.close()


def pieces(files: list[CropFile], start: int = 0) -> Iterator[Piece]:
    """All pieces from a crop on."""
    for file in files:
        yield from (piece for piece in file.read(start) if piece is not None)
        start = max(0, start - file.count)


def crops(files: list[CropFile], start: int = 0) -> NDArray[np.uint8]:
    """All crops from one on."""
    found = [piece.crops for piece in pieces(files, start)]
    return np.concatenate(found) if found else np.empty((0, 784), np.uint8)


FORMS: dict[str, dict[str, bytes]] = {
    "IDX as MNIST names it": {"t10k-images-idx3-ubyte": idx(IMAGES)},
    "IDX, packed, beside labels": {
        "train-images-idx3-ubyte.gz": gzipped(idx(IMAGES)),
        "train-labels-idx1-ubyte.gz": gzipped(idx(np.zeros(700, np.uint8))),
    },
    "IDX by its ending": {"envelopes.idx": idx(IMAGES)},
    "rows of uint8": {"crops.npy": npy(FLAT)},
    "floats of 0 to 1": {"crops.npy": npy(IMAGES.astype(np.float32) / 255)},
    "integers": {"crops.npy": npy(IMAGES.astype(np.int64))},
    "Fortran's order": {"crops.npy": npy(np.asfortranarray(IMAGES))},
    "npz with labels": {"mnist.npz": npz(x_train=IMAGES, y_train=np.zeros(700, np.uint8))},
    "npz in a zip": {"all.zip": zipped({"mnist.npz": npz(x=FLAT)})},
    "Kaggle's test.csv": {"test.csv": csv_of(FLAT)},
    "Kaggle's train.csv": {"train.csv": csv_of(np.insert(FLAT, 0, 7, 1), ["label", *PIXELS])},
    "a table without names": {"crops.csv": csv_of(FLAT[1:], list(map(str, FLAT[0])))},
    "two files": {"a.npy": npy(IMAGES[:300]), "b.idx": idx(IMAGES[300:])},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("start", [0, 1, 299, 300, 699, 700])
def test_every_form_gives_all_crops_from_any_on(tmp_path: Path, form: str, start: int) -> None:
    with found_in(FORMS[form], tmp_path) as files:
        assert sum(file.count for file in files) == 700
        assert np.array_equal(crops(files, start), FLAT[start:])


@pytest.mark.parametrize("start", [0, 3])
def test_pictures_have_names_and_those_without_a_digit_a_reason(tmp_path: Path, start: int) -> None:
    entries = {f"envelope/{number}.png": png(image) for number, image in enumerate(IMAGES[:5])}
    entries["envelope/blank.png"] = png(np.full((40, 40), 255, np.uint8))
    entries["envelope/torn.png"] = png(IMAGES[0])[:60]

    with found_in({"letters.zip": zipped(entries)}, tmp_path) as files:
        found = list(pieces(files, start))

    assert [(file.name, file.count) for file in files] == [("letters.zip", 7)]
    assert [piece.name for piece in found] == list(entries)[start:]
    assert np.array_equal(np.concatenate([piece.crops for piece in found[: 5 - start]]), FLAT[start:5])
    assert [bool(piece.problem) for piece in found[5 - start :]] == [True, True]


@pytest.mark.parametrize("start", [0, 77])
def test_parquet_gives_its_pictures(tmp_path: Path, start: int) -> None:
    with found_in({"mnist.parquet": parquet_of(IMAGES[:120], tmp_path)}, tmp_path) as files:
        assert files[0].count == 120
        assert np.array_equal(crops(files, start), FLAT[start:120])


def test_rows_that_cannot_be_read_keep_their_places(tmp_path: Path) -> None:
    lines = csv_of(FLAT[:50]).decode().splitlines()
    lines[11], lines[31] = "1,2,3", lines[31].replace("255", "x", 1)

    with found_in({"test.csv": "\n".join(lines).encode()}, tmp_path) as files:
        found = list(pieces(files))

    assert sum(len(piece.crops) for piece in found) == 50
    problems = [piece.problem for piece in found if piece.problem]
    assert len(problems) == 2
    assert problems[0].startswith("line 12 of test.csv cannot be read: it has 3 columns; expected 784")
    assert problems[1].startswith("line 32 of test.csv cannot be read: ")
    read = np.concatenate([piece.crops for piece in found])
    assert np.array_equal(np.delete(read, [10, 30], 0), np.delete(FLAT[:50], [10, 30], 0))


def test_larger_images_are_made_crops(tmp_path: Path) -> None:
    large = np.kron(IMAGES[:3], np.ones((1, 4, 4), np.uint8))

    with found_in({"large.npy": npy(large)}, tmp_path) as files:
        found = list(pieces(files))

    assert len(found) == 3
    assert all(piece.crops.shape == (1, 784) and piece.crops.max() > 127 for piece in found)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"notes.txt": b"x"}, r"notes.txt is of no known form; send IDX"),
        ({"train-labels-idx1-ubyte": idx(np.zeros(3, np.uint8))}, "the files hold no crops"),
        ({"labels.npz": npz(y=np.zeros(3, np.uint8))}, r"labels.npz has no array of shape"),
        ({"labels.npy": npy(np.zeros(3, np.uint8))}, "expected"),
        ({"a.idx": b"12345678"}, "not an IDX file of images"),
        ({"a.idx": idx(IMAGES)[:-1]}, "cut off"),
        ({"a.npy": npy(IMAGES)[:-1]}, "cut off"),
        ({"a.npy": npy(IMAGES) + b"x"}, "longer than its header says"),
        ({"a.npy": npy((IMAGES > 127).astype(np.uint8))}, "integers 0 and 1"),
        ({"a.npz": npz(x=IMAGES)[:-40]}, "damaged"),
        ({"a.csv": b"a,b,c\n1,2,3\n"}, "has 3 columns"),
        ({"a.parquet": b"PAR1"}, "no whole Parquet file"),
    ],
)
def test_what_holds_no_crops_is_refused_in_words(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said), found_in(files, tmp_path) as found:
        crops(found)
