"""Crops from the body of a request, in every form a client may send them."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from tokenize import TokenError
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from api.crops.doubts import quick_warnings, warnings_of
from hxserve_pictures.crops import SIDE, centred
from hxserve_pictures.likeness import likeness
from services.crops.answers import CROP_BYTES
from services.crops.remarks import NO_REMARKS, Remarks
from services.errors import InvalidImagesError, TooLargeError, UnsupportedMediaError
from services.images import MEDIA_TYPES, read_images, segment_images

RAW_CROPS: Final = "application/octet-stream"
_FORM: Final = "multipart/form-data"
_PICTURES: Final = f"{', '.join(MEDIA_TYPES)}, {_FORM} of pictures"
_FORMS: Final = f"{RAW_CROPS}, application/x-npy, {_PICTURES} or application/json"

_NPY_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_NOT_NPY: Final = (
    *(ValueError, KeyError, EOFError, OverflowError, SyntaxError, TypeError, MemoryError),
    *(RecursionError, TokenError, UserWarning),  # numpy reads a header as Python source
)
"""Exceptions that numpy raises for an invalid header."""


def read_crops(
    body: bytes, content_type: str, most: int, *, centre: bool = False, segment: bool = False
) -> tuple[bytes, Remarks]:
    """Return the crops in a body, (n, 784) bytes, n at least 1, and what there is to say about them.

    Args:
        body: the whole body, not compressed.
        content_type: its media type with parameters; empty for raw crops.
        most: crops that a request may have.
        centre: scale and centre each crop as MNIST's are; pictures always are.
        segment: take each picture for several digits, from left to right.

    Raises:
        InvalidImagesError: the body does not hold what its type says, or raw crops are to be segmented.
        TooLargeError: there are more than `most` crops.
        UnsupportedMediaError: it has another type.
    """
    kind, pictures = RAW_CROPS, None
    if content_type != RAW_CROPS and (content_type or not body):
        kind, pictures = pictures_in(body, content_type, most)
    if pictures is not None:
        crops, remarks = _crops_of(pictures, most, segment=segment)
    else:
        crops, remarks = _given(kind, body, most, centre=centre)
    if len(crops) > most * CROP_BYTES:
        raise too_many(len(crops) // CROP_BYTES, most)
    if pictures is None and segment:
        raise InvalidImagesError(
            "raw crops and arrays hold one digit each; send pictures, or leave out segment"
        )
    if pictures is None and centre:
        crops = b"".join(centred(plane).tobytes() for plane in _planes(crops))
    if pictures is not None or centre:
        likely = tuple(round(likeness(plane), 4) for plane in _planes(crops))
        remarks = replace(remarks, most=likely if min(likely) < 1.0 else ())
    return crops, remarks


def _planes(crops: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(crops, np.uint8).reshape(-1, SIDE, SIDE)


def pictures_in(body: bytes, content_type: str, most: int) -> tuple[str, Iterable[tuple[bytes, str]] | None]:
    """Return the media type of a body by its usual name, and its pictures with their names; None for crops."""
    kind, options = parse_options_header(content_type)
    kind = _SAME_AS.get(kind.lower(), kind.lower())
    if kind == _FORM:
        return kind, _pictures_of_form(body, options, most)
    return kind, [(body, "the image")] if kind in MEDIA_TYPES else None


def _given(kind: str, body: bytes, most: int, *, centre: bool) -> tuple[bytes, Remarks]:
    """Return crops that are sent as such, and warnings about them."""
    if kind == RAW_CROPS:
        crops = check_raw(body)
        warnings = quick_warnings(crops)
    else:
        reader = _ARRAYS.get(kind)
        if reader is None:
            raise UnsupportedMediaError(
                f"a body of type {kind or 'nothing'!r} is not understood; send {_FORMS}"
            )
        crops = reader(body, most)
        warnings = quick_warnings(crops) if centre else warnings_of(crops)
    return crops, Remarks(warnings) if warnings else NO_REMARKS


def _crops_of(pictures: Iterable[tuple[bytes, str]], most: int, *, segment: bool) -> tuple[bytes, Remarks]:
    """Return the crops of pictures, and of segmented ones where each was."""
    if not segment:
        return b"".join(crop.tobytes() for crop in read_images(pictures)), NO_REMARKS
    digits = []
    for number, found in enumerate(segment_images(pictures)):
        digits += [(number, digit) for digit in found]
        if len(digits) > most:
            raise TooLargeError(f"the pictures show more than {most} digits; send fewer per request")
    places = tuple((number, digit.box) for number, digit in digits)
    return b"".join(digit.crop.tobytes() for _, digit in digits), Remarks(places=places)


def too_many(count: int, most: int) -> TooLargeError:
    """Return the refusal of more crops than a request may have."""
    return TooLargeError(f"{count} images are too many; send at most {most} per request")


def check_raw(body: bytes) -> bytes:
    """Return raw crops, (n, 784) bytes, n at least 1.

    Raises:
        InvalidImagesError: they are of another length.
    """
    if not body or len(body) % CROP_BYTES:
        raise InvalidImagesError(
            f"the body has {len(body)} bytes; send {CROP_BYTES} (28 x 28) bytes per image, at least one image"
        )
    return body


def _npy(body: bytes, most: int) -> bytes:
    array = _read_npy(body)
    if array.shape == (SIDE, SIDE):
        array = array[np.newaxis]
    if array.ndim < 2 or array.shape[1:] not in {(SIDE, SIDE), (CROP_BYTES,)} or not len(array):
        raise InvalidImagesError(
            f"the array has shape {array.shape}; expected (n, 28, 28) or (n, 784) with n at least 1"
        )
    if len(array) > most:
        raise too_many(len(array), most)
    if array.dtype == np.uint8:
        if array.max() == 1:
            raise InvalidImagesError(
                "the array holds integers 0 and 1, nearly black as grey values 0..255; multiply by 255, or send floats"
            )
        return np.ascontiguousarray(array).tobytes()
    if array.dtype.kind == "f":
        return bytes_of_unit(array, "the array")
    raise InvalidImagesError(f"the array is of type {array.dtype}; expected uint8 (0..255) or float (0..1)")


def _read_npy(body: bytes) -> NDArray[Any]:
    """Return the array of a .npy file, without a copy; nothing is allocated by what the header says."""
    file = io.BytesIO(body)
    try:
        read_header = _NPY_HEADERS[np.lib.format.read_magic(file)]
        shape, is_fortran, dtype = read_header(file)
        # Numbers only: an array of Python objects raises here, as does one shorter or longer than announced.
        array = np.frombuffer(body, dtype, offset=file.tell())
        return array.reshape(shape, order="F" if is_fortran else "C")
    except _NOT_NPY as error:
        raise InvalidImagesError(f"the body is not a .npy array of numbers: {error}") from None


def _json(body: bytes, most: int) -> bytes:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping) or set(value) != {"images"} or not isinstance(value["images"], list):
        raise InvalidImagesError(
            'the body is not what was expected; send {"images": [...]}, each image 28 rows of 28 numbers 0..1'
        )
    images = value["images"]
    if not images:
        raise InvalidImagesError("there are no images; send at least one")
    if len(images) > most:
        raise too_many(len(images), most)
    return b"".join(_json_image(image, number) for number, image in enumerate(images))


def _json_image(image: Any, number: int) -> bytes:
    try:
        array = np.array(image)
    except (ValueError, OverflowError):
        array = np.empty(0)
    if array.dtype.kind not in "iuf" or array.shape != (SIDE, SIDE):
        found = f"{array.size} values" if array.dtype.kind in "iuf" and array.size else "something else"
        raise InvalidImagesError(f"image {number} holds {found}; expected 28 rows of 28 numbers 0..1")
    return bytes_of_unit(array.astype(np.float64), f"image {number}")


def bytes_of_unit(values: NDArray[Any], name: str) -> bytes:
    """Return numbers 0..1 as bytes 0..255; one half is dark, as it is when rounded half to even.

    Raises:
        InvalidImagesError: some are outside; it calls them by `name`.
    """
    is_inside = (values >= 0) & (values <= 1)
    if not is_inside.all():
        raise InvalidImagesError(f"{name} holds {values[~is_inside][0]!s}; expected numbers from 0 to 1")
    return bytes(np.ceil(values * 255 - 0.5).astype(np.uint8).data)


class _FormDecoder(MultipartDecoder):
    """Decodes forms, also with names of files that are not UTF-8, as old file systems have them."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


