"""Cutting a line of digits: connected parts, cut where two may touch, and all the ways to join them to digits."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_pictures.crops import make_crop
from hxserve_pictures.ink import Plane
from hxserve_pictures.percentiles import percentiles_of_plane

_USUAL_SLANT: Final = 0.14
"""Tangent of the slant that digits of MNIST have on average: upright ones are read less well."""
_MOST_SHEAR: Final = 0.4
_DIGIT_WIDTH: Final = 0.62
"""Of a digit on average, over its height."""
_WIDEST_DIGIT: Final = 1.35
_NARROWEST_PAIR: Final = 0.8
_FULL_INK: Final = 0.45
_UPRIGHTNESS: Final = 0.8
_LEAST_AREA: Final = 0.02
_MOST_PIECES: Final = 16
_MOST_PIECES_OF_ANY: Final = 64
_MOST_JOINED: Final = 4

_CUT_COST: Final = 1.2
_JOIN_COST: Final = 1.0
_GAP_COST: Final = 6.0
_SHORT_COST: Final = 6.0
_WIDE_COST: Final = 6.0
"""In logarithms: per stroke cut through, joint, gap, lacking height and excess width, lengths over the height."""

Matrix = NDArray[np.float64]
"""A map of the plane, (2, 3)."""


@dataclass(frozen=True, slots=True)
class Line:
    """Digits side by side, as they were found in a picture.

    Attributes:
        ink: (h, w) uint8, how much darker than the ground, 0..255.
        mask: (h, w) uint8, 255 where there is ink of the digits.
        height: of a digit in px.
        to_picture: (2, 3), from the line's coordinates to the picture's.
    """

    ink: Plane
    mask: Plane
    height: float
    to_picture: Matrix


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring pieces `first` to `last` that may be one digit; `cost` is how unlikely their shape makes it."""

    first: int
    last: int
    cost: float


@dataclass(frozen=True, slots=True)
class Cuts:
    """Possible cuts of a line of digits.

    Attributes:
        height: of a digit in px.
        pieces: how many there are, from left to right.
        weights: (pieces,) their share of the ink.
        spans: which neighbouring pieces may be a digit.
        crops: (spans, 28, 28) uint8, as the service reads them.
        boxes: (spans, 4) left, top, right, bottom in px of the upright line.
        to_picture: (2, 3), from these to the picture's.
    """

    height: float
    pieces: int
    weights: tuple[float, ...]
    spans: tuple[Span, ...]
    crops: NDArray[np.uint8]
    boxes: NDArray[np.int64]
    to_picture: Matrix


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces from left to right: `labels` (h, w) has the piece of each pixel (1..n, 0 for none).

    `boxes` are (n, 4) left, top, right, bottom; `parts` say which connected part each piece is of, and
    `cut_ink` how many px of ink the cut to its right goes through, 0 between parts.
    """

    labels: NDArray[np.int32]
    boxes: NDArray[np.int64]
    parts: NDArray[np.int64]
    cut_ink: NDArray[np.float64]


def cut(line: Line, digits: int | None = None) -> Cuts | None:
    """Find the ways to cut a line into so many digits, or any number; None when there are fewer pieces, or far more."""
    ink, mask, upright = _stand_upright(line)
    pieces = _pieces(mask, line.height, digits)
    if pieces is None:
        return None
    count = len(pieces.boxes)
    spans = _spans(pieces, line.height, _stroke(mask))
    crops, boxes = [], []
    for span in spans:
        box = _union(pieces.boxes[span.first : span.last + 1])
        crops.append(_crop(ink, pieces.labels, span, box))
        boxes.append(box)
    areas = np.bincount(pieces.labels.ravel(), minlength=count + 1)[1:]
    weights = tuple((areas / areas.sum()).tolist())
    return Cuts(line.height, count, weights, tuple(spans), np.stack(crops), np.stack(boxes), upright)


def _stand_upright(line: Line) -> tuple[Plane, Plane, Matrix]:
    """Return ink and mask without the common slant, and the map from there to the picture."""
    y, x = np.nonzero(line.mask)
    best, shear = -1.0, 0.0
    for candidate in np.linspace(-_MOST_SHEAR, _MOST_SHEAR, 21):
        columns = np.rint(x + candidate * y).astype(np.int64)
        count = np.bincount(columns - columns.min())
        sharpness = float((count.astype(np.float64) ** 2).sum())
        sharpness *= 1.0 - _UPRIGHTNESS * candidate**2
        if sharpness > best:
            best, shear = sharpness, float(candidate)
    height, width = line.mask.shape
    matrix = np.array([[1.0, shear, max(-shear * height, 0.0)], [0.0, 1.0, 0.0]])
    size = (width + math.ceil(abs(shear) * height) + 1, height)
    ink = cv2.warpAffine(line.ink, matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(line.mask, matrix, size, flags=cv2.INTER_LINEAR)
    back = cv2.invertAffineTransform(matrix)
    to_picture = line.to_picture @ np.vstack([back, [0.0, 0.0, 1.0]])
    # Firmer than where the word was looked for: neighbours come apart.
    [full] = percentiles_of_plane(line.ink, 90, mask=line.mask)
    firm = _FULL_INK * full
    return ink, ((mask > 127) & (ink >= firm)).astype(np.uint8), to_picture


def _crop(ink: Plane, labels: NDArray[np.int32], span: Span, box: NDArray[np.int64]) -> Plane:
    """Make the crop of a span, with the soft edges of its strokes as far as they belong to no other span."""
    area = np.s_[max(box[1] - 1, 0) : box[3] + 1, max(box[0] - 1, 0) : box[2] + 1]
    part = labels[area]
    own = (part > span.first) & (part <= span.last + 1)
    grown = cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8))
    soft = (own | ((grown > 0) & (part == 0))).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(soft)
    inner = np.s_[top : top + height, left : left + width]
    dark, inside = np.ascontiguousarray(ink[area][inner]), np.ascontiguousarray(soft[inner])
    [full] = percentiles_of_plane(dark, 75, mask=inside)
    return make_crop(dark, inside, full, lean=_USUAL_SLANT)


def _stroke(mask: Plane) -> float:
    """Measure the thickness of the strokes, in px: the ink's area over half its outline."""
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8))
    area, outline = int(mask.sum()), int(mask.sum()) - int(inner.sum())
    return max(2.0 * area / max(outline, 1), 1.0)


