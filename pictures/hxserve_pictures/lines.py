"""Several digits of one picture, from left to right: the line they stand on, and its cuts by shape alone."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from hxserve_pictures.digit import Digit, NotOneDigitError
from hxserve_pictures.finding import (
    check,
    digit_about,
    digit_in,
    surroundings,
)
from hxserve_pictures.ink import Plane, without_frame, without_noise
from hxserve_pictures.parts import Box, Part, find_parts, is_frame, union
from hxserve_pictures.segmentation import Cuts, Line, Matrix, cut

_MOST_DIGITS: Final = 32
_LEAST_SHARE: Final = 0.2
"""Of one digit and those well apart from it in the picture's ink; others touch it nearly."""
_DIGIT_PX: Final = 56
"""Height to which larger digits are reduced before they are cut."""
_LEAST_HEIGHT, _MOST_HEIGHT = 0.5, 1.9
"""Of a digit beside another, over its height."""
_LEAST_COMMON: Final = 0.4
"""Part of its height that a digit's rows have in common with those of the line."""
_USUAL_WIDTH: Final = 0.85
_WIDE_COST: Final = 4.0
"""Further penalty for width over a digit's usual one: no reading says here that two are one."""
_SPECK: Final = 0.06
_SPECK_COST: Final = 3.9
"""Penalty for leaving out a piece with at most this share of the ink, as a logarithm."""


@dataclass(frozen=True, slots=True)
class WrittenDigit:
    """One digit of several: its crop `(28, 28)`, and its box in the picture: left, top, right, bottom in px."""

    crop: Plane
    box: Box


def find_digits(tones: Plane) -> list[WrittenDigit]:
    """Find the digits of a picture that stand side by side, from left to right.

    Raises:
        NotOneDigitError: there is none, there are several lines, or there is text.
    """
    tones, (frame_left, frame_top) = without_frame(tones)
    digit = digit_about(tones)
    check(digit, _MOST_DIGITS, _LEAST_SHARE)
    members, height = _line_about(digit)
    factor = digit.scale
    left, top, near = surroundings(tones, _union(members), factor, round(height))
    smaller = max(1.0, height * factor / _DIGIT_PX)
    if smaller > 1.0:
        size = max(1, round(near.shape[1] / smaller)), max(1, round(near.shape[0] / smaller))
        near = cv2.resize(near, size, interpolation=cv2.INTER_AREA)
    closer = digit_in(*without_noise(near), is_dark=digit.is_dark)
    if closer is None:
        raise NotOneDigitError("shows no digit: all of it has nearly the same tone")
    to_picture = np.array([[smaller, 0.0, left + frame_left], [0.0, smaller, top + frame_top]])
    line = _as_line(closer, to_picture)
    cuts = cut(line)
    if cuts is None:
        raise NotOneDigitError("shows text or many marks; send a line of digits alone")
    spans = likeliest(cuts)
    boxes = _boxes(line, cuts, spans)
    return [WrittenDigit(cuts.crops[span], box) for span, box in zip(spans, boxes, strict=True)]


def likeliest(cuts: Cuts) -> list[int]:
    """Return the spans of the likeliest way to cut a line, from left to right, by their shapes alone."""
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    widths = (cuts.boxes[:, 2] - cuts.boxes[:, 0]) / cuts.height
    excess = np.maximum(widths - _USUAL_WIDTH, 0.0).tolist()
    costs = [span.cost + _WIDE_COST * wide for span, wide in zip(cuts.spans, excess, strict=True)]
    for end in range(1, cuts.pieces + 1):
        ways = [
            (best[span.first][0] + costs[number], [*best[span.first][1], number])
            for number, span in enumerate(cuts.spans)
            if span.last + 1 == end
        ]
        if cuts.weights[end - 1] <= _SPECK:
            ways.append((best[end - 1][0] + _SPECK_COST, best[end - 1][1]))
        best.append(min(ways))
    return best[-1][1]


def _line_about(digit: Digit) -> tuple[list[Part], float]:
    """Return the parts on the line of a digit, and the height of its digits in px.

    Raises:
        NotOneDigitError: there are digits above or below.
    """
    parts = find_parts(digit.ink, digit.threshold).found
    _, top, _, bottom = digit.box
    height = bottom - top
    members, heights = [], [height]
    for part in parts:
        if is_frame(part, parts) or (part.at_edge and not digit.at_edge):
            continue
        own = part.box[3] - part.box[1]
        common = min(part.box[3], bottom) - max(part.box[1], top)
        is_as_high = _LEAST_HEIGHT * height <= own <= _MOST_HEIGHT * height
        if common >= _LEAST_COMMON * min(own, height):
            members.append(part)
            if is_as_high:
                heights.append(own)
        elif is_as_high and common < 0 and part.area > 0.25 * cv2.countNonZero(digit.mask):
            raise NotOneDigitError("shows digits on several lines; send each line alone")
    return members, float(np.percentile(heights, 75))


def _as_line(digit: Digit, to_picture: Matrix) -> Line:
    members, height = _line_about(digit)
    labels = find_parts(digit.ink, digit.threshold).labels
    is_member = np.zeros(int(labels.max()) + 1, np.uint8)
    is_member[[part.label for part in members]] = 255
    left, top, right, bottom = _union(members)
    area = np.s_[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1]
    to_picture = to_picture.copy()
    to_picture[:, 2] += to_picture[:, :2] @ (max(0, left - 1), max(0, top - 1))
    return Line(np.ascontiguousarray(digit.ink[area]), is_member[labels[area]], height, to_picture)


def _union(parts: list[Part]) -> Box:
    box = parts[0].box
    for part in parts[1:]:
        box = union(box, part.box)
    return box


def _boxes(line: Line, cuts: Cuts, spans: list[int]) -> list[Box]:
    """Return the boxes of spans in the picture: those of their ink, which leans in the line and not in its cuts."""
    rows, columns = np.nonzero(line.mask)
    there = np.stack([columns, rows], 1) @ line.to_picture[:, :2].T + line.to_picture[:, 2]
    upright = cv2.invertAffineTransform(cuts.to_picture)
    across = there @ upright[0, :2] + upright[0, 2]
    pixel = line.to_picture[0, 0]
    boxes = []
    for span in spans:
        left, _, right, _ = cuts.boxes[span].tolist()
        own = there[(across > left - 1) & (across < right)]
        low, high = own.min(0), own.max(0) + pixel
        boxes.append((math.floor(low[0]), math.floor(low[1]), math.ceil(high[0]), math.ceil(high[1])))
    return boxes
