"""Pictures of digits, of any size and kind, as crops the way MNIST's are."""

import io
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from services.errors import InvalidImagesError, TooLargeError

SIDE: Final = 28
_BOX: Final = 20
_MOST_PIXELS: Final = 40_000_000
_FORMATS: Final = ("PNG", "JPEG")
_INK: Final = 0.35
"""Part of the largest brightness from which on a pixel counts as ink when the digit's box is sought."""


def read_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """A PNG or JPEG as one crop, `(28, 28)`, 0..255, bright on dark.

    A picture of 28 x 28 that is bright on dark is taken as it is. Any other is turned grey, inverted when it is
    dark on light, cut to the digit, scaled so that the digit fits 20 x 20, and placed with its centre of mass in
    the middle. Source: how MNIST was made, LeCun et al., "The MNIST database of handwritten digits".

    Raises:
        InvalidImagesError: it is no PNG or JPEG, is damaged, or shows nothing.
        TooLargeError: it has too many pixels.
    """
    grey = _open_grey(content, name)
    ink = grey.astype(np.float32)
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    dark_on_light = float(np.median(border)) > (float(ink.min()) + float(ink.max())) / 2
    if grey.shape == (SIDE, SIDE) and not dark_on_light:
        return grey
    if dark_on_light:
        ink = 255.0 - ink
    return _centre(_cut(ink - float(np.median(ink)), name))


def _open_grey(content: bytes, name: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture: Image.Image = Image.open(io.BytesIO(content), formats=_FORMATS)
            width, height = picture.size
            if width * height > _MOST_PIXELS:
                raise TooLargeError(
                    f"{name} has {width} x {height} pixels; send at most {_MOST_PIXELS // 10**6} million pixels"
                )
            picture = ImageOps.exif_transpose(picture)
            if "A" in picture.getbands() or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                paper = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(paper, picture)
            if picture.mode.startswith(("I", "F")):
                return _from_deep(np.asarray(picture, np.float32))
            return np.asarray(picture.convert("L"))
    except UnidentifiedImageError:
        raise InvalidImagesError(f"{name} is not a PNG or JPEG picture") from None
    except Image.DecompressionBombError:
        raise TooLargeError(
            f"{name} has too many pixels; send at most {_MOST_PIXELS // 10**6} million"
        ) from None
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidImagesError(f"{name} is damaged and cannot be read: {error}") from None


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