def _pieces(mask: Plane, height: float, digits: int | None) -> _Pieces | None:
    """Return connected parts, the wide ones cut unless there are all digits already."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    kept = [label for label in range(1, len(stats)) if stats[label, 4] >= _LEAST_AREA * height**2]
    groups = _join_overlapping(kept, stats)
    boxes = [_union(np.stack([_box(stats[label]) for label in group])) for group in groups]
    are_digits = [_looks_like_a_digit(box, height) for box in boxes]
    is_done = sum(are_digits) == digits and all(
        is_digit or _is_small(box, height) for is_digit, box in zip(are_digits, boxes, strict=True)
    )
    found = np.zeros(mask.shape, np.int32)
    all_boxes: list[NDArray[np.int64]] = []
    parts: list[int] = []
    cut_ink: list[float] = []
    for number, (group, box) in enumerate(zip(groups, boxes, strict=True)):
        is_of_group = np.zeros(len(stats), np.bool_)
        is_of_group[group] = True
        whole = is_of_group[labels[box[1] : box[3], box[0] : box[2]]]
        columns = [] if is_done else _columns_to_cut(whole, height)
        edges = [0, *columns, whole.shape[1]]
        for start, end in pairwise(edges):
            piece = whole[:, start:end]
            rows = np.flatnonzero(piece.any(1))
            all_boxes.append(
                np.array([box[0] + start, box[1] + rows[0], box[0] + end, box[1] + rows[-1] + 1])
            )
            found[box[1] : box[3], box[0] + start : box[0] + end][piece] = len(all_boxes)
            parts.append(number)
            cut_ink.append(float(whole[:, end].sum()) if end < whole.shape[1] else 0.0)
    most = _MOST_PIECES if digits else _MOST_PIECES_OF_ANY
    if not (digits or 1) <= len(all_boxes) <= most:
        return None
    return _Pieces(found, np.stack(all_boxes), np.array(parts), np.array(cut_ink))


def _box(stat: NDArray[np.int32]) -> NDArray[np.int64]:
    left, top, width, height = (int(value) for value in stat[:4])
    return np.array([left, top, left + width, top + height])


def _union(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def _looks_like_a_digit(box: NDArray[np.int64], height: float) -> bool:
    return bool(box[3] - box[1] >= 0.4 * height and box[2] - box[0] <= _WIDEST_DIGIT * height)


def _is_small(box: NDArray[np.int64], height: float) -> bool:
    return bool(max(box[3] - box[1], box[2] - box[0]) <= 0.3 * height)


def _join_overlapping(labels: list[int], stats: NDArray[np.int32]) -> list[list[int]]:
    """Join parts one above the other into one digit, such as a five and its roof."""
    groups: list[list[int]] = []
    left = right = -1
    for label in sorted(labels, key=lambda k: (stats[k, 0], k)):
        start, end = int(stats[label, 0]), int(stats[label, 0] + stats[label, 2])
        if groups and min(right, end) - start > 0.6 * min(end - start, right - left):
            groups[-1].append(label)
            right = max(right, end)
        else:
            groups.append([label])
            left, right = start, end
    return groups


def _columns_to_cut(whole: NDArray[np.bool_], height: float) -> list[int]:
    """Return the columns with the least ink of a part that is wide enough for two digits."""
    width = whole.shape[1]
    if width < _NARROWEST_PAIR * height:
        return []
    wanted = max(math.ceil(width / (_DIGIT_WIDTH * height)), 2)
    ink = whole.sum(0).astype(np.float64)
    margin = max(int(0.12 * height), 2)
    columns: list[int] = []
    for place in np.argsort(ink[margin:-margin], kind="stable") + margin:
        if all(abs(place - other) >= 0.2 * height for other in columns):
            columns.append(int(place))
        if len(columns) == wanted:
            break
    return sorted(columns)


def _spans(pieces: _Pieces, height: float, stroke: float) -> list[Span]:
    """Return neighbours that may be one digit: each piece alone, several when they are not too wide together."""
    spans = []
    count = len(pieces.boxes)
    for first in range(count):
        for last in range(first, min(first + _MOST_JOINED, count)):
            box = _union(pieces.boxes[first : last + 1])
            if last == first or box[2] - box[0] <= _WIDEST_DIGIT * height:
                spans.append(Span(first, last, _cost(pieces, first, last, box, height, stroke)))
    return spans


def _cost(
    pieces: _Pieces, first: int, last: int, box: NDArray[np.int64], height: float, stroke: float
) -> float:
    """Compute the penalty, by their shape, for taking these pieces as one digit."""
    cost = _CUT_COST * float(pieces.cut_ink[last]) / stroke
    for place in range(first, last):
        if pieces.parts[place] != pieces.parts[place + 1]:
            gap = float(pieces.boxes[place + 1, 0] - pieces.boxes[place, 2]) / height
            cost += _JOIN_COST + _GAP_COST * max(gap, 0.0)
    tall, wide = (box[3] - box[1]) / height, (box[2] - box[0]) / height
    return cost + _SHORT_COST * max(0.75 - float(tall), 0.0) + _WIDE_COST * max(float(wide) - 0.95, 0.0)
