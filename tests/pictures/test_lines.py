"""Several digits of one picture, from left to right."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hxserve_pictures.digit import NotOneDigitError
from hxserve_pictures.lines import find_digits
from hxserve_pictures.parts import Box

Picture = NDArray[np.uint8]
SHAPES = (
    [(0.0, 0.0), (1.0, 0.0), (0.4, 1.0)],  # a seven
    [(0.8, 0.0), (0.0, 0.6), (1.0, 0.6)],  # the left of a four
    [(0.5, 0.0), (0.5, 1.0)],  # a one
)


def _line(count: int, height: int, *, gap: float = 0.4, slope: float = 0.0) -> tuple[Picture, list[Box]]:
    """Digits side by side on white paper, and their boxes."""
    width = round(0.6 * height)
    pitch = round(width + gap * height)
    picture = np.full((3 * height, pitch * count + 2 * height), 250, np.uint8)
    boxes = []
    for place in range(count):
        left, top = height + place * pitch, height + round(slope * place * pitch)
        points = np.array([(left + width * x, top + height * y) for x, y in SHAPES[place % len(SHAPES)]])
        cv2.polylines(picture, [np.rint(points).astype(np.int32)], False, 20, max(2, height // 8))
        low, high = points.min(0), points.max(0)
        boxes.append((int(low[0]), int(low[1]), int(high[0]), int(high[1])))
    return picture, boxes


def _is_near(one: Box, other: Box, distance: float) -> bool:
    return bool(np.abs(np.subtract(one, other)).max() <= distance)


@pytest.mark.parametrize("height", [14, 40, 150])
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_digits_are_found_from_left_to_right(count: int, height: int) -> None:
    picture, boxes = _line(count, height)

    digits = find_digits(picture)

    assert len(digits) == count
    assert all(
        _is_near(found.box, box, 3 + 0.2 * height) for found, box in zip(digits, boxes, strict=True)
    ), ([found.box for found in digits], boxes)
    assert all(found.crop.shape == (28, 28) and found.crop.max() > 200 for found in digits)


def test_digits_are_found_in_light_ink_under_uneven_light_and_on_a_slope() -> None:
    picture, boxes = _line(5, 60, slope=0.05)
    lit = (picture * np.linspace(1, 0.5, picture.shape[1])).astype(np.uint8)

    for tones in (lit, 255 - picture):
        assert len(find_digits(tones)) == len(boxes)


def test_a_frame_about_the_picture_does_not_shift_the_boxes() -> None:
    picture, boxes = _line(3, 50)
    framed = cv2.copyMakeBorder(picture, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)

    digits = find_digits(framed)

    assert all(
        _is_near(found.box, tuple(np.add(box, 2)), 12) for found, box in zip(digits, boxes, strict=True)
    )


def test_several_lines_are_refused() -> None:
    picture, _ = _line(4, 50)

    with pytest.raises(NotOneDigitError, match="on several lines"):
        find_digits(np.vstack([picture, picture]))


@pytest.mark.parametrize("tone", [0, 130, 255])
def test_a_blank_picture_has_no_digits(tone: int) -> None:
    with pytest.raises(NotOneDigitError, match="shows no digit"):
        find_digits(np.full((100, 300), tone, np.uint8))
