"""The digit in a picture: ink's connected parts, those of a digit among them, and dark or light ink."""

import math
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from hxserve_pictures.digit import Digit, NotOneDigitError
from hxserve_pictures.ink import (
    SMALL,
    Plane,
    area,
    ground_of,
    ink_on,
    is_rough,
    without_frame,
    without_lines,
    without_noise,
)
from hxserve_pictures.outlines import evenness, is_sheet, sharpness
from hxserve_pictures.parts import Group, digit_of, find_parts

_SIDE: Final = 160
"""Pixels in the longer direction in which the digit is looked for."""
_LEAST_INK: Final = 16.0
_SMALL_DIGIT: Final = 48
"""Pixels; the surroundings of a smaller digit are looked at again, enlarged."""

_LEAST_SHARE: Final = 0.5
_LEAST_EVENNESS: Final = 0.75
_LEAST_AT_EDGE: Final = 0.15
_SHARP: Final = 0.4
"""What touches the edge is a change of light if it is less sharp and takes a smaller part of the picture."""
_MORE_THAN_A_HOLE: Final = 2.0
"""A hole in a digit contrasts with it as the digit does with its ground; ink in a patch of light contrasts more."""
_MANY: Final = 9
_MOST_PIECES: Final = 5
_COUNTABLE: Final = 14
"""Pixels: the marks beside a smaller digit may be dirt as well as digits."""


def find_digit(tones: Plane) -> Digit:
    """Find the digit in a picture.

    Raises:
        NotOneDigitError: there is none, or there are several.
    """
    tones, origin = without_frame(tones)
    digit = digit_about(tones)
    check(digit)
    if digit.others and digit.size >= _COUNTABLE:
        raise NotOneDigitError(
            f"shows {digit.others + 1} digits; send one picture of each, or ask for segment=true (`--segment`)"
        )
    if digit.scale > 1.0 and digit.size < _SMALL_DIGIT:
        left, top, near = surroundings(tones, digit.box, digit.scale, digit.size)
        closer, factor = reduced(near)
        found = digit_in(*without_noise(closer), is_dark=digit.is_dark)
        if found is not None:
            digit = replace(found, origin=(left, top), scale=factor)
    return replace(digit, origin=(digit.origin[0] + origin[0], digit.origin[1] + origin[1]))


def digit_about(tones: Plane) -> Digit:
    """Find the most likely digit, whatever it may be, in a picture that is reduced for it.

    Raises:
        NotOneDigitError: there is no ink, or noise alone.
    """
    if is_rough(tones):
        raise NotOneDigitError("shows no digit: its ink is scattered like noise")
    small, factor = reduced(tones)
    digit = _better(small)
    if digit is None:
        raise NotOneDigitError("shows no digit: all of it has nearly the same tone")
    return digit if factor == 1.0 else replace(digit, scale=factor)


def surroundings(
    tones: Plane, box: tuple[int, int, int, int], factor: float, size: int
) -> tuple[int, int, Plane]:
    """Cut a box, given in a plane reduced by `factor`, with some ground about it out of the picture.

    Returns:
        Left and top in the picture, and what is there.
    """
    margin = round(0.6 * size * factor)
    left, top, right, bottom = (round(edge * factor) for edge in box)
    left, top = max(0, left - margin), max(0, top - margin)
    return left, top, np.ascontiguousarray(tones[top : bottom + margin, left : right + margin])


def check(digit: Digit, most: int = _MANY, least_share: float = _LEAST_SHARE) -> None:
    """Refuse what is no digit, has more than `most` marks of its size in all, or too small a share of the ink.

    Raises:
        NotOneDigitError: the message says what was seen.
    """
    if digit.evenness < _LEAST_EVENNESS:
        raise NotOneDigitError("shows no digit: its ink is scattered like noise")
    if digit.others >= most or digit.pieces > _MOST_PIECES:
        raise NotOneDigitError(
            "shows no single digit but text or many marks; cut out each digit and send it alone"
        )
    if digit.share < least_share:
        raise NotOneDigitError("shows no digit: its ink is scattered like noise")
    if digit.at_edge and digit.sharpness < _SHARP and digit.mask.size < _LEAST_AT_EDGE * digit.ink.size:
        raise NotOneDigitError("shows no digit: there is something at its edge alone")


def reduced(tones: Plane, side: int = _SIDE) -> tuple[Plane, float]:
    """Reduce a picture to `side` px in its longer direction; returns it and the factor, at least 1."""
    factor = max(tones.shape) / side
    if factor <= 1.0:
        return tones, 1.0
    size = max(1, round(tones.shape[1] / factor)), max(1, round(tones.shape[0] / factor))
    return cv2.resize(tones, size, interpolation=cv2.INTER_AREA), factor


