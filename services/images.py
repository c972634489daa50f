"""Conversion of pictures of digits, of any size and colour, to crops like those of MNIST."""

import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hxserve_pictures.crops import is_normalised, normalise
from hxserve_pictures.digit import Digit, NotOneDigitError
from hxserve_pictures.finding import find_digit
from hxserve_pictures.ink import Plane
from hxserve_pictures.lines import WrittenDigit, find_digits
from hxserve_pictures.parts import Box
from services.errors import InvalidImagesError, TooLargeError

_MAX_PIXELS: Final = 16_000_000
"""Limit for one picture; a photo of a phone has about 12 million."""
_MAX_PIXELS_PER_REQUEST: Final = 64_000_000
_LIMITS: Final = (
    f"send at most {_MAX_PIXELS // 10**6} million pixels per picture "
    f"and {_MAX_PIXELS_PER_REQUEST // 10**6} million per request"
)
_MAX_SIDE: Final = 1024
"""Pixels; a larger picture is reduced before the digit is located. Half as many would blur a digit in a corner."""
_STRIP_ROWS: Final = 16
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MEDIA_TYPES: Final = tuple(f"image/{format_.lower()}" for format_ in _FORMATS)
"""Media types of pictures that are read; of several frames the first."""
_UNREAD: Final = {
    "HEIC": re.compile(rb"....ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", re.DOTALL),
    "AVIF": re.compile(rb"....ftypavi", re.DOTALL),
    "SVG": re.compile(rb"\s*<(\?xml|svg)"),
    "PDF": re.compile(rb"%PDF"),
}
"""The beginnings of files that people send as pictures, but that are not read."""
_WHITES: Final = (1.0, 255.0, 1023.0, 4095.0, 16383.0)
"""White in files of 16 bits or more: of floats, and of cameras and scanners with 8, 10, 12 and 14 bits."""
_STEP: Final = 3
"""Every third pixel in both directions tells what tones a picture has."""
_CONTRAST: Final = 64
"""Tones: opaque parts of a picture that differ by more show ink and paper; others are ink alone."""


def read_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """Convert a picture to one crop, see `read_images`."""
    [crop] = read_images([(content, name)])
    return crop


def read_images(pictures: Iterable[tuple[bytes, str]]) -> Iterator[NDArray[np.uint8]]:
    """Convert files of `MEDIA_TYPES` to crops, `(28, 28)`, 0..255, bright on dark.

    A picture of 28 x 28 that is a crop already stays as it is: bright on dark, of the usual size, in the middle. In
    any other the digit is found, and normalised as MNIST's are; see `find_digit` and `normalise`.

    Each content comes with its name in messages.

    Raises:
        InvalidImagesError: a picture is of another format, is damaged, or does not show one digit.
        TooLargeError: a picture, or all together, have too many pixels; the header tells, nothing is decoded.
    """
    for tones in read_tones(pictures):
        digit = tones.find_digit()
        yield tones.plane if digit is None else normalise(digit)


def segment_images(pictures: Iterable[tuple[bytes, str]]) -> Iterator[list[WrittenDigit]]:
    """Convert files of `MEDIA_TYPES` to the digits that stand side by side in each, from left to right.

    Their boxes are in px of the upright picture.

    Raises:
        InvalidImagesError: see `read_images`; several digits are no reason.
        TooLargeError: see `read_images`.
    """
    for tones in read_tones(pictures):
        with _showing_digits(tones.name):
            digits = find_digits(tones.plane)
        yield [replace(digit, box=box_in_picture(digit.box, tones)) for digit in digits]


@dataclass(frozen=True, slots=True)
class Tones:
    """A picture in grey, upright.

    Attributes:
        plane: its tones.
        factor: px of the picture for one of `plane`.
        name: in messages.
    """

    plane: Plane
    factor: float
    name: str

    def find_digit(self) -> Digit | None:
        """Find the digit; None if the picture is a crop already.

        Raises:
            InvalidImagesError: it does not show one digit.
        """
        if is_normalised(self.plane):
            return None
        with _showing_digits(self.name):
            return find_digit(self.plane)


def box_in_picture(box: tuple[float, float, float, float], tones: Tones) -> Box:
    """Return a box of the tones as it is in the picture; it does not reach beyond it."""
    left, top, right, bottom = box
    height, width = tones.plane.shape
    edges = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    left, top, right, bottom = (round(edge * tones.factor) for edge in edges)
    return left, top, right, bottom


