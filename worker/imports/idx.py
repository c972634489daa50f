"""IDX, the files of MNIST: images and labels in files of their own.

Source: yann.lecun.com/exdb/mnist, "File formats for the MNIST database".
"""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from services.errors import InvalidInputError
from worker.imports.collection import Collection
from worker.imports.normalisation import SIDE, Normaliser
from worker.imports.parts import part_of
from worker.imports.source import Entry

NAME: Final = re.compile(r"(.*?)[-_. ]?(images|labels)[-.]idx[13][-.]ubyte")
"""Both spellings: `train-images-idx3-ubyte` and `train-images.idx3-ubyte`."""
IMAGES: Final = 0x803
LABELS: Final = 0x801
_MOST_SIDE: Final = 1024
_CROPS: Final = 100
"""Crops of a step."""


def read_idx(entries: Sequence[Entry], collection: Collection, normaliser: Normaliser) -> Iterator[None]:
    """Read pairs of files of images and labels.

    Raises:
        InvalidInputError: a file is missing, is not IDX, or does not fit the other.
    """
    pairs: dict[str, dict[str, Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.path.count("/")):
        found = NAME.fullmatch(entry.base)
        assert found is not None
        pair = pairs.setdefault(found[1], {})
        if found[2] in pair:
            collection.remark(f"{entry.name} was left out: {pair[found[2]].name} has the same name.")
        else:
            pair[found[2]] = entry
    for pair in pairs.values():
        if len(pair) == 1:
            [(kind, entry)] = pair.items()
            other = "labels" if kind == "images" else "images"
            raise InvalidInputError(f"{entry.name} has no file of {other} beside it; send both")
        yield from _read_pair(pair["images"], pair["labels"], collection, normaliser)


def _read_pair(
    images: Entry, labels: Entry, collection: Collection, normaliser: Normaliser
) -> Iterator[None]:
    with images.open() as image_file, labels.open() as label_file:
        count, height, width = read_header(image_file, images.name)
        (label_count,) = read_header(label_file, labels.name, LABELS)
        if count != label_count:
            raise InvalidInputError(
                f"{images.name} has {count} images, but {labels.name} has {label_count} labels"
            )
        crops = max(1, _CROPS * SIDE * SIDE // (height * width))
        for start in range(0, count, crops):
            size = min(crops, count - start)
            planes = read_items(image_file, (size, height, width), images.name)
            digits = read_items(label_file, (size,), labels.name)
            wrong = np.flatnonzero(digits > 9)
            for place in wrong:
                collection.report(
                    f"{labels.name}: the label of item {start + place} is {digits[place]}; expected 0 to 9"
                )
            if not len(wrong):
                yield from add_images(planes, digits, images, start, collection, normaliser)
            yield
        for file, entry in ((image_file, images), (label_file, labels)):
            if file.read(1):
                raise InvalidInputError(f"{entry.name} is longer than its header says")


def add_images(
    planes: NDArray[np.uint8],
    digits: NDArray[np.uint8],
    entry: Entry,
    start: int,
    collection: Collection,
    normaliser: Normaliser,
) -> Iterator[None]:
    """Add images `(n, height, width)`: of 28 x 28 as they are, others as pictures.

    Args:
        planes: grey values.
        digits: `(n,)`, 0..9.
        entry: the file that they are from.
        start: number of the first image in the file.
        collection: takes the crops.
        normaliser: makes crops of others than 28 x 28.
    """
    part = part_of(entry)
    if planes.shape[1:] == (SIDE, SIDE):
        collection.add(normaliser.crops_of(planes), digits, part)
        return
    for number, plane in enumerate(planes):
        try:
            crop = normaliser.of_plane(plane, f"{entry.name}: image {start + number}")
        except InvalidInputError as error:
            collection.report(error.message)
        else:
            collection.add(crop[np.newaxis], digits[number : number + 1], part)
        yield


def read_header(file: IO[bytes], name: str, magic: int = IMAGES) -> tuple[int, ...]:
    """Return the sizes in a header: of images their count, height and width.

    Raises:
        InvalidInputError: it is no such header, or images are too large.
    """
    dimensions = magic & 0xFF
    head = file.read(4 * (1 + dimensions))
    if len(head) < 4 * (1 + dimensions) or struct.unpack(">I", head[:4])[0] != magic:
        kind = "images" if magic == IMAGES else "labels"
        raise InvalidInputError(f"{name} is not an IDX file of {kind}: it does not begin with {magic:#010x}")
    sizes: tuple[int, ...] = struct.unpack(f">{dimensions}I", head[4:])
    if not all(0 < side <= _MOST_SIDE for side in sizes[1:]):
        raise InvalidInputError(f"{name} has images of {sizes[1]} x {sizes[2]}; expected 28 x 28")
    return sizes


def read_items(file: IO[bytes], shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """Return the next items of a file.

    Raises:
        InvalidInputError: there are fewer.
    """
    wanted = int(np.prod(shape))
    data = file.read(wanted)
    if len(data) < wanted:
        raise InvalidInputError(f"{name} is cut off: it is shorter than its header says")
    return np.frombuffer(data, np.uint8).reshape(shape)
