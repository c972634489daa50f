"""Pictures of digits, of any size and kind, as crops the way MNIST's are."""

import io
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from services.errors import InvalidImagesError, TooLargeError

SIDE: Final = 28
_BOX: Final = 20
_MOST_PIXELS: Final = 16_000_000
"""Of one picture: a telephone's photograph of 12 million passes."""
_MOST_PIXELS_PER_REQUEST: Final = 64_000_000
_LIMITS: Final = (
    f"send at most {_MOST_PIXELS // 10**6} million pixels per picture "
    f"and {_MOST_PIXELS_PER_REQUEST // 10**6} million per request"
)
_LONGEST_SIDE: Final = 1024
"""Pixels to which a large picture is reduced before the digit is sought. Half of it would do for a digit that fills
the picture, but blurs one in a corner."""
_STRIP_ROWS: Final = 16
_FORMATS: Final = ("PNG", "JPEG")
_INK: Final = 0.35
"""Part of the largest brightness from which on a pixel counts as ink when the digit's box is sought."""


def read_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """A PNG or JPEG as one crop; see `read_images`."""
    [crop] = read_images([(content, name)])
    return crop


def read_images(pictures: Iterable[tuple[bytes, str]]) -> Iterator[NDArray[np.uint8]]:
    """PNG or JPEG contents, each with its name, as crops, `(28, 28)`, 0..255, bright on dark.

    A picture of 28 x 28 that is bright on dark is taken as it is. Any other is turned grey, inverted when it is
    dark on light, cut to the digit, scaled so that the digit fits 20 x 20, and placed with its centre of mass in
    the middle. Source: how MNIST was made, LeCun et al., "The MNIST database of handwritten digits".

    Raises:
        InvalidImagesError: one is no PNG or JPEG, is damaged, or shows nothing.
        TooLargeError: one has too many pixels, or all together have; its header says so, it is not decoded.
    """
    pixels = 0
    for content, name in pictures:
        with _readable(name):
            picture = Image.open(io.BytesIO(content), formats=_FORMATS)
            width, height = picture.size
            pixels += width * height
            if width * height > _MOST_PIXELS:
                raise TooLargeError(f"{name} has {width} x {height} pixels; {_LIMITS}")
            if pixels > _MOST_PIXELS_PER_REQUEST:
                raise TooLargeError(f"with {name} the request has {pixels} pixels; {_LIMITS}")
            grey = np.asarray(ImageOps.exif_transpose(_small_grey(picture)))
        yield _crop_of(grey, name)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Says of what cannot be read why, in our errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError:
        raise InvalidImagesError(f"{name} is not a PNG or JPEG picture") from None
    except Image.DecompressionBombError:
        raise TooLargeError(f"{name} has too many pixels; {_LIMITS}") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidImagesError(f"{name} is damaged and cannot be read: {error}") from None


def _small_grey(picture: Image.Image) -> Image.Image:
    """A picture in grey, made smaller by a whole number if it is large, not yet turned.

    A large one never exists twice: a JPEG is decoded small, and other pictures are reduced strip by strip.
    """
    longest = max(picture.size)
    if longest > _LONGEST_SIDE:
        width, height = (max(1, side * _LONGEST_SIDE // longest) for side in picture.size)
        picture.draft("L", (width, height))
    width, height = picture.size
    factor = math.ceil(max(width, height) / _LONGEST_SIDE)
    if factor == 1:
        return _grey(picture)
    small = Image.new("L", (math.ceil(width / factor), math.ceil(height / factor)))
    for top in range(0, height, _STRIP_ROWS * factor):
        strip = picture.crop((0, top, width, min(top + _STRIP_ROWS * factor, height)))
        small.paste(_grey(strip).reduce(factor), (0, top // factor))
    small.info = picture.info
    return small


def _grey(picture: Image.Image) -> Image.Image:
    """A picture in 8-bit grey, on white paper where it is transparent."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture).convert("L")
    if picture.mode.startswith(("I", "F")):
        deep = Image.fromarray(_from_deep(np.asarray(picture, np.float32)))
        deep.info = picture.info
        return deep
    return picture.convert("L")


def _crop_of(grey: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """A grey picture as a crop."""
    ink = grey.astype(np.float32)
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    dark_on_light = float(np.median(border)) > (float(ink.min()) + float(ink.max())) / 2
    if grey.shape == (SIDE, SIDE) and not dark_on_light:
        return grey
    if dark_on_light:
        ink = 255.0 - ink
    return _centre(_cut(ink - float(np.median(ink)), name))


def _from_deep(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """16-bit grey as 8-bit grey."""
    scaled: NDArray[np.uint8] = (values * (255.0 / 65535.0)).clip(0, 255).astype(np.uint8)
    return scaled


def _cut(ink: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """The smallest box around the ink, with the paper's tone taken away and the brightest ink at 255."""
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
    """A digit scaled to fit 20 x 20, its centre of mass in the middle of 28 x 28."""
    height, width = digit.shape
    scale = _BOX / max(height, width)
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
