"""Finding the postcode on an envelope: ink from paper, level lines, the last line, its first word."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_letters.handwriting import PX_PER_MM, Plane
from hxserve_pictures.percentiles import percentile_of_few, percentiles_of_plane
from hxserve_pictures.segmentation import Line, Matrix

_ZONE_LEFT: Final = int(70 * PX_PER_MM)
_ZONE_TOP: Final = int(38 * PX_PER_MM)
"""The reading zone: right of the sender's and below the franking zone, by the rules for machine-sorted letters."""

_PAPER_SCALE: Final = 4
_INK_SHARE: Final = 0.35
_MOST_SKEW: Final = math.radians(6.5)
_RULE_PX: Final = 72
_LEAST_LINE: Final = 3.0 * PX_PER_MM
_MOST_CHARACTER: Final = 15.0 * PX_PER_MM
_LEAST_AREA: Final = 10
_LEAST_WORD, _MOST_WORD = 2.0, 6.0
_USUAL_WORD: Final = (3.0, 4.8)
"""Width of five digits over their height."""

Parts = NDArray[np.int32]
"""Connected parts, a row each: left, top, width, height, area in px."""


def find_postcode(picture: Plane) -> Line | None:
    """Find the first word of the address's last line, made level; None when there is no address in the reading zone."""
    zone = picture[_ZONE_TOP:, _ZONE_LEFT:]
    ink = _ink_of(zone)
    least = _threshold(ink)
    _, mask = cv2.threshold(ink, least, 255, cv2.THRESH_BINARY)
    level = _level(mask)
    ink = cv2.warpAffine(ink, level, zone.shape[::-1], flags=cv2.INTER_LINEAR)
    _, mask = cv2.threshold(ink, least, 255, cv2.THRESH_BINARY)
    mask = _without_rules(mask)
    labels, parts = _parts(mask)
    line = _last_line(parts)
    word = None if line is None else _first_word(parts, line)
    if word is None:
        return None
    height = percentile_of_few(parts[word, 3], 75)
    left, top = np.maximum(parts[word, :2].min(0) - 2, 0)
    right, bottom = (parts[word, :2] + parts[word, 2:4]).max(0) + 2
    is_chosen = np.zeros(len(parts), np.uint8)
    is_chosen[word] = 255
    back = cv2.invertAffineTransform(level)
    back[:, 2] += back[:, :2] @ (left, top) + (_ZONE_LEFT, _ZONE_TOP)
    return Line(
        np.ascontiguousarray(ink[top:bottom, left:right]),
        is_chosen[labels[top:bottom, left:right]],
        height,
        back,
    )


def _ink_of(zone: Plane) -> Plane:
    """Measure how much darker each pixel is than the paper around it; areas wider than a stroke count as paper."""
    height, width = zone.shape
    small = cv2.resize(zone, (width // _PAPER_SCALE, height // _PAPER_SCALE), interpolation=cv2.INTER_AREA)
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    paper = cv2.resize(cv2.blur(paper, (5, 5)), (width, height), interpolation=cv2.INTER_LINEAR)
    ink: Plane = cv2.subtract(paper, zone)
    return ink


def _threshold(ink: Plane) -> float:
    """Return the value from which on a pixel is ink: a share of the darkest writing, above the paper's grain."""
    grain, darkest = percentiles_of_plane(np.ascontiguousarray(ink[::2, ::2]), 75, 99.3)
    return max(_INK_SHARE * darkest, 2.5 * grain + 6)


def _level(mask: Plane) -> Matrix:
    """Find the rotation of the zone after which lines of text are level, (2, 3)."""
    y, x = np.nonzero(mask[::2, ::2])
    middle = (mask.shape[1] / 2, mask.shape[0] / 2)
    steep = _sharpest(y - x.mean() * 0, x, np.linspace(-_MOST_SKEW, _MOST_SKEW, 27)) if len(x) else 0.0
    matrix: Matrix = cv2.getRotationMatrix2D(middle, math.degrees(steep), 1.0)
    return matrix


def _sharpest(along: NDArray[np.int64], across: NDArray[np.int64], angles: NDArray[np.float64]) -> float:
    """Find the angle by which the points must be sheared to fall onto the fewest rows."""
    best, best_angle = -1.0, 0.0
    for angle in angles:
        rows = np.rint(along - math.tan(angle) * across).astype(np.int64)
        count = np.bincount(rows - rows.min())
        sharpness = float((count.astype(np.float64) ** 2).sum())
        if sharpness > best:
            best, best_angle = sharpness, float(angle)
    return best_angle


def _without_rules(mask: Plane) -> Plane:
    """Take out long level lines, and close the gaps that this leaves in strokes across them."""
    # Made thicker first, because a line that is not quite level climbs from row to row.
    thick = cv2.dilate(mask, np.ones((3, 1), np.uint8))
    rules = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, _RULE_PX), np.uint8))
    if not rules.any():
        return mask
    rest = cv2.subtract(mask, cv2.dilate(rules, np.ones((1, 5), np.uint8)))
    closed = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((8, 1), np.uint8))
    whole: Plane = cv2.bitwise_or(rest, cv2.bitwise_and(closed, mask))
    return whole


