"""Conversion of pictures of digits, of any size and colour, to crops like those of MNIST."""

import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from services.errors import InvalidImagesError, TooLargeError

SIDE: Final = 28
_DIGIT_SIDE: Final = 20
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
_INK: Final = 0.35
"""Threshold for ink in the search for the digit's box, as a part of the largest brightness."""


def read_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """Convert a picture to one crop, see `read_images`."""
    [crop] = read_images([(content, name)])
    return crop


def read_images(pictures: Iterable[tuple[bytes, str]]) -> Iterator[NDArray[np.uint8]]:
    """Convert files of `MEDIA_TYPES` to crops, `(28, 28)`, 0..255, bright on dark.

    A picture of 28 x 28 that is bright on dark stays as it is. Any other is converted to grey, inverted if it is
    dark on light, cut to the digit, scaled so that the digit fits 20 x 20, and placed with its centre of mass in
    the middle. Source: how MNIST was made, LeCun et al., "The MNIST database of handwritten digits".

    Each content comes with its name in messages.

    Raises:
        InvalidImagesError: a picture is of another format, is damaged, or is blank.
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
            grey = np.asarray(ImageOps.exif_transpose(_small_grey(picture)))
        yield _crop_of(grey, name)


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
    white = _white_of(picture)
    width, height = picture.size
    factor = math.ceil(max(width, height) / _MAX_SIDE)
    if factor == 1:
        return _grey(picture, white)
    small = Image.new("L", (math.ceil(width / factor), math.ceil(height / factor)))
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
    """Convert a picture to 8-bit grey, transparent parts to white."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture).convert("L")
    if picture.mode.startswith(("I", "F")):
        deep = Image.fromarray(_from_16_bit(np.asarray(picture, np.float32), white))
        deep.info = picture.info
        return deep
    return picture.convert("L")


def _crop_of(grey: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Convert a grey picture to a crop."""
    ink = grey.astype(np.float32)
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    dark_on_light = float(np.median(border)) > (float(ink.min()) + float(ink.max())) / 2
    if grey.shape == (SIDE, SIDE) and not dark_on_light:
        return grey
    if dark_on_light:
        ink = 255.0 - ink
    return _centre(_cut(ink - float(np.median(ink)), name))


def _from_16_bit(values: NDArray[np.float32], white: float) -> NDArray[np.uint8]:
    """Convert grey of more than 8 bits to 8-bit grey."""
    scaled: NDArray[np.uint8] = np.rint(values * (255.0 / white)).clip(0, 255).astype(np.uint8)
    return scaled


def _cut(ink: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Cut out the smallest box around the ink and scale the brightest ink to 255."""
    ink = ink.clip(min=0.0)
    brightest = float(ink.max())
    if brightest < 16:
        raise InvalidImagesError(f"{name} shows no digit: all of it has nearly the same tone")
    strong = ink > _INK * brightest
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cut: NDArray[np.float32] = box * (255.0 / brightest)
    return cut


def _centre(digit: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale a digit to fit 20 x 20 and place its centre of mass in the middle of 28 x 28."""
    height, width = digit.shape
    scale = _DIGIT_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(
        Image.fromarray(digit.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.LANCZOS),
        np.float32,
    )
    small *= 255.0 / max(1.0, float(small.max()))
    mass = float(small.sum())
    rows, columns = np.indices(small.shape, np.float32)
    top = round(SIDE / 2 - 0.5 - float((rows * small).sum()) / mass)
    left = round(SIDE / 2 - 0.5 - float((columns * small).sum()) / mass)
    top = min(max(top, 0), SIDE - small.shape[0])
    left = min(max(left, 0), SIDE - small.shape[1])
    crop = np.zeros((SIDE, SIDE), np.uint8)
    crop[top : top + small.shape[0], left : left + small.shape[1]] = small.clip(0, 255).astype(np.uint8)
    return crop
