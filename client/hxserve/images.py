"""Images as they go over the wire: files as they are, arrays as bytes of 28 x 28 crops."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from urllib3.filepost import encode_multipart_formdata

from hxserve.errors import InvalidImagesError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    ImageFile = str | os.PathLike[str] | bytes
    Images = ImageFile | Sequence[ImageFile] | ArrayLike

CROP_BYTES: Final = 28 * 28
CROPS_PER_REQUEST: Final = 10_000
FILES_PER_REQUEST: Final = 256
FILE_BYTES_PER_REQUEST: Final = 24 * 2**20

_NPY: Final = "application/x-npy"
_MAGIC: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"\x93NUMPY": _NPY,
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """The content of one request: its body, and the file each of its crops came from."""

    body: bytes
    media_type: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Picture:
    """One image file as it is."""

    content: bytes
    media_type: str
    source: str


def pack_images(images: Images) -> list[Parcel]:
    """Pack images into requests, in order.

    Args:
        images: one or several paths of pictures (PNG, JPEG, WebP, GIF, BMP, TIFF) or .npy files, or the contents
            of such files; raw crops as bytes, 784 each; or an array of crops, (28, 28), (n, 28, 28),
            (n, 1, 28, 28), (784,) or (n, 784), of integers 0..255 or floats 0..1.

    Raises:
        InvalidImagesError: an image cannot be sent; the message names it and the accepted forms.
    """
    parcels: list[Parcel] = []
    pictures: list[_Picture] = []
    for piece in _pieces(images):
        if isinstance(piece, _Picture):
            pictures.append(piece)
        else:
            parcels += [*_pack_pictures(pictures), piece]
            pictures = []
    parcels += _pack_pictures(pictures)
    if not parcels:
        raise InvalidImagesError("there are no images to classify; give at least one")
    return parcels


def _pieces(images: Any) -> Iterator[_Picture | Parcel]:
    """Yield pictures and parcels of crops, in the order given."""
    match images:
        case bytes() | bytearray() | memoryview():
            yield from _pieces_of_content(bytes(images), "")
        case str() | os.PathLike():
            yield from _pieces_of_content(_read(Path(images)), _shown(images))
        case [bytes() | str() | os.PathLike(), *_]:
            for image in images:
                yield from _pieces(image)
        case []:
            return
        case _:
            from hxserve.arrays import crop_bytes  # noqa: PLC0415 - numpy takes its time

            yield from _crop_parcels(crop_bytes(images, "the array given"), "")


def _shown(path: str | os.PathLike[str]) -> str:
    """Return a path with a replacement character for each byte that is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidImagesError(
            f"{_shown(path)}: {error.strerror or error}; give the path of an image file"
        ) from None


def _pieces_of_content(content: bytes, source: str) -> Iterator[_Picture | Parcel]:
    """Yield the pieces of one file's content; without a source it may also be raw crops."""
    name = source or "the bytes given"
    media_type = _media_type_of(content)
    if media_type == _NPY:
        from hxserve.arrays import crop_bytes, load_npy  # noqa: PLC0415 - numpy takes its time

        yield from _crop_parcels(crop_bytes(load_npy(content, name), name), source)
    elif media_type:
        yield _Picture(content, media_type, source)
    elif source or not content or len(content) % CROP_BYTES:
        expected = "" if source else f", or {CROP_BYTES} bytes per crop"
        raise InvalidImagesError(
            f"{name}: not a PNG, JPEG, WebP, GIF, BMP, TIFF or .npy file ({len(content)} bytes); "
            f"give one of these{expected}"
        )
    else:
        yield from _crop_parcels(content, source)


def _media_type_of(content: bytes) -> str | None:
    """Return the media type of a file's content; None if it is not known."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[:2] == b"BM" and content[2:6] == len(content).to_bytes(4, "little"):
        return "image/bmp"
    return next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)


def _crop_parcels(content: bytes, source: str) -> Iterator[Parcel]:
    step = CROPS_PER_REQUEST * CROP_BYTES
    for start in range(0, len(content), step):
        body = content[start : start + step]
        yield Parcel(body, "application/octet-stream", (source,) * (len(body) // CROP_BYTES))


def _pack_pictures(pictures: Sequence[_Picture]) -> Iterator[Parcel]:
    """Pack pictures into parcels, as many in each as a request may carry."""
    parcel: list[_Picture] = []
    size = 0
    for picture in pictures:
        size += len(picture.content)
        if parcel and (len(parcel) == FILES_PER_REQUEST or size > FILE_BYTES_PER_REQUEST):
            yield _parcel_of(parcel)
            parcel, size = [], len(picture.content)
        parcel.append(picture)
    if parcel:
        yield _parcel_of(parcel)


def _parcel_of(pictures: Sequence[_Picture]) -> Parcel:
    sources = tuple(p.source for p in pictures)
    if len(pictures) == 1:
        return Parcel(pictures[0].content, pictures[0].media_type, sources)
    fields = [
        ("images", (Path(p.source).name or f"image-{i}", p.content, p.media_type))
        for i, p in enumerate(pictures)
    ]
    body, media_type = encode_multipart_formdata(fields)
    return Parcel(body, media_type, sources)
