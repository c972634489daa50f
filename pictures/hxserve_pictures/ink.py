"""Ink and ground of a picture: how much darker, or lighter, each pixel is than the ground about it."""

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
"""Values 0..255, `(height, width)`."""

SMALL: Final = 64
"""Sides in px of a picture from which on it may have noise and lines; a smaller one is somebody's own crop."""
_LARGEST_STROKE: Final = 0.36
"""Of the picture's longer side: what is wider is ground. In a small picture, which digits often fill, twice as much."""
_GROUND_SIDE: Final = 112
_FRAME: Final = 0.02
_FRAME_CONTRAST: Final = 24
_LONG_LINE: Final = 0.45
_THICK_LINE: Final = 0.014
"""Of the picture's shorter side."""
_ROUGH: Final = 0.12
"""Mean distance of a pixel from the median about it, as a part of the contrast."""
_DARKEST_GROUND: Final = 40


@cache
def area(width: int, height: int) -> Plane:
    """Return a rectangle of ones, for morphology."""
    return np.ones((height, width), np.uint8)


def without_frame(tones: Plane) -> tuple[Plane, tuple[int, int]]:
    """Cut off a frame at the picture's edge: lines of one tone, along a whole side, up to 2 % of the picture.

    Returns:
        What is inside, and how far its left upper corner is from the picture's, px.
    """
    height, width = tones.shape
    if min(height, width) < 24:
        return tones, (0, 0)
    deepest = max(1, round(_FRAME * min(height, width)))
    top, bottom = _frame_width(tones, deepest), _frame_width(tones[::-1], deepest)
    left, right = _frame_width(tones.T, deepest), _frame_width(tones.T[::-1], deepest)
    if not (top or bottom or left or right):
        return tones, (0, 0)
    return np.ascontiguousarray(tones[top : height - bottom, left : width - right]), (left, top)


def _frame_width(tones: Plane, deepest: int) -> int:
    """Return the number of rows of a frame above a picture."""
    first = tones[0]
    tone = int(first[len(first) // 2])
    if int(tones[deepest, len(first) // 2]) == tone and int(tones[deepest, len(first) // 3]) == tone:
        return 0
    if np.count_nonzero(cv2.absdiff(first, float(tone)) > _FRAME_CONTRAST) > 0.06 * len(first):
        return 0
    for row in range(1, deepest + 1):
        if np.count_nonzero(cv2.absdiff(tones[row], float(tone)) > _FRAME_CONTRAST) > 0.5 * len(first):
            return row
    return 0


def is_rough(tones: Plane) -> bool:
    """Return whether a small picture, which is not smoothed, is noise."""
    if min(tones.shape) >= SMALL or min(tones.shape) < 3:
        return False
    darkest, lightest, _, _ = cv2.minMaxLoc(tones)
    return bool(cv2.mean(cv2.absdiff(tones, cv2.medianBlur(tones, 3)))[0] > _ROUGH * (lightest - darkest))


def without_noise(tones: Plane) -> tuple[Plane, float]:
    """Smooth a noisy picture; returns the noise that is left, in tones."""
    if min(tones.shape) < SMALL:
        return tones, 0.0
    median = cv2.medianBlur(tones, 3)
    noise = _noise(tones, median)
    if noise <= 1.0:
        return tones, noise
    if noise > 4.0:
        median = cv2.GaussianBlur(median, (0, 0), max(0.8, min(tones.shape) / 200))
    return median, _noise(median, cv2.medianBlur(median, 3))


def _noise(tones: Plane, median: Plane) -> float:
    return 1.5 * float(cv2.mean(cv2.absdiff(tones, median))[0])


def ground_of(tones: Plane) -> Plane:
    """Return the tone of the ground behind dark ink: what is dark and narrower than the widest stroke is closed."""
    height, width = tones.shape
    factor = max(1.0, max(height, width) / _GROUND_SIDE)
    small = tones
    if factor > 1:
        size = max(1, round(width / factor)), max(1, round(height / factor))
        small = cv2.resize(tones, size, interpolation=cv2.INTER_AREA)
    largest = _LARGEST_STROKE if min(height, width) >= SMALL else 2 * _LARGEST_STROKE
    side = max(3, int(largest * max(small.shape)) | 1)
    # The picture goes on a little beyond its edges: a dark corner or desk is ground, a stroke along the edge is not.
    more = side // 4 if min(height, width) >= SMALL else 1
    wider = cv2.copyMakeBorder(small, more, more, more, more, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(wider, cv2.MORPH_CLOSE, area(side, side))
    ground: Plane = closed[more:-more, more:-more]
    if min(small.shape) > 16:
        ground = cv2.blur(ground, (3, 3))
    if factor > 1:
        ground = cv2.resize(ground, (width, height), interpolation=cv2.INTER_LINEAR)
    return ground


def ink_on(tones: Plane, ground: Plane, *, is_dark: bool) -> Plane:
    """Measure the ink: of dark ink the part of the light that it takes, of light ink what it adds; 0..255.

    Both planes are those of dark ink: light ink's are inverted.
    """
    depth: Plane = cv2.subtract(ground, tones)
    if is_dark:
        depth = cv2.divide(depth, cv2.max(ground, float(_DARKEST_GROUND)), scale=255)
    return depth


def without_lines(ink: Plane, least: float) -> Plane:
    """Take out long thin level and upright lines, of ruled or graph paper and of boxes, but not the strokes across."""
    shorter = min(ink.shape)
    if shorter < SMALL:
        return ink
    side = max(3, round(_THICK_LINE * shorter)) + 2
    _, some = cv2.threshold(ink, least, 1, cv2.THRESH_BINARY)
    long = int(_LONG_LINE * shorter)
    gapless = cv2.dilate(some, area(2, 2))
    runs = cv2.morphologyEx(gapless, cv2.MORPH_OPEN, area(long, 1))
    runs |= cv2.morphologyEx(gapless, cv2.MORPH_OPEN, area(1, long))
    if not runs.any():
        return ink
    strokes = cv2.morphologyEx(ink, cv2.MORPH_OPEN, area(side, side))
    _, thin = cv2.threshold(cv2.subtract(ink, strokes), least, 1, cv2.THRESH_BINARY)
    near = area(3, 3)
    lines = cv2.dilate(runs & thin, near)
    lines &= 1 - cv2.dilate(some & (1 - thin), near)
    rest: Plane = cv2.multiply(ink, 1 - lines)
    return rest
