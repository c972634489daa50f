"""Files that are wrong, or meant to do harm, are refused in words that name file and entry."""

import io
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.errors import InvalidInputError, QuotaExceededError, UnavailableError
from tests.worker.imports.files import (
    Desk,
    desk_in,
    digits,
    folders,
    gzipped,
    idx,
    npy,
    npz,
    png,
    table,
    zipped,
)
from worker.imports import source
from worker.imports.collection import Collection

CROPS = digits(23)
IMAGES, LABELS = idx(CROPS.images), idx(CROPS.labels)
CSV = table(CROPS)
LINES = CSV.decode().splitlines()
DOT = png(np.zeros((40, 50), np.uint8))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


def _npy_of(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """A .npy file with a header and no array."""
    head = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n"


def _encrypted(name: str = "3/a.png") -> bytes:
    """A zip file whose entry says that it is encrypted."""
    packed = bytearray(zipped({name: b"secret" * 9}, zipfile.ZIP_STORED))
    for at in (6, packed.index(b"PK\x01\x02") + 8):
        packed[at] |= 1
    return bytes(packed)


def _with_path(path: str) -> bytes:
    """A zip file with an entry of any path, written by hand."""
    stand_in = "x" * len(path)
    return zipped({stand_in: DOT}).replace(stand_in.encode(), path.encode())


def _damaged(content: bytes) -> bytes:
    """A zip file whose entry was changed behind its checksum."""
    packed = bytearray(zipped({"3/a.png": content}, zipfile.ZIP_STORED))
    packed[60] ^= 0xFF
    return bytes(packed)


def _line(number: int, change: str) -> bytes:
    lines = [*LINES]
    lines[number - 1] = change
    return "\n".join(lines).encode()


PIXELS = ",".join(["0"] * 784)

REFUSED: list[tuple[Mapping[str, bytes], str]] = [
    # Forms.
    ({"digits.docx": b"x"}, r"^digits\.docx is of no known form; send IDX files"),
    ({"a.zip": zipped({"inner.zip": zipped({"3/a.png": DOT})})}, r"a\.zip: inner\.zip is of no known form"),
    ({"README.md": b"# Digits"}, "the files hold no digits; send IDX"),
    ({"a.zip": zipped({})}, "the files hold no digits"),
    # IDX.
    ({"train-images-idx3-ubyte": IMAGES}, "train-images-idx3-ubyte has no file of labels beside it"),
    ({"t10k-labels.idx1-ubyte": LABELS}, "has no file of images beside it"),
    (
        {"images-idx3-ubyte": IMAGES, "labels-idx1-ubyte": IMAGES},
        "labels-idx1-ubyte is not an IDX file of labels",
    ),
    ({"images-idx3-ubyte": IMAGES[:-1], "labels-idx1-ubyte": LABELS}, "images-idx3-ubyte is cut off"),
    ({"images-idx3-ubyte": IMAGES + b"x", "labels-idx1-ubyte": LABELS}, "is longer than its header says"),
    (
        {"images-idx3-ubyte": IMAGES, "labels-idx1-ubyte": idx(CROPS.labels[:5])},
        "has 23 images, but .* has 5 labels",
    ),
    (
        {"images-idx3-ubyte": IMAGES, "labels-idx1-ubyte": idx(CROPS.labels + 5)},
        "label of item 5 is 10; expected 0 to 9",
    ),
    (
        {"images-idx3-ubyte.gz": IMAGES, "labels-idx1-ubyte": LABELS},
        r"images-idx3-ubyte\.gz is damaged or no such file",
    ),
    ({"images-idx3-ubyte.gz": gzipped(IMAGES)[:-9], "labels-idx1-ubyte": LABELS}, r"\.gz is damaged"),
    (
        {
            "images-idx3-ubyte": struct.pack(">4I", 0x803, 1, 2**31, 2**31),
            "labels-idx1-ubyte": idx(CROPS.labels[:1]),
        },
        "has images of 2147483648 x 2147483648; expected 28 x 28",
    ),
    # CSV.
    (
        {"test.csv": b"\n".join(line.partition(b",")[2] for line in CSV.splitlines())},
        "no labels, as Kaggle's test.csv",
    ),
    ({"test.csv": PIXELS.encode()}, "no labels, as Kaggle's test.csv"),
    ({"train.csv": b"a,b,c" * 30}, r"train\.csv has 61 columns; expected the columns label, pixel0"),
    ({"train.csv": CSV.replace(b"label", b"what", 1)}, "has no column of the name label"),
    ({"train.csv": _line(4, "10," + PIXELS)}, r"train\.csv: the label in line 4 is 10; expected 0 to 9"),
    ({"train.csv": _line(4, "1,256" + PIXELS[1:])}, "line 4 holds a pixel that is not 0 to 255"),
    ({"train.csv": _line(4, "1,x" + PIXELS[1:])}, "line 4 holds what is no whole number"),
    ({"train.csv": _line(4, "1,2,3")}, "line 4 has 3 columns; expected 785"),
    ({"train.csv": CSV[:2000] + b"\xff" * 9}, "is no text in UTF-8"),
    ({"train.csv": b"1" * 70_000}, "line 1 is longer than 65536 bytes"),
    # Arrays.
    (
        {"a.npz": npz(weights=CROPS.images)},
        r"no pair of images and labels among a\.npz: weights\.npy; expected pairs",
    ),
    ({"a.npz": b"no zip"}, r"a\.npz is damaged or no such file as its name says"),
    ({"a.npz": npz(images=CROPS.images, labels=CROPS.labels[:4])}, "has 23 images, but .* has 4 labels"),
    ({"a.npz": npz(images=CROPS.images, labels=CROPS.labels.astype(float) + 0.5)}, "label of item 0 is 0.5"),
    ({"a.npz": npz(images=CROPS.images - 1.0, labels=CROPS.labels)}, "holds numbers outside 0 to 255"),
    ({"a.npz": npz(images=CROPS.images // 255, labels=CROPS.labels)}, "holds integers 0 and 1, nearly black"),
    ({"a.npz": npz(images=CROPS.images * np.nan, labels=CROPS.labels)}, "holds numbers outside 0 to 255"),
    (
        {"a.npz": npz(images=CROPS.images[:, :, :20, np.newaxis, np.newaxis], labels=np.ones((23, 3)))},
        "expected \\(n,\\)",
    ),
    (
        {"images.npy": npy(CROPS.images.reshape(-1)), "labels.npy": npy(CROPS.labels)},
        "expected \\(n, 28, 28\\)",
    ),
    ({"images.npy": _npy_of((1, 2**31, 2**31)), "labels.npy": npy(np.ones(1))}, "expected \\(n, 28, 28\\)"),
    ({"images.npy": _npy_of((2**40, 28, 28)), "labels.npy": npy(np.ones(1))}, "send at most 300000"),
    ({"images.npy": _npy_of((9, 28, 28)), "labels.npy": npy(np.ones(9))}, r"images\.npy is cut off"),
    ({"images.npy": _npy_of((9, 28, 28), "|O"), "labels.npy": npy(np.ones(9))}, "of type object"),
    (
        {"images.npy": b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16, "labels.npy": npy(np.ones(9))},
        "not a .npy array",
    ),
    # Pictures.
    ({"a.zip": zipped({"a.png": DOT})}, r"a\.zip: a\.png has no label; expected a folder 0 to 9"),
    ({"a.zip": zipped({"11/a.png": DOT})}, "has no label"),
    ({"a.zip": zipped({"3/a.png": DOT})}, r"a\.zip: 3/a\.png shows no digit"),
    ({"a.zip": zipped({"3/a.png": b"GIF"})}, r"a\.zip: 3/a\.png is not a picture of a known format"),
    ({"3/a.png": png(CROPS.images[0])[:-20]}, r"3/a\.png is damaged"),
    (
        {"a.zip": zipped({"a.png": DOT, "labels.csv": b"who,what\na.png,3"})},
        "has the columns who, what; expected file",
    ),
    ({"a.zip": zipped({"a.png": DOT, "labels.csv": b"file,label\na.png,ten"})}, "line 2: the label is 'ten'"),
    (
        {"a.zip": zipped({"a.png": DOT, "labels.csv": b"file,label\na.png"})},
        "line 2 has 1 columns; expected 2",
    ),
    (
        {"a.zip": zipped({"a.png": png(CROPS.images[0]), "labels.csv": b"file,label\na.png,3\nb.png,4"})},
        r"labels\.csv: line 3: there is no picture 'b\.png'",
    ),
    (
        {"a.zip": zipped({"a.png": DOT, "labels.csv": b"file,label\na.png,3\na.png,4"})},
        "another label in .* line 2",
    ),
    # Parquet.
    ({"train.parquet": b"PAR1" + bytes(40) + b"PAR1"}, r"train\.parquet is no whole Parquet file"),
    # Archives.
    ({"a.zip": b"no zip"}, r"a\.zip is damaged or no such file"),
    ({"a.zip": zipped({"3/a.png": DOT})[:-30]}, r"a\.zip is damaged"),
    ({"a.zip": _damaged(DOT)}, r"a\.zip: 3/a\.png is damaged"),
    ({"a.zip": _encrypted()}, r"a\.zip: 3/a\.png is encrypted; send the archive without a password"),
    ({"a.zip": _with_path("../3/a.png")}, r"a\.zip: the path '\.\./3/a\.png' leaves its folder"),
    ({"a.zip": _with_path("/3/a.png")}, "leaves its folder"),
    ({"a.zip": _with_path("3\\a.png")}, "cannot be the name of a file"),
    ({"a.zip": _with_path("c:/3/a.png")}, "cannot be the name of a file"),
]


@pytest.mark.parametrize(("files", "said"), REFUSED)
def test_wrong_files_are_refused_by_name(desk: Desk, files: Mapping[str, bytes], said: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        desk.bring(files)

    assert re.search(said, refusal.value.message), refusal.value.message
    assert desk.datasets.names() == []


def test_up_to_twenty_problems_are_listed_at_once(desk: Desk) -> None:
    wrong = zipped({f"3/{number}.png": DOT for number in range(30)} | folders(CROPS))

    with pytest.raises(InvalidInputError) as refusal:
        desk.bring({"a.zip": wrong})

    assert refusal.value.message.startswith("20 problems: a.zip: 3/0.png shows no digit")
    assert refusal.value.message.endswith("there may be more")
    assert refusal.value.message.count("shows no digit") == 20


def test_a_zip_that_unpacks_to_much_more_than_its_size_is_refused_before_it_has(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_FREE_BYTES", 2**20)
    bomb = zipped(
        {
            "train-images-idx3-ubyte": idx(np.zeros((20_000, 28, 28), np.uint8)),
            "train-labels-idx1-ubyte": idx(np.zeros(20_000, np.uint8)),
        }
    )

    with pytest.raises(InvalidInputError, match=r"a\.zip: train-images-idx3-ubyte: .*more than 200 times"):
        desk.bring({"a.zip": bomb})


def test_a_gzip_file_that_unpacks_to_too_much_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_UNPACKED_BYTES", 2**20)
    packer = zlib.compressobj(9, wbits=31)
    labels = idx(np.zeros(300_000, np.uint8))
    bomb = packer.compress(IMAGES[:4] + struct.pack(">3I", 300_000, 28, 28)) + b"".join(
        packer.compress(bytes(2**20)) for _ in range(8)
    )

    with pytest.raises(InvalidInputError, match=r"unpack to more than 0 GiB"):
        desk.bring(
            {
                "images-idx3-ubyte.gz": bomb + packer.flush(),
                "labels-idx1-ubyte": labels,
            }
        )


def test_a_zip_of_very_many_entries_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_ENTRIES", 20)

    with pytest.raises(InvalidInputError, match=r"a\.zip holds more than 20 entries"):
        desk.bring({"a.zip": zipped(folders(CROPS))})


def test_a_picture_of_very_many_pixels_is_refused_by_its_header(desk: Desk) -> None:
    head = b"IHDR" + struct.pack(">2I", 6_000, 6_000) + DOT[24:29]
    bomb = DOT[:12] + head + struct.pack(">I", zlib.crc32(head)) + DOT[33:]

    with pytest.raises(InvalidInputError, match=r"3/a\.png has .*pixels"):
        desk.bring({"3/a.png": bomb})


def test_too_many_crops_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.imports.collection.MOST_CROPS", 40)
    collection = Collection()
    collection.add(CROPS.images, CROPS.labels, None)

    with pytest.raises(InvalidInputError, match="more than 40 crops"):
        collection.add(CROPS.images, CROPS.labels, None)


def test_files_that_are_gone_or_not_whole_are_refused(desk: Desk) -> None:
    gone, cut = desk.accept({"train.csv": CSV}), desk.accept({"train.csv": CSV})
    desk.uploads.path(gone.params["upload"], 0).unlink()
    desk.uploads.path(cut.params["upload"], 0).write_bytes(CSV[:-1])

    with pytest.raises(InvalidInputError, match=r"train\.csv is gone"):
        desk.run(gone)
    with pytest.raises(InvalidInputError, match=r"train\.csv has \d+ of \d+ bytes"):
        desk.run(cut)


def test_crops_beyond_the_quota_are_not_published(desk: Desk) -> None:
    with pytest.raises(QuotaExceededError, match="your quota dataset_bytes leaves 10000"):
        desk.bring({"train.csv": CSV}, most_bytes=10_000)

    assert desk.datasets.names() == []


@pytest.mark.parametrize(
    ("module", "files"),
    [
        ("pyarrow", {"train.parquet": b"PAR1"}),
        ("services.images", {"3/a.png": png(CROPS.images[0])}),
    ],
)
def test_a_worker_without_an_extra_says_which(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, module: str, files: dict[str, bytes]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(UnavailableError, match=r"install hxserve-server\[datasets\]"):
        desk.bring(files)


def test_a_worker_that_was_killed_in_the_middle_starts_again(desk: Desk) -> None:
    job = desk.accept({"a.zip": zipped(folders(digits(200)))})
    killed = desk.take_up(job)
    for _ in range(3):
        killed.step()

    first = desk.run(job)
    again = desk.run(job)  # killed after the publication, before it was recorded

    assert first == again
    assert desk.datasets.versions("ada~mine") == ["1"]


def test_a_damaged_file_is_never_a_crash(desk: Desk) -> None:
    random = np.random.default_rng(5)
    whole: dict[str, Any] = {
        "a.zip": zipped(folders(digits(12))),
        "a.npz": npz(images=CROPS.images, labels=CROPS.labels),
        "train.csv": CSV[:9000],
    }
    for name, content in whole.items():
        for _ in range(150):
            changed = bytearray(content)
            for place in random.integers(0, len(changed), 4):
                changed[place] = random.integers(0, 256)
            cut = changed[: random.integers(1, len(changed))] if random.random() < 0.3 else changed
            job = desk.accept({name: bytes(cut)})
            with suppress(InvalidInputError):
                desk.run(job)
            desk.uploads.delete(desk.uploads.of_job(job.params["upload"]))


def test_the_zip_of_a_stream_is_read(desk: Desk) -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: Any) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    file = Stream()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in folders(CROPS).items():
            archive.writestr(name, content)

    _, train, test = desk.bring({"a.zip": file.getvalue()})

    assert len(train) + len(test) == 23
