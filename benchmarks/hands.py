"""Six synthetic hands: the test digits of MNIST as somebody with habits of their own would write them.

A hand distorts every digit in the same way (slant, rotation, width of the strokes, proportions, a bar through the 7, a
long upstroke on the 1), with a little of everyday variation on top. Its digits come from MNIST's test part only, so no
network that learnt MNIST has seen them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.picture_drawing import Plane, Random, ink_of
from hxserve_pictures.crops import centred

_HEIGHT: Final = 80
"""Height in px at which digits are drawn, before they become crops."""
_PEN: Final = 0.1
"""Width of an added stroke, as a part of the height."""


@dataclass(frozen=True, slots=True)
class Hand:
    """The habits of one writer.

    Attributes:
        seed: of the choice of digits and of the everyday variation.
        slant: tangent of the angle to the vertical; positive leans to the right.
        rotation_deg: of the whole writing, clockwise.
        stroke: change of the strokes' width on either side, as a part of the height.
        width: factor of the digits' width.
        bars_seven: True for a 7 with a bar.
        upstroke: length of the upstroke of a 1, as a part of the height.
    """

    seed: int
    slant: float = 0.0
    rotation_deg: float = 0.0
    stroke: float = 0.0
    width: float = 1.0
    bars_seven: bool = False
    upstroke: float = 0.0


HANDS: Final[Mapping[str, Hand]] = {
    "leaning": Hand(seed=1, slant=0.9, bars_seven=True),
    "backward": Hand(seed=2, slant=-0.6, stroke=-0.015, upstroke=0.5),
    "felt pen": Hand(seed=3, slant=0.25, stroke=0.05, width=1.15, bars_seven=True, upstroke=0.5),
    "turned": Hand(seed=4, rotation_deg=32.0, bars_seven=True),
    "uphill": Hand(seed=5, rotation_deg=-28.0, stroke=0.02, upstroke=0.6),
    "wide": Hand(seed=6, slant=0.4, width=1.9, stroke=-0.01, bars_seven=True, upstroke=0.6),
}


@dataclass(frozen=True, slots=True)
class Written:
    """The digits of a hand: some to learn from, the others to measure with.

    Images are `(n, 28, 28)` uint8, bright on dark; labels `(n,)` uint8, 0..9.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def write(
    hand: Hand, digits: NDArray[np.uint8], labels: NDArray[np.int64], *, examples: int = 5, others: int = 40
) -> Written:
    """Write `examples` crops of each digit to learn from, and `others` to measure with.

    Args:
        hand: the writer.
        digits: `(n, 28, 28)`, of MNIST's test part.
        labels: `(n,)`, 0..9.
        examples: for each digit.
        others: for each digit.
    """
    random = np.random.default_rng(hand.seed)
    images: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]] = [], []
    for digit in range(10):
        chosen = random.permutation(
            _alike(digits, np.flatnonzero(labels == digit), examples + others, random)
        )
        for place, which in enumerate(chosen):
            images[place >= examples].append(_crop(hand, digits[which], digit, random))
    train, test = (np.stack(part) for part in images)
    train_labels, test_labels = (
        np.repeat(np.arange(10, dtype=np.uint8), len(part) // 10) for part in (train, test)
    )
    return Written(train, train_labels, test, test_labels)


def _alike(
    digits: NDArray[np.uint8], places: NDArray[np.intp], count: int, random: Random
) -> NDArray[np.intp]:
    """Return the places of `count` digits that are alike: a random one and its nearest neighbours, blurred."""
    blurred = np.stack([cv2.GaussianBlur(digits[place], (0, 0), 1.5) for place in places]).astype(np.float32)
    model = random.integers(len(places))
    distances = ((blurred - blurred[model]) ** 2).sum((1, 2))
    return places[np.argsort(distances, kind="stable")[:count]]


def _crop(hand: Hand, image: NDArray[np.uint8], digit: int, random: Random) -> NDArray[np.uint8]:
    """Return one digit as the hand writes it, `(28, 28)`."""
    ink = ink_of(image, _HEIGHT, hand.stroke * random.uniform(0.8, 1.2))
    margin = _HEIGHT // 2
    ink = np.pad(ink, margin)
    pen = max(2, round((_PEN + hand.stroke) * _HEIGHT))
    if digit == 7 and hand.bars_seven:
        _bar(ink, margin, pen, random)
    if digit == 1 and hand.upstroke:
        _upstroke(ink, margin, pen, hand.upstroke * random.uniform(0.85, 1.15))
    angle = np.radians(hand.rotation_deg + random.normal(0, 3))
    slant = hand.slant + random.normal(0, 0.05)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[hand.width * random.uniform(0.95, 1.05), -slant], [0.0, 1.0]])
    height, width = ink.shape
    side = round(2.2 * max(height, width))
    middle = np.array([width / 2, height / 2])
    whole = np.column_stack([matrix, np.array([side / 2, side / 2]) - matrix @ middle])
    written = cv2.warpAffine(ink, whole, (side, side), flags=cv2.INTER_LINEAR)
    crop: NDArray[np.uint8] = centred((255 * written).clip(0, 255).astype(np.uint8))
    return crop


def _bar(ink: Plane, margin: int, pen: int, random: Random) -> None:
    """Draw the bar of a 7, across its stem a little below the middle."""
    row = margin + round(_HEIGHT * random.uniform(0.5, 0.6))
    stem = round(float(np.average(np.arange(ink.shape[1]), weights=ink[row] + 1e-6)))
    reach = round(_HEIGHT * random.uniform(0.22, 0.28))
    cv2.line(ink, (stem - reach, row + 2), (stem + reach, row - 2), 1.0, pen, cv2.LINE_AA)


def _upstroke(ink: Plane, margin: int, pen: int, length: float) -> None:
    """Draw the upstroke of a 1, from the left up to its top."""
    top = margin + pen // 2
    column = round(float(np.average(np.arange(ink.shape[1]), weights=ink[top] + 1e-6)))
    low = round(column - 0.6 * length * _HEIGHT), round(top + 0.8 * length * _HEIGHT)
    cv2.line(ink, low, (column, top), 1.0, pen, cv2.LINE_AA)
