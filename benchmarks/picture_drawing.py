"""Ink on paper as picture files: what the kinds of pictures of the benchmarks are drawn with."""

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]
"""Tones 0..255, or the coverage of ink 0..1, `(height, width)`."""
Random = np.random.Generator
Draw = Callable[[NDArray[np.uint8], Random], bytes]
"""Function from an MNIST image `(28, 28)`, bright on dark, to the content of a picture file."""


def png(tones: NDArray[Any], mode: str | None = None, **options: Any) -> bytes:
    """Return tones as a PNG file."""
    return file(image(tones, mode), "PNG", **options)


def jpeg(tones: NDArray[Any], quality: int = 85) -> bytes:
    """Return tones as a JPEG file."""
    return file(image(tones), "JPEG", quality=quality)


def image(tones: NDArray[Any], mode: str | None = None) -> Image.Image:
    """Return tones as a picture."""
    picture = Image.fromarray(np.rint(tones).clip(0, 255).astype(np.uint8))
    return picture if mode is None else picture.convert(mode)


def file(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def ink_of(digit: NDArray[np.uint8], height: float, width_change: float = 0.0) -> Plane:
    """Return the coverage of a digit's ink, its box of 20 px scaled to `height` px, without empty margins.

    Args:
        digit: an MNIST image.
        height: length of the digit's longer side in px.
        width_change: change of the strokes' width on either side, as a part of `height`.
    """
    factor = height / 20
    size = max(1, round(28 * factor))
    large = cv2.resize(digit.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), max(0.3 * factor, 0.1))
    if width_change:
        radius = max(1, round(abs(width_change) * height))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        large = cv2.dilate(large, disk) if width_change > 0 else cv2.erode(large, disk)
    softness = 24 * max(1.0, factor / 4)
    ink = 1 / (1 + np.exp(-(large - 110).clip(-200, 200) / softness * 2))
    ink = np.where(ink > 0.02, ink, 0).astype(np.float32)
    rows, columns = np.flatnonzero((ink > 0.2).any(1)), np.flatnonzero((ink > 0.2).any(0))
    if not len(rows):
        return ink_of(digit, height)
    cut: Plane = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cut


def place(ink: Plane, size: tuple[int, int], at: tuple[float, float] = (0.5, 0.5)) -> Plane:
    """Place ink on an empty plane of `size` (height, width); `at` is the middle as a part of the free room."""
    plane = np.zeros(size, np.float32)
    height, width = min(ink.shape[0], size[0]), min(ink.shape[1], size[1])
    top, left = round((size[0] - height) * at[0]), round((size[1] - width) * at[1])
    plane[top : top + height, left : left + width] = ink[:height, :width]
    return plane


def paint(ink: Plane, pen: float | Plane, paper: float | Plane) -> Plane:
    """Return the tones of ink on paper."""
    tones: Plane = (paper + (pen - paper) * ink).astype(np.float32)
    return tones


def noise(shape: tuple[int, ...], sigma: float, random: Random) -> Plane:
    """Return noise of a standard deviation."""
    return random.normal(0, sigma, shape).astype(np.float32)


def somewhere(random: Random, spread: float = 0.25) -> tuple[float, float]:
    """Return a random place, about the middle."""
    return float(random.uniform(0.5 - spread, 0.5 + spread)), float(
        random.uniform(0.5 - spread, 0.5 + spread)
    )
