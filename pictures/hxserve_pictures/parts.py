"""Connected parts of ink, and those that make up one digit."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_pictures.ink import SMALL, Plane

_LEAST_SIDE: Final = 0.03
_LEAST_AREA: Final = 0.0002
_MOST_PARTS: Final = 400
_MOST_GROWTH: Final = 2.0
"""Of a broken digit over its largest part: letters of a line are no such digit."""

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
        return _side(self.box)

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
        area: of all ink in px, specks included.
    """

    labels: NDArray[np.uint16]
    found: tuple[Part, ...]
    area: int


@dataclass(frozen=True, slots=True)
class Group:
    """The parts that make up a digit.

    Attributes:
        mask: 1 where they are, in their box.
        box: the smallest about all of them.
        pieces: how many they are.
        others: further groups of a digit's size.
        share: the part of all these in the picture's ink, without what lies at the edges and around them.
    """

    mask: Plane
    box: Box
    pieces: int
    others: int
    share: float


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
    return Parts(labels, tuple(sorted(found, key=lambda part: -part.weight)), int(stats[1:, 4].sum()))


def digit_of(parts: Parts) -> Group | None:
    """Choose the parts of the digit; None if there are no parts."""
    inked = [part for part in parts.found if not is_frame(part, parts.found)] or list(parts.found)
    if not inked:
        return None
    main = _main_part(inked, max(parts.labels.shape))
    members = [main]
    box = main.box
    for _ in range(2):
        for part in inked:
            wider = union(box, part.box)
            if part not in members and _belongs(part, main, box) and _side(wider) <= _MOST_GROWTH * main.size:
                members.append(part)
                box = wider
    left, top, right, bottom = box
    labels = parts.labels[top:bottom, left:right]
    mask = labels == main.label
    for part in members[1:]:
        mask |= labels == part.label
    area = sum(part.area for part in members)
    beside = sum(
        part.area for part in parts.found if part not in members and (part.at_edge or part not in inked)
    )
    rest = [part for part in inked if part not in members and (main.at_edge or not part.at_edge)]
    large = [part for part in rest if _is_digit(part, box, area)]
    area += sum(part.area for part in large)
    others = sum(not any(_is_roof(part, other) for other in large[:i]) for i, part in enumerate(large))
    return Group(mask.astype(np.uint8), box, len(members), others, area / max(1, parts.area - beside))


def _is_digit(part: Part, box: Box, area: int) -> bool:
    """Return whether a part away from a digit, whose box and area are given, is as large as it."""
    height = box[3] - box[1]
    own_height = part.box[3] - part.box[1]
    is_as_large = 0.25 * area < part.area < 4 * area and 0.5 * height < own_height < 1.8 * height
    wide = min(part.box[2], box[2]) - max(part.box[0], box[0])
    high = min(part.box[3], box[3]) - max(part.box[1], box[1])
    return is_as_large and (wide < -0.05 * height or high < -0.2 * height)


def _is_roof(part: Part, other: Part) -> bool:
    """Return whether two parts lie one above the other, close together."""
    wide = min(part.box[2], other.box[2]) - max(part.box[0], other.box[0])
    high = min(part.box[3], other.box[3]) - max(part.box[1], other.box[1])
    return (
        wide > 0.6 * min(part.box[2] - part.box[0], other.box[2] - other.box[0]) and high > -0.25 * part.size
    )


def is_frame(part: Part, others: tuple[Part, ...]) -> bool:
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
    size = _side(box)
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


def _side(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def union(one: Box, other: Box) -> Box:
    """Return the smallest box about two."""
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )
