"""Crops of what is no digit, to learn from: letters in OpenCV's fonts, scribbles, patches, spoilt digits."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_pictures.crops import make_crop

Crop = NDArray[np.uint8]
Random = np.random.Generator
_SIDE: Final = 120
_FONTS: Final = tuple(range(8))
LIKE_DIGITS: Final = frozenset("OoIliSsZzbqg")
"""Letters that have a digit's shape."""
LETTERS: Final = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_MARKS: Final = tuple("!?#$%&@+=*/<>{}[]();:^~")
_MIRRORED: Final = (2, 3, 4, 5, 6, 7, 9)
_TURNED: Final = (2, 3, 4, 5, 7)
"""Digits that are none when mirrored, or turned by a right angle."""


def crop_of(picture: Crop) -> Crop | None:
    """Return the crop of bright ink; None if there is hardly any."""
    left, top, width, height = cv2.boundingRect((picture > 60).astype(np.uint8))
    if width * height < 30:
        return None
    ink = np.ascontiguousarray(picture[top : top + height, left : left + width])
    return make_crop(ink, np.ones_like(ink), 255.0)


def warped(picture: Crop, random: Random, amount: float = 1.0) -> Crop:
    """Turn, slant and stretch a picture a little."""
    turn, lean, wide, high = random.normal(0, [0.12 * amount, 0.15 * amount, 0.12 * amount, 0.12 * amount])
    matrix = np.array(
        [[np.exp(wide) * np.cos(turn), lean - np.sin(turn)], [np.sin(turn), np.exp(high) * np.cos(turn)]]
    )
    middle = np.array(picture.shape[::-1]) / 2
    shape = picture.shape[1], picture.shape[0]
    result: Crop = cv2.warpAffine(picture, np.column_stack([matrix, middle - matrix @ middle]), shape)
    return result


def glyph(character: str, random: Random) -> Crop:
    """Draw a character in one of OpenCV's fonts, with a thin or thick pen."""
    picture = np.zeros((_SIDE, _SIDE), np.uint8)
    font, thickness = int(random.choice(_FONTS)), int(random.integers(2, 13))
    scale = 4.0 if font == cv2.FONT_HERSHEY_PLAIN else 2.2
    font |= cv2.FONT_ITALIC if random.random() < 0.25 else 0
    (width, height), _ = cv2.getTextSize(character, font, scale, thickness)
    at = _SIDE // 2 - width // 2, _SIDE // 2 + height // 2
    cv2.putText(picture, character, at, font, scale, 255, thickness, cv2.LINE_AA)
    return warped(picture, random)


def curve(points: NDArray[np.float64], smoothing: int) -> NDArray[np.int32]:
    """Return points of a line through `points` (n, 2), rounded over a number of places."""
    places = np.linspace(0, len(points) - 1, 160)
    kernel = np.ones(smoothing) / smoothing
    lines = [np.interp(places, np.arange(len(points)), points[:, axis]) for axis in (0, 1)]
    smooth = [np.convolve(np.pad(line, smoothing // 2, mode="edge"), kernel, "valid") for line in lines]
    return np.stack(smooth, 1).astype(np.int32)


def _curve(random: Random, points: int, *, closed: bool) -> NDArray[np.int32]:
    chosen = random.uniform(15, _SIDE - 15, (points, 2))
    return curve(np.vstack([chosen, chosen[:1]]) if closed else chosen, int(random.integers(1, 30)) | 1)


def _scribble(random: Random) -> Crop:
    picture = np.zeros((_SIDE, _SIDE), np.uint8)
    thickness = int(random.integers(3, 14))
    for _ in range(random.integers(1, 4)):
        line = _curve(random, int(random.integers(3, 13)), closed=random.random() < 0.3)
        cv2.polylines(picture, [line], False, 255, thickness, cv2.LINE_AA)
    return picture


def _patch(random: Random) -> Crop:
    """Draw filled shapes, as of clothes."""
    picture = np.zeros((_SIDE, _SIDE), np.uint8)
    for _ in range(random.integers(1, 5)):
        tone = int(random.integers(100, 256))
        one, other = random.integers(5, 80, 2).tolist(), random.integers(40, 115, 2).tolist()
        match random.integers(4):
            case 0:
                cv2.rectangle(picture, one, other, tone, -1)
            case 1:
                axes = random.integers(6, 50, 2).tolist()
                cv2.ellipse(picture, other, axes, float(random.uniform(0, 180)), 0, 360, tone, -1)
            case 2:
                corners = random.integers(8, _SIDE - 8, (int(random.integers(3, 8)), 2))
                cv2.fillPoly(picture, [corners.astype(np.int32)], tone)
            case _:
                cv2.fillPoly(picture, [_curve(random, int(random.integers(4, 9)), closed=True)], tone)
    if random.random() < 0.3:
        cloud = cv2.GaussianBlur(random.normal(0, 1, picture.shape), (0, 0), random.uniform(1, 8))
        picture = (picture * np.clip(0.7 + 1.6 * cloud, 0, 1)).astype(np.uint8)
    return picture


def _cloud(random: Random) -> Crop:
    cloud = cv2.GaussianBlur(random.normal(0, 1, (_SIDE, _SIDE)), (0, 0), random.uniform(1, 14))
    cloud = (cloud - cloud.mean()) / cloud.std()
    grey: Crop = (np.clip(cloud - random.uniform(0, 1.2), 0, 1) * 255).astype(np.uint8)
    return grey


def _spoilt(digits: Crop, labels: NDArray[np.int64], random: Random) -> Crop:
    """Mirror, turn, cut or join digits `(n, 28, 28)`."""
    number, other = random.integers(len(digits), size=2)
    one, two = digits[number], digits[other]
    if labels[number] in _MIRRORED and random.random() < 0.4:
        return np.ascontiguousarray(one[:, ::-1])
    if labels[number] in _TURNED and random.random() < 0.4:
        return np.ascontiguousarray(np.rot90(one, random.choice([1, 3])))
    match random.integers(4):
        case 0:
            return np.vstack([one[:14], two[14:]])
        case 1:
            return np.hstack([one[:, :14], two[:, 14:]])
        case 2:
            return np.hstack([one[:, 4:24], two[:, 4:24]])
        case _:
            both: Crop = np.maximum(one, np.roll(two, random.integers(-5, 6, 2), (0, 1)))
            return both


def draw(digits: Crop, labels: NDArray[np.int64], random: Random) -> Crop:
    """Draw one crop `(28, 28)` of what is no digit; `digits` `(n, 28, 28)` serve for spoilt ones."""
    letters = [letter for letter in LETTERS if letter not in LIKE_DIGITS]
    makers: list[Callable[[], Crop]] = [
        lambda: glyph(str(random.choice(letters)), random),
        lambda: glyph(str(random.choice(_MARKS)), random),
        lambda: _scribble(random),
        lambda: _patch(random),
        lambda: _cloud(random),
        lambda: _spoilt(digits, labels, random),
    ]
    while True:
        crop = crop_of(makers[random.choice(6, p=[0.45, 0.07, 0.18, 0.14, 0.04, 0.12])]())
        if crop is not None:
            return crop
