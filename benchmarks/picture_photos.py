"""Photos of a digit on paper: uneven light, shadows, and what lies beside the paper."""

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.picture_drawing import Draw, Plane, Random, ink_of, jpeg, noise, paint, place, somewhere


def _photo(digit: NDArray[np.uint8], random: Random, spread: float = 0.2) -> Plane:
    """Return the tones of an evenly lit photo of a digit on paper, without noise."""
    return paint(
        place(ink_of(digit, random.uniform(170, 230)), (640, 480), somewhere(random, spread)), 35, 205
    )


def _taken(tones: Plane, random: Random) -> bytes:
    """Return tones as a camera keeps them."""
    return jpeg(tones + noise(tones.shape, 3, random))


def even_photo(digit: NDArray[np.uint8], random: Random) -> bytes:
    """A photo in even light."""
    return _taken(_photo(digit, random), random)


def grid(shape: tuple[int, ...]) -> tuple[Plane, Plane]:
    """Return the row and the column of each pixel."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return rows, columns


def light(loss: float) -> Draw:
    """Light that falls across the page, and loses a part of itself."""

    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        tones = _photo(digit, random)
        rows, columns = grid(tones.shape)
        angle = random.uniform(0, 2 * np.pi)
        along = np.cos(angle) * columns + np.sin(angle) * rows
        along = (along - along.min()) / (along.max() - along.min())
        return _taken(tones * (1.1 - 1.1 * loss * along), random)

    return draw


def hand_shadow(digit: NDArray[np.uint8], random: Random) -> bytes:
    """The shadow of a hand."""
    tones = _photo(digit, random)
    rows, columns = grid(tones.shape)
    angle = random.uniform(0, 2 * np.pi)
    off = np.cos(angle) * (columns - random.uniform(150, 330)) + np.sin(angle) * (
        rows - random.uniform(200, 440)
    )
    return _taken(
        tones * (1 - random.uniform(0.4, 0.55) / (1 + np.exp(-off / random.uniform(4, 14)))), random
    )


def vignette(digit: NDArray[np.uint8], random: Random) -> bytes:
    """Dark corners."""
    tones = _photo(digit, random)
    rows, columns = grid(tones.shape)
    radius = np.hypot((rows - 320) / 400, (columns - 240) / 400)
    light = (1.1 - random.uniform(0.6, 0.8) * radius**2).clip(0.15)
    return _taken((tones * light).astype(np.float32), random)


def glare(digit: NDArray[np.uint8], random: Random) -> bytes:
    """A bright spot."""
    tones = _photo(digit, random)
    rows, columns = grid(tones.shape)
    row, column = random.uniform(100, 540), random.uniform(80, 400)
    spot = np.exp(-(((rows - row) ** 2 + (columns - column) ** 2) / (2 * random.uniform(50, 90) ** 2)))
    return _taken((tones * 0.8 + random.uniform(60, 100) * spot).astype(np.float32), random)


def desk_at_one_side(digit: NDArray[np.uint8], random: Random) -> bytes:
    """A strip of a desk beside the paper."""
    tones = _photo(digit, random, 0.1)
    width = int(random.uniform(0.06, 0.16) * 480)
    side = random.integers(4)
    area = (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:])[side]
    tones[area] = random.uniform(40, 110)
    return _taken(tones, random)


def soft_paper_edge(digit: NDArray[np.uint8], random: Random) -> bytes:
    """The edge of the paper, out of focus."""
    tones = _photo(digit, random, 0.1)
    rows, columns = grid(tones.shape)
    side = random.integers(4)
    distance = (rows, 639 - rows, columns, 479 - columns)[side]
    width, softness = random.uniform(0.08, 0.15) * 480, random.uniform(4, 10)
    paper = 1 / (1 + np.exp(-(distance - width) / softness))
    return _taken(paint(paper, tones, random.uniform(50, 100)), random)


def paper_on_dark_desk(digit: NDArray[np.uint8], random: Random) -> bytes:
    """Paper that lies on a dark desk."""
    tones = _photo(digit, random, 0.06)
    margin = [int(value) for value in random.uniform(30, 90, 4)]
    desk = np.full_like(tones, random.uniform(30, 80))
    inner = np.s_[margin[0] : -margin[1], margin[2] : -margin[3]]
    desk[inner] = tones[inner]
    turn = cv2.getRotationMatrix2D((240, 320), random.uniform(-6, 6), 1.0)
    desk = cv2.warpAffine(desk, turn, (480, 640), borderMode=cv2.BORDER_REPLICATE)
    return _taken(desk, random)