def _parts(mask: Plane) -> tuple[NDArray[np.uint16], Parts]:
    """Label connected parts; the background is label 0."""
    # OpenCV 5 finds them three times as fast when their labels are short, which suffices for a quarter of a million px.
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    return labels, stats.astype(np.int32, copy=False)


def _last_line(parts: Parts) -> NDArray[np.int64] | None:
    """Return the labels in the lowest line of text."""
    candidates = np.flatnonzero(
        (parts[:, 4] >= _LEAST_AREA) & (parts[:, 3] <= _MOST_CHARACTER) & (parts[:, 2] <= 4 * _MOST_CHARACTER)
    )
    candidates = candidates[candidates > 0]
    tall = candidates[parts[candidates, 3] >= _LEAST_LINE]
    if len(tall) < 3:
        return None
    middles = parts[:, 1] + parts[:, 3] / 2
    reach = 0.5 * percentile_of_few(parts[tall, 3], 50)
    order = tall[np.argsort(middles[tall])]
    breaks = np.flatnonzero(np.diff(middles[order]) > reach) + 1
    lines = [line for line in np.split(order, breaks) if _is_text(parts, line)]
    if not lines:
        return None
    last = lines[-1]
    top = percentile_of_few(parts[last, 1], 25)
    bottom = percentile_of_few(parts[last, 1] + parts[last, 3], 75)
    near: NDArray[np.int64] = candidates[(middles[candidates] > top - 4) & (middles[candidates] < bottom + 4)]
    return near


def _is_text(parts: Parts, line: NDArray[np.int64]) -> bool:
    """Return whether there are several characters side by side."""
    right = (parts[line, 0] + parts[line, 2]).max()
    return len(line) >= 3 and right - parts[line, 0].min() >= 4 * percentile_of_few(parts[line, 3], 50)


def _first_word(parts: Parts, line: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the labels of the line's first word that is as long as a postcode."""
    height = percentile_of_few(parts[line, 3], 75)
    line = line[_may_be_written(parts[line], height)]
    if not len(line):
        return None
    line = line[np.argsort(parts[line, 0])]
    line = line[int(np.argmax(parts[line, 3] >= 0.4 * height)) :]
    ends = np.maximum.accumulate(parts[line, 0] + parts[line, 2])
    gaps = parts[line[1:], 0] - ends[:-1]
    widths = ends[:-1] - parts[line[0], 0]
    possible = (widths >= _LEAST_WORD * height) & (widths <= _MOST_WORD * height)
    if not possible.any():
        return None
    unusual = np.maximum(_USUAL_WORD[0] - widths / height, 0.0) + np.maximum(
        widths / height - _USUAL_WORD[1], 0.0
    )
    merit = np.where(possible, gaps / height - 0.5 * unusual, -np.inf)
    word: NDArray[np.int64] = line[: int(np.argmax(merit)) + 1]
    return word


def _may_be_written(parts: Parts, height: float) -> NDArray[np.bool_]:
    """Return a mask of the parts that are not remains of ruled lines: low and long, or long and almost empty."""
    wide, tall = parts[:, 2], parts[:, 3]
    is_low = (tall <= 0.25 * height) & (wide >= 2.5 * tall)
    is_thin = (np.maximum(wide, tall) > 0.9 * height) & (parts[:, 4] < 0.13 * wide * tall)
    return ~(is_low | is_thin)