def _pictures_of_form(body: bytes, options: Mapping[str, str], most: int) -> Iterator[tuple[bytes, str]]:
    """Return the files of a form, and their names in messages."""
    if not options.get("boundary"):
        raise InvalidImagesError("the body is not multipart/form-data: its Content-Type has no boundary")
    decoder = _FormDecoder(options["boundary"].encode(), max_parts=most)
    files: list[tuple[str, list[bytes]]] = []
    try:
        decoder.receive_data(body)
        decoder.receive_data(None)
        is_file = False
        while not isinstance(event := decoder.next_event(), Epilogue):
            is_file = isinstance(event, File) or (is_file and not isinstance(event, Field))
            if isinstance(event, File):
                files.append((event.filename, []))
            elif is_file and isinstance(event, Data):
                files[-1][1].append(event.data)
    except RequestEntityTooLarge:
        raise TooLargeError(f"the form has more than {most} parts; send at most {most} pictures") from None
    except ValueError as error:
        raise InvalidImagesError(f"the body is not multipart/form-data: {error}") from None
    if not files:
        raise InvalidImagesError("the form has no files; send each picture as a file part")
    return (
        (b"".join(content), f"image {number} ({name or 'unnamed'})")
        for number, (name, content) in enumerate(files)
    )


_SAME_AS: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "application/x-numpy": "application/x-npy",
}
"""Other names that clients have for media types."""

_ARRAYS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "application/x-npy": _npy,
    "application/json": _json,
}

BINARY_FORMS: Final = (RAW_CROPS, "application/x-npy", *MEDIA_TYPES, _FORM)
"""The media types of bodies other than JSON."""