def read_tones(pictures: Iterable[tuple[bytes, str]]) -> Iterator[Tones]:
    """Decode files of `MEDIA_TYPES`; each content comes with its name in messages.

    Raises:
        InvalidImagesError: a picture is of another format or is damaged.
        TooLargeError: a picture, or all together, have too many pixels; the header tells, nothing is decoded.
    """
    pixels = 0
    for content, name in pictures:
        with _readable(content, name):
            picture = Image.open(io.BytesIO(content), formats=_FORMATS)
            width, height = picture.size
            pixels += width * height
            if width * height > _MAX_PIXELS:
                raise TooLargeError(f"{name} has {width} x {height} pixels; {_LIMITS}")
            if pixels > _MAX_PIXELS_PER_REQUEST:
                raise TooLargeError(f"with {name} the request has {pixels} pixels; {_LIMITS}")
            plane = _tones_of(ImageOps.exif_transpose(_small_grey(picture)))
        yield Tones(plane, max(width, height) / max(plane.shape), name)


@contextmanager
def _readable(content: bytes, name: str) -> Iterator[None]:
    """Translate Pillow's errors to ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError:
        unread = [format_ for format_, begins in _UNREAD.items() if begins.match(content)]
        found = f"is {unread[0]}, which is not read" if unread else "is not a picture of a known format"
        raise InvalidImagesError(f"{name} {found}; send {', '.join(_FORMATS)}") from None
    except Image.DecompressionBombError:
        raise TooLargeError(f"{name} has too many pixels; {_LIMITS}") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidImagesError(f"{name} is damaged and cannot be read: {error}") from None


def _small_grey(picture: Image.Image) -> Image.Image:
    """Convert a picture to grey and reduce it by a whole factor if it is large, before its rotation.

    Memory never holds a large picture twice: a JPEG is decoded at a smaller size, others are reduced in strips.
    """
    longest = max(picture.size)
    if longest > _MAX_SIDE:
        width, height = (max(1, side * _MAX_SIDE // longest) for side in picture.size)
        picture.draft("L", (width, height))
    picture.load()
    white = _white_of(picture)
    width, height = picture.size
    factor = math.ceil(max(width, height) / _MAX_SIDE)
    if factor == 1:
        small = _grey(picture, white)
    else:
        mode = "La" if picture.has_transparency_data else "L"
        small = Image.new(mode, (math.ceil(width / factor), math.ceil(height / factor)))
        for top in range(0, height, _STRIP_ROWS * factor):
            strip = picture.crop((0, top, width, min(top + _STRIP_ROWS * factor, height)))
            small.paste(_grey(strip, white).reduce(factor), (0, top // factor))
    small.info = picture.info
    return small


def _white_of(picture: Image.Image) -> float:
    """Return the value of white in a picture with more than 8 bits; 255 in others."""
    if not picture.mode.startswith(("I", "F")):
        return 255.0
    _, brightest = picture.getextrema()
    assert isinstance(brightest, int | float)  # one band
    return next((white for white in _WHITES if brightest <= white), 65535.0)


def _grey(picture: Image.Image, white: float) -> Image.Image:
    """Convert a picture to 8-bit grey; with transparency, to grey times opacity, and opacity."""
    if picture.has_transparency_data:
        return picture.convert("RGBA").convert("LA").convert("La")
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_from_16_bit(np.asarray(picture, np.float32), white))
    return picture.convert("L")


def _tones_of(grey: Image.Image) -> Plane:
    """Return the tones of a grey picture, what is transparent of it on paper that shows its ink."""
    tones: Plane = np.asarray(grey)
    if grey.mode == "L":
        return tones
    some = tones[::_STEP, ::_STEP].reshape(-1, 2).astype(np.float32)
    opaque = some[some[:, 1] > 200]
    solid = np.sort(opaque[:, 0] * 255 / opaque[:, 1])
    if len(solid) and solid[len(solid) * 95 // 100] - solid[len(solid) // 20] > _CONTRAST:
        paper = float(solid[len(solid) // 2])
    else:
        paper = 0.0 if 2 * some[:, 0].sum() > some[:, 1].sum() else 255.0
    composed: Plane = tones[..., 0] + ((255 - tones[..., 1]) * np.float32(paper / 255)).astype(np.uint8)
    return composed


@contextmanager
def _showing_digits(name: str) -> Iterator[None]:
    """Translate the refusal of what shows no digit, or several."""
    try:
        yield
    except NotOneDigitError as error:
        raise InvalidImagesError(f"{name} {error}") from None


def _from_16_bit(values: NDArray[np.float32], white: float) -> NDArray[np.uint8]:
    """Convert grey of more than 8 bits to 8-bit grey."""
    scaled: NDArray[np.uint8] = np.rint(values * (255.0 / white)).clip(0, 255).astype(np.uint8)
    return scaled
