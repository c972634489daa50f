"""Connected parts of ink, and those that make up one digit."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from api.pictures.ink import SMALL, Plane

_LEAST_SIDE: Final = 0.03
_LEAST_AREA: Final = 0.0002
_MOST_PARTS: Final = 400

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px."""


@dataclass(frozen=True, slots=True)
class Part:
    """A connected part of the ink, larger than a speck.

    Attributes:
        label: in the picture's labels.
        box: where it is.
        area: in px.
        at_edge: it touches the picture's edge.
    """

    label: int
    box: Box
    area: int
    at_edge: bool

    @property
    def size(self) -> int:
        """The longer side of the box."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def weight(self) -> float:
        """Merit as a digit's largest part."""
        return self.area * math.sqrt(self.size)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a picture's ink.

    Attributes:
        labels: `(height, width)`, 0 where there is no ink.
        found: those that are no specks, the weightiest first.
    """

    labels: NDArray[np.uint16]
    found: tuple[Part, ...]


def find_parts(ink: Plane, threshold: float) -> Parts:
    """Find the connected parts of what is darker than the threshold."""
    height, width = ink.shape
    _, mask = cv2.threshold(ink, threshold, 1, cv2.THRESH_BINARY)
    # OpenCV 5 finds them three times as fast when their labels are short.
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    least_side = max(3.0, _LEAST_SIDE * min(height, width) if min(height, width) > SMALL else 2.0)
    least_area = max(4.0, _LEAST_AREA * height * width)
    sizes = np.maximum(stats[:, 2], stats[:, 3])
    is_speck = (sizes < least_side) | (stats[:, 4] < least_area)
    is_speck[0] = True  # the ground
    labelled = np.flatnonzero(~is_speck)
    if len(labelled) > _MOST_PARTS:
        labelled = labelled[np.argsort(stats[labelled, 4])[-_MOST_PARTS:]]
    found = []
    for label in labelled:
        left, top, wide, high, area = stats[label].tolist()
        at_edge = left == 0 or top == 0 or left + wide == width or top + high == height
        found.append(Part(int(label), (left, top, left + wide, top + high), area, at_edge))
    return Parts(labels, tuple(sorted(found, key=lambda part: -part.weight)))


def digit_of(parts: Parts) -> tuple[Plane, Box] | None:
    """Choose the parts of the digit; their mask and box, or None if there are no parts."""
    inked = [part for part in parts.found if not _is_frame(part, parts.found)] or list(parts.found)
    if not inked:
        return None
    main = _main_part(inked, max(parts.labels.shape))
    members = [main]
    box = main.box
    for _ in range(2):
        for part in inked:
            if part not in members and _belongs(part, main, box):
                members.append(part)
                box = _union(box, part.box)
    left, top, right, bottom = box
    labels = parts.labels[top:bottom, left:right]
    mask = labels == main.label
    for part in members[1:]:
        mask |= labels == part.label
    return mask.astype(np.uint8), box


def _is_frame(part: Part, others: tuple[Part, ...]) -> bool:
    """Return whether a part goes around another one of a digit's size, which no digit does."""
    left, top, right, bottom = part.box
    return any(
        other.box[0] > left
        and other.box[1] > top
        and other.box[2] < right
        and other.box[3] < bottom
        and other.size > 0.15 * part.size
        and other.area > 0.1 * part.area
        for other in others
    )


def _main_part(parts: list[Part], side: int) -> Part:
    """Choose the weightiest part: one away from the edges, unless it is tiny beside one at an edge."""
    inner = next((part for part in parts if not part.at_edge), None)
    outer = next((part for part in parts if part.at_edge), None)
    if inner is None or outer is None:
        return parts[0]
    is_tiny = inner.size < 0.3 * outer.size and inner.size < 0.12 * side
    left, top, right, bottom = outer.box
    is_desk = outer.area > 0.6 * (right - left) * (bottom - top) and outer.size > 0.8 * side
    return outer if is_tiny and not is_desk else inner


def _belongs(part: Part, main: Part, box: Box) -> bool:
    """Return whether a part is another stroke of the digit in a box: a broken stroke, the roof of a five."""
    size = max(box[2] - box[0], box[3] - box[1])
    if part.area < 0.02 * main.area or part.size > 1.1 * size:
        return False
    wide = min(part.box[2], box[2]) - max(part.box[0], box[0])
    high = min(part.box[3], box[3]) - max(part.box[1], box[1])
    gap = math.hypot(min(wide, 0), min(high, 0))
    width, height = part.box[2] - part.box[0], part.box[3] - part.box[1]
    if part.at_edge and not main.at_edge and (gap > 0 or wide * high < 0.7 * width * height):
        return False
    overlap = wide / max(1, min(width, box[2] - box[0]))
    is_broken_off = gap <= 0.12 * size and (overlap > 0.3 or part.size < 0.45 * size)
    is_roof = gap <= 0.25 * size and overlap > 0.6 and part.size < 0.8 * size and part.area > 0.05 * main.area
    return is_broken_off or is_roof


def _union(one: Box, other: Box) -> Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )
