"""Images as they go over the wire: files as they are, arrays as bytes of 28 x 28 crops."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from urllib3.filepost import encode_multipart_formdata

from hxserve.errors import InvalidImagesError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from PIL.Image import Image as PillowImage

    Picture = str | os.PathLike[str] | bytes | IO[bytes] | PillowImage
    Images = Picture | ArrayLike | Iterable[Picture | ArrayLike]

CROP_BYTES: Final = 28 * 28
CROPS_PER_REQUEST: Final = 10_000
FILES_PER_REQUEST: Final = 256
FILE_BYTES_PER_REQUEST: Final = 24 * 2**20

CROPS: Final = "application/octet-stream"
"""Media type of crops, 784 bytes each."""
THUMBNAILS: Final = 10
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
    """The content of one request: its body, and the file each of its crops came from.

    `pictures` are media types and contents of the first pictures.
    """

    body: bytes
    media_type: str
    sources: tuple[str, ...]
    pictures: tuple[tuple[str, bytes], ...] = ()

    def thumbnails(self) -> tuple[tuple[str, bytes], ...]:
        """Return media type and content of the first pictures or crops."""
        if self.media_type != CROPS:
            return self.pictures
        ends = range(CROP_BYTES, min(len(self.body), THUMBNAILS * CROP_BYTES) + 1, CROP_BYTES)
        return tuple((CROPS, self.body[end - CROP_BYTES : end]) for end in ends)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One image file as it is, or crops one after the other."""

    content: bytes
    media_type: str
    source: str


def pack_images(images: Images) -> list[Parcel]:
    """Pack images into requests, in order.

    Args:
        images: paths of pictures (PNG, JPEG, WebP, GIF, BMP, TIFF) or .npy files, the contents of such files, open
            files, or Pillow's images; raw crops as bytes, 784 each; arrays of crops, (28, 28), (n, 28, 28),
            (n, 1, 28, 28), (784,) or (n, 784), of integers 0..255 or floats 0..1; or any of these one after the other.

    Raises:
        InvalidImagesError: an image cannot be sent; the message names it and the accepted forms.
    """
    parcels: list[Parcel] = []
    for are_crops, group in groupby(_pieces(images), lambda piece: piece.media_type == CROPS):
        pieces = list(group)
        parcels += _pack_crops(pieces) if are_crops else _pack_pictures(pieces)
    if not parcels:
        raise InvalidImagesError("there are no images to classify; give at least one")
    return parcels


def _pieces(images: Any) -> Iterator[_Piece]:
    """Yield pictures and crops, in the order given."""
    if isinstance(images, bytes | bytearray | memoryview):
        yield from _pieces_of_content(bytes(images), "")
    elif isinstance(images, str | os.PathLike):
        yield from _pieces_of_content(_read(Path(images)), _shown(images))
    elif hasattr(images, "read"):
        yield from _pieces_of_content(_read_open(images), _name_of(images))
    elif (pillow := _pillow()) and isinstance(images, pillow.Image):
        yield _Piece(_png_of(images), "image/png", _shown(getattr(images, "filename", "")))
    elif isinstance(images, list | tuple) and any(map(_is_whole, images)):
        for image in images:
            yield from _pieces(image)
    elif isinstance(images, list | tuple) and not images:
        return
    elif isinstance(images, Iterator):
        yield from _pieces(list(images))
    else:
        from hxserve.arrays import crop_bytes  # noqa: PLC0415 - numpy takes its time

        yield _Piece(crop_bytes(images, "the array given"), CROPS, "")


def _is_whole(image: object) -> bool:
    """Return whether an element of a list is an image of its own, no row of numbers or crop of a stack."""
    pillow = _pillow()
    return (
        isinstance(image, str | bytes | bytearray | memoryview | os.PathLike)
        or hasattr(image, "read")
        or (pillow is not None and isinstance(image, pillow.Image))
    )


def _pillow() -> Any:
    """Return Pillow's module of images; None if it was not imported, so that nothing can be one of its images."""
    return sys.modules.get("PIL.Image")


def _png_of(image: PillowImage) -> bytes:
    """Return an image of Pillow's as PNG, turned as its EXIF data say."""
    from PIL import ImageOps  # noqa: PLC0415 there, because the image is

    turned = ImageOps.exif_transpose(image)
    if turned.mode not in {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}:
        turned = turned.convert("RGB")
    file = io.BytesIO()
    turned.save(file, "PNG")
    return file.getvalue()


def _read_open(file: IO[bytes]) -> bytes:
    content = file.read()
    if isinstance(content, bytes):
        return content
    raise InvalidImagesError(f"{_name_of(file) or 'the file given'} is open as text; open it with mode 'rb'")


def _name_of(file: IO[bytes]) -> str:
    name = getattr(file, "name", "")
    return _shown(name) if isinstance(name, str) else ""


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


def _pieces_of_content(content: bytes, source: str) -> Iterator[_Piece]:
    """Yield the piece of one file's content; without a source it may also be raw crops."""
    name = source or "the bytes given"
    media_type = _media_type_of(content)
    if media_type == _NPY:
        from hxserve.arrays import crop_bytes, load_npy  # noqa: PLC0415 - numpy takes its time

        yield _Piece(crop_bytes(load_npy(content, name), name), CROPS, source)
    elif media_type:
        yield _Piece(content, media_type, source)
    elif source or not content or len(content) % CROP_BYTES:
        expected = "" if source else f", or {CROP_BYTES} bytes per crop"
        raise InvalidImagesError(
            f"{name}: not a PNG, JPEG, WebP, GIF, BMP, TIFF or .npy file ({len(content)} bytes); "
            f"give one of these{expected}"
        )
    else:
        yield _Piece(content, CROPS, source)


def _media_type_of(content: bytes) -> str | None:
    """Return the media type of a file's content; None if it is not known."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[:2] == b"BM" and content[2:6] == len(content).to_bytes(4, "little"):
        return "image/bmp"
    return next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)


def _pack_crops(pieces: Sequence[_Piece]) -> Iterator[Parcel]:
    """Pack crops into parcels, as many in each as a request may carry."""
    sources = [piece.source for piece in pieces for _ in range(len(piece.content) // CROP_BYTES)]
    content = pieces[0].content if len(pieces) == 1 else b"".join(piece.content for piece in pieces)
    for start in range(0, len(sources), CROPS_PER_REQUEST):
        end = start + CROPS_PER_REQUEST
        yield Parcel(content[start * CROP_BYTES : end * CROP_BYTES], CROPS, tuple(sources[start:end]))


def _pack_pictures(pictures: Iterable[_Piece]) -> Iterator[Parcel]:
    """Pack pictures into parcels, as many in each as a request may carry."""
    parcel: list[_Piece] = []
    size = 0
    for picture in pictures:
        size += len(picture.content)
        if parcel and (len(parcel) == FILES_PER_REQUEST or size > FILE_BYTES_PER_REQUEST):
            yield _parcel_of(parcel)
            parcel, size = [], len(picture.content)
        parcel.append(picture)
    if parcel:
        yield _parcel_of(parcel)


def _parcel_of(pictures: Sequence[_Piece]) -> Parcel:
    sources = tuple(p.source for p in pictures)
    first = tuple((p.media_type, p.content) for p in pictures[:THUMBNAILS])
    if len(pictures) == 1:
        return Parcel(pictures[0].content, pictures[0].media_type, sources, first)
    fields = [
        ("images", (Path(p.source).name or f"image-{i}", p.content, p.media_type))
        for i, p in enumerate(pictures)
    ]
    body, media_type = encode_multipart_formdata(fields)
    return Parcel(body, media_type, sources, first)
