"""Rendering of handwriting: digits from images, words in a font, on one block that is turned and slanted as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_letters.digits import Crops

PX_PER_MM: Final = 4.0
"""Resolution of the camera: 4 px per mm, about 100 dpi."""

Plane = NDArray[np.uint8]
Matrix = NDArray[np.float64]

_GLYPH_HEIGHT_PX: Final = 20.0
"""Digits of MNIST fill a box of 20 px in 28 x 28."""
_FONTS: Final = (
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL | cv2.FONT_ITALIC,
)


@dataclass(frozen=True, slots=True)
class Hand:
    """Handwriting of one person: lengths in px, angles in radians.

    Attributes:
        height: of a digit.
        slant: of the letters against upright; positive leans to the right.
        turn: of the whole block, clockwise.
        spacing: gap between digits over their height; negative lets them touch.
        font: of the words, which are not read.
    """

    height: float
    slant: float
    turn: float
    spacing: float
    font: int

    @classmethod
    def draw(cls, random: np.random.Generator) -> Hand:
        """Draw a random hand."""
        return cls(
            height=random.uniform(6.0, 8.5) * PX_PER_MM,
            slant=math.radians(random.normal(4.0, 6.0)),
            turn=math.radians(float(np.clip(random.normal(0.0, 2.0), -5.0, 5.0))),
            spacing=random.uniform(0.06, 0.28) if random.random() > 0.15 else random.uniform(-0.08, 0.04),
            font=_FONTS[random.integers(len(_FONTS))],
        )

    def block(self, left: float, top: float) -> Matrix:
        """Return the block's coordinates as those of the envelope, (2, 3)."""
        cos, sin, lean = math.cos(self.turn), math.sin(self.turn), math.tan(self.slant)
        return np.array([[cos, -sin - lean * cos, left], [sin, cos - lean * sin, top]])


def write_words(ink: Plane, block: Matrix, text: str, at: tuple[float, float], hand: Hand) -> float:
    """Write words in the hand's font from a point of the block on; the width in px."""
    scale = hand.height / 30.0
    (width, height), below = cv2.getTextSize(text, hand.font, scale, 2)
    patch = np.zeros((height + below + 8, width + 8), np.uint8)
    cv2.putText(patch, text, (4, height + 4), hand.font, scale, 255, 2, cv2.LINE_AA)
    shift = np.array([[1.0, 0.0, at[0] - 4], [0.0, 1.0, at[1] - height - 4]])
    stamp(ink, patch, _chain(block, shift))
    return float(width)


def write_digit(
    ink: Plane, block: Matrix, glyph: Plane, at: tuple[float, float], hand: Hand, random: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    """Write a digit image with its lower left corner at a point of the block.

    Returns:
        Its width in px, and the four corners of its box on the envelope, (4, 2).
    """
    columns = np.flatnonzero(glyph.any(0))
    rows = np.flatnonzero(glyph.any(1))
    scale = hand.height / _GLYPH_HEIGHT_PX * random.uniform(0.92, 1.08)
    left, right, bottom, top = columns[0], columns[-1] + 1, rows[-1] + 1, rows[0]
    place = np.array([[scale, 0.0, at[0] - scale * left], [0.0, scale, at[1] - scale * bottom]])
    matrix = _chain(block, place)
    stamp(ink, glyph, matrix)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    return float(scale * (right - left)), corners @ matrix[:, :2].T + matrix[:, 2]


def choose_glyph(by_digit: list[Crops], digit: str, random: np.random.Generator) -> Plane:
    """Choose a random image of a digit."""
    group = by_digit[int(digit)]
    glyph: Plane = group[random.integers(len(group))]
    return glyph


def stamp(ink: Plane, patch: Plane, matrix: Matrix) -> None:
    """Put a patch onto the ink where the matrix (2, 3) takes it; of two inks the darker one stays."""
    height, width = patch.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ matrix[:, :2].T + matrix[:, 2]
    low = np.maximum(np.floor(corners.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 2, ink.shape[::-1])
    size = high - low
    if (size <= 0).any():
        return
    local = matrix - np.array([[0, 0, low[0]], [0, 0, low[1]]])
    warped = cv2.warpAffine(patch, local, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)
    part = ink[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, warped, out=part)


def _chain(outer: Matrix, inner: Matrix) -> Matrix:
    """Chain two maps: first the inner one, then the outer one."""
    product: Matrix = outer @ np.vstack([inner, [0.0, 0.0, 1.0]])
    return product