def _better(tones: Plane) -> Digit | None:
    """Find the digit in dark or in light ink, whichever has more merit."""
    tones, noise = without_noise(tones)
    darkest, lightest, _, _ = cv2.minMaxLoc(tones)
    border = np.concatenate([tones[0], tones[-1], tones[:, 0], tones[:, -1]])
    border.sort()
    is_dark = float(border[len(border) // 2]) > (darkest + lightest) / 2
    first = digit_in(tones, noise, is_dark=is_dark)
    is_level = int(border[len(border) * 19 // 20]) - int(border[len(border) // 20]) < 40
    if first is not None and (min(tones.shape) < SMALL or (first.is_certain and is_level)):
        return first
    second = digit_in(tones, noise, is_dark=not is_dark)
    if first is None or second is None:
        return first or second
    expected = 1.7 if first.is_certain or not second.is_certain else 1.0
    merits = [expected * first.merit, second.merit]
    for place, (one, other) in enumerate(((first, second), (second, first))):
        is_hole = one.contrast < _MORE_THAN_A_HOLE * other.contrast
        if not other.is_blob and is_hole and _is_within(one.box, other.box):
            merits[place] *= 0.3
    return first if merits[0] >= merits[1] else second


def _is_within(inner: tuple[int, int, int, int], outer: tuple[int, int, int, int]) -> bool:
    """Return whether a box lies in another one, and is smaller."""
    width, height = outer[2] - outer[0], outer[3] - outer[1]
    return (
        inner[0] >= outer[0] - 0.04 * width
        and inner[1] >= outer[1] - 0.04 * height
        and inner[2] <= outer[2] + 0.04 * width
        and inner[3] <= outer[3] + 0.04 * height
        and (inner[2] - inner[0]) * (inner[3] - inner[1]) < 0.92 * width * height
    )


def digit_in(tones: Plane, noise: float, *, is_dark: bool) -> Digit | None:
    """Find the digit in ink of one polarity."""
    if not is_dark:
        tones = cv2.bitwise_not(tones)
    ground = ground_of(tones)
    ink = ink_on(tones, ground, is_dark=is_dark)
    least = max(_LEAST_INK, 3.0 * noise)
    ink = without_lines(ink, least)
    side = max(1, round(0.008 * min(ink.shape)))
    core = cv2.erode(ink, area(side, side)) if side > 1 else ink
    threshold = max(least, 0.4 * float(cv2.minMaxLoc(core)[1]))
    for _ in range(3):
        parts = find_parts(ink, threshold)
        group = digit_of(parts)
        if group is None:
            return None
        mask, box = group.mask, group.box
        strokes = ink[box[1] : box[3], box[0] : box[2]][mask > 0]
        full = float(np.partition(strokes, len(strokes) * 3 // 4)[len(strokes) * 3 // 4])
        if 0.45 * full <= 1.15 * threshold:
            break
        threshold = 0.45 * full
    assert group is not None  # the loop has returned otherwise
    return _judged(tones, ground, ink, group, is_dark, full, threshold)


def _judged(
    tones: Plane,
    ground: Plane,
    ink: Plane,
    group: Group,
    is_dark: bool,
    full: float,
    threshold: float,
) -> Digit:
    mask, box = group.mask, group.box
    left, top, right, bottom = box
    inked = int(cv2.countNonZero(mask))
    here = np.s_[top:bottom, left:right]
    contrast = cv2.mean(ground[here], mask)[0] - cv2.mean(tones[here], mask)[0]
    even = evenness(tones, ground, mask, box)
    sharp = sharpness(ink, mask, box, full)
    solid = is_sheet(mask, inked, tones.size)
    at_edge = left == 0 or top == 0 or right == tones.shape[1] or bottom == tones.shape[0]
    merit = full * math.sqrt(inked) * even**2 * min(1.0, max(0.2, (sharp - 0.1) / 0.15))
    merit *= (0.05 if solid else 1.0) * (0.5 if at_edge else 1.0)
    is_blob = solid or even < 0.8
    is_certain = not is_blob and even > 0.97 and sharp > 0.2 and not at_edge
    return Digit(
        ink,
        mask,
        box,
        is_dark,
        full,
        contrast,
        threshold,
        group.pieces,
        group.others,
        group.share,
        even,
        sharp,
        merit,
        is_certain,
        is_blob,
    )
