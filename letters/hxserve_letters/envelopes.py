"""Envelopes: drawn from a seed, with everything that makes them hard to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_letters.digits import Crops, Digits
from hxserve_letters.directory import Directory
from hxserve_letters.handwriting import (
    PX_PER_MM,
    Hand,
    Matrix,
    Plane,
    choose_glyph,
    stamp,
    write_digit,
    write_words,
)
from hxserve_letters.postcodes import TOWN_BY_REGION
from hxserve_letters.rendering import (
    HEIGHT_PX,
    WIDTH_PX,
    draw_franking,
    draw_paper,
    draw_scratches,
    draw_sender,
    draw_smudges,
    draw_window,
)

_NAMES: Final = (
    "Anna",
    "Jonas",
    "Mia",
    "Paul",
    "Emma",
    "Leon",
    "Lena",
    "Felix",
    "Clara",
    "Max",
    "Sophie",
    "Karl",
)
_SURNAMES: Final = (
    "Weber",
    "Schmidt",
    "Fischer",
    "Meyer",
    "Wagner",
    "Becker",
    "Koch",
    "Richter",
    "Wolf",
    "Krause",
)
_STREETS: Final = (
    "Hauptstr.",
    "Bahnhofstr.",
    "Gartenweg",
    "Schulstr.",
    "Lindenallee",
    "Marktplatz",
    "Bergstr.",
)
_ASCII: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Letter:
    """An envelope as the camera sees it.

    Attributes:
        number: which letter of its seed.
        postcode: as written.
        picture: (440, 880) uint8, dark on bright, 4 px per mm.
        boxes: (5, 4, 2) corners (x, y) of the digits in px: for judging, never for reading.
    """

    number: int
    postcode: str
    picture: Plane
    boxes: NDArray[np.float64]


class Writer:
    """Draws the letters of a seed; each depends on the seed and its number only."""

    def __init__(self, digits: Digits, directory: Directory, seed: int) -> None:
        self._by_digit: list[Crops] = digits.by_digit()
        self._directory = directory
        self._seed = seed

    def draw(self, number: int) -> Letter:
        """Draw the letter of this number."""
        random = np.random.default_rng((self._seed, number))
        postcode = self._directory.draw(random)
        hand = Hand.draw(random)
        left, top = random.uniform(88, 108) * PX_PER_MM, random.uniform(48, 56) * PX_PER_MM
        paper = draw_paper(random)
        if random.random() < 0.3:
            draw_window(paper, random, int(left - 44 - 30 * random.random()), int(top - 40))
        written, surroundings = (np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8) for _ in range(2))
        boxes = self._write_address(written, random, hand, hand.block(left, top), postcode)
        middle = (float(boxes[..., 0].mean()), float(boxes[..., 1].mean()))
        draw_franking(surroundings, random)
        draw_sender(surroundings, random)
        draw_scratches(surroundings, random, middle)
        draw_smudges(surroundings, random, middle)
        picture = _print(paper, surroundings, random.uniform(30, 90))
        picture = _print(picture, written, random.uniform(20, 60) + random.exponential(12))
        if random.random() < 0.3:
            picture = cv2.GaussianBlur(picture, (3, 3), random.uniform(0.4, 0.9))
        return Letter(number, postcode, picture, boxes)

    def _write_address(
        self, ink: Plane, random: np.random.Generator, hand: Hand, block: Matrix, postcode: str
    ) -> NDArray[np.float64]:
        """Name, street with its number, postcode with its town; the corners of the postcode's digits."""
        pitch = max(hand.height * random.uniform(1.45, 1.75), 9.5 * PX_PER_MM)
        first, surname, street = (_choose(words, random) for words in (_NAMES, _SURNAMES, _STREETS))
        write_words(ink, block, f"{first} {surname}", (0.0, 0.0), hand)
        x = write_words(ink, block, street, (random.normal(0, 3), pitch), hand) + 0.5 * hand.height
        for digit in str(random.integers(1, 150)):
            width, _ = write_digit(
                ink, block, choose_glyph(self._by_digit, digit, random), (x, pitch), hand, random
            )
            x += width + 0.12 * hand.height
        boxes = []
        x = float(random.normal(0, 4))
        for digit in postcode:
            at = (x, 2 * pitch + random.normal(0, 0.03) * hand.height)
            width, corners = write_digit(
                ink, block, choose_glyph(self._by_digit, digit, random), at, hand, random
            )
            boxes.append(corners)
            x += width + (hand.spacing + random.normal(0, 0.03)) * hand.height
        town = TOWN_BY_REGION[postcode[:2]].translate(_ASCII)
        write_words(ink, block, town, (x + random.uniform(0.55, 1.0) * hand.height, 2 * pitch), hand)
        if random.random() < 0.1:
            self._rule(ink, random, block, pitch)
        return np.stack(boxes)

    @staticmethod
    def _rule(ink: Plane, random: np.random.Generator, block: Matrix, pitch: float) -> None:
        """Draw lines to write on, some through the feet of the digits."""
        strength = int(random.uniform(60, 140))
        patch = np.zeros((3, int(75 * PX_PER_MM)), np.uint8)
        patch[1] = strength
        offset = random.uniform(-2, 6)
        for row in range(3):
            stamp(ink, patch, block @ np.array([[1, 0, -10], [0, 1, row * pitch + offset], [0, 0, 1.0]]))


def _print(paper: Plane, ink: Plane, tone: float) -> Plane:
    """Print ink of a grey tone on paper, where the ink (0..255) is."""
    cover = cv2.subtract(paper, np.full_like(paper, int(min(tone, 140))))
    printed: Plane = cv2.subtract(paper, cv2.multiply(cover, ink, scale=1 / 255))
    return printed


def _choose(words: tuple[str, ...], random: np.random.Generator) -> str:
    return words[int(random.integers(len(words)))]
