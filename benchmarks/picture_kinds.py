"""Pictures of test digits as people send them, made by seed: one function for each kind of picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import picture_marks, picture_photos
from benchmarks.picture_drawing import (
    Draw,
    Random,
    file,
    image,
    ink_of,
    jpeg,
    noise,
    paint,
    place,
    png,
    somewhere,
)

_ORIENTATION: Final = 0x0112
_STORED_AS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""Transposition from the upright picture to the stored one, for each value of EXIF's orientation but 1."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of picture.

    Attributes:
        draw: the generator.
        wanted: pictures of 50 that should be read correctly.
    """

    draw: Draw
    wanted: int


def draw_pictures(
    kind: str, digits: NDArray[np.uint8], labels: NDArray[np.int64], count: int, seed: int = 0
) -> tuple[list[bytes], list[int]]:
    """Draw `count` pictures of a kind from random test digits, `(n, 28, 28)`; return files and digits.

    The digits of a seed are the same for all kinds.
    """
    chosen = np.random.default_rng(seed).permutation(len(digits))[:count]
    random = np.random.default_rng([seed, *kind.encode()])
    return [KINDS[kind].draw(digits[i], random) for i in chosen], [int(labels[i]) for i in chosen]


def _crop(digit: NDArray[np.uint8], _random: Random) -> bytes:
    return png(digit)


def _page(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(paint(place(ink_of(digit, random.uniform(120, 220)), (280, 280), somewhere(random)), 0, 255))


def _inverted(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(paint(place(ink_of(digit, random.uniform(120, 220)), (280, 280), somewhere(random)), 255, 0))


def _coloured_ink(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(120, 220)), (280, 280), somewhere(random))
    pen = random.choice([(20, 40, 160), (190, 20, 30), (10, 120, 40), (110, 30, 130)])
    return png(paint(ink[..., np.newaxis], np.asarray(pen, np.float32), 250))


def _chalk(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(180, 300)), (480, 640), somewhere(random))
    ink = ink * random.uniform(0.65, 1.0, ink.shape).astype(np.float32)
    board = cv2.GaussianBlur(noise(ink.shape, 40, random), (0, 0), 12) + 45
    return jpeg(paint(cv2.GaussianBlur(ink, (0, 0), 1), 215, board) + noise(ink.shape, 4, random))


def _low_contrast(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(120, 220)), (280, 280), somewhere(random))
    return png(paint(ink, 170, 205))


def _thin_pen(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(paint(place(ink_of(digit, 200, -0.022), (280, 280), somewhere(random)), 10, 250))


def _thick_pen(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(paint(place(ink_of(digit, 200, 0.018), (280, 280), somewhere(random)), 10, 250))


def _small_on_page(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(50, 80)), (1000, 800), somewhere(random, 0.4))
    return png(paint(ink, 30, 245))


def _small_in_12_megapixels(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(260, 500)), (4000, 3000), somewhere(random, 0.4))
    tones = paint(ink, 40, 205)
    tones += np.tile(noise((500, 500), 3, random), (8, 6))
    return jpeg(tones, 80)


def _tight(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(paint(np.pad(ink_of(digit, 160), int(random.integers(0, 4))), 20, 250))


def _jpeg_q5(digit: NDArray[np.uint8], random: Random) -> bytes:
    return jpeg(
        paint(place(ink_of(digit, random.uniform(120, 220)), (280, 280), somewhere(random)), 0, 255), 5
    )


def _light_on_transparent(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(120, 220)), (280, 280), somewhere(random))
    return png(np.dstack([np.full(ink.shape, tone) for tone in (255, 255, 255)] + [255 * ink]))


def _light_on_transparent_28(digit: NDArray[np.uint8], _random: Random) -> bytes:
    return png(np.dstack([np.full(digit.shape, 255)] * 3 + [digit]))


def _exif(kind: str, mode: str) -> Draw:
    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        ink = place(ink_of(digit, random.uniform(120, 180)), (280, 240), somewhere(random))
        orientation = int(random.integers(1, 9))
        if mode == "RGBA":
            upright = image(np.dstack([np.zeros((*ink.shape, 3)), 255 * ink]))
        else:
            upright = image(paint(ink, 0, 255), mode)
        stored = upright.transpose(_STORED_AS[orientation]) if orientation > 1 else upright
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        return file(stored, kind, exif=exif)

    return draw


def _shifted(digit: NDArray[np.uint8], random: Random) -> bytes:
    rows, columns = random.choice([-4, 0, 4], 2)
    if not (rows or columns):
        rows = 4
    moved = cv2.warpAffine(digit, np.array([[1.0, 0, columns], [0, 1.0, rows]]), (28, 28))
    return png(moved)


def _in_corner(digit: NDArray[np.uint8], random: Random) -> bytes:
    scale = random.uniform(0.55, 0.7)
    right, bottom = random.integers(2, size=2) * (28 - 28 * scale)
    small = np.array([[scale, 0, right], [0, scale, bottom]])
    return png(cv2.warpAffine(digit, small, (28, 28), flags=cv2.INTER_AREA))


def _filling(digit: NDArray[np.uint8], _random: Random) -> bytes:
    rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    box = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = 28 / max(box.shape)
    size = max(1, round(box.shape[1] * scale)), max(1, round(box.shape[0] * scale))
    large = cv2.resize(box.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return png(place(large, (28, 28)))


KINDS: Final[Mapping[str, Kind]] = {
    "28 x 28": Kind(_crop, 48),
    "page": Kind(_page, 48),
    "inverted page": Kind(_inverted, 48),
    "even photo": Kind(picture_photos.even_photo, 48),
    "coloured ink": Kind(_coloured_ink, 48),
    "chalk": Kind(_chalk, 48),
    "low contrast": Kind(_low_contrast, 48),
    "light ruled lines": Kind(picture_marks.on_lines(30, (205, 220), is_graph=False), 48),
    "light graph lines": Kind(picture_marks.on_lines(30, (205, 220), is_graph=True), 48),
    "JPEG of quality 5": Kind(_jpeg_q5, 48),
    "thin pen": Kind(_thin_pen, 48),
    "thick pen": Kind(_thick_pen, 48),
    "small on a page": Kind(_small_on_page, 48),
    "small in 12 megapixels": Kind(_small_in_12_megapixels, 48),
    "tight crop": Kind(_tight, 48),
    "light falls by 45 %": Kind(picture_photos.light(0.45), 47),
    "light falls by 60 %": Kind(picture_photos.light(0.60), 47),
    "shadow of a hand": Kind(picture_photos.hand_shadow, 47),
    "vignette": Kind(picture_photos.vignette, 47),
    "glare": Kind(picture_photos.glare, 47),
    "desk at one side": Kind(picture_photos.desk_at_one_side, 46),
    "soft paper edge": Kind(picture_photos.soft_paper_edge, 46),
    "paper on a dark desk": Kind(picture_photos.paper_on_dark_desk, 46),
    "one speck": Kind(picture_marks.one_speck, 47),
    "dust": Kind(picture_marks.dust, 47),
    "sensor noise": Kind(picture_marks.sensor_noise, 47),
    "dark frame": Kind(picture_marks.frame(0, 255), 47),
    "light frame": Kind(picture_marks.frame(255, 0), 47),
    "form box": Kind(picture_marks.form_box, 47),
    "neighbour's stroke": Kind(picture_marks.neighbours_stroke, 47),
    "pencil on ruled paper": Kind(picture_marks.on_lines(120, (160, 190), is_graph=False), 45),
    "pencil on graph paper": Kind(picture_marks.on_lines(120, (160, 190), is_graph=True), 45),
    "pen on dark graph paper": Kind(picture_marks.on_lines(30, (100, 140), is_graph=True), 45),
    "light ink on transparent": Kind(_light_on_transparent, 48),
    "light ink on transparent 28 x 28": Kind(_light_on_transparent_28, 48),
    "EXIF, JPEG": Kind(_exif("JPEG", "L"), 48),
    "EXIF, PNG": Kind(_exif("PNG", "L"), 48),
    "EXIF, PNG with alpha": Kind(_exif("PNG", "RGBA"), 48),
    "EXIF, PNG with palette": Kind(_exif("PNG", "P"), 48),
    "28 x 28 shifted by 4": Kind(_shifted, 47),
    "28 x 28, small in a corner": Kind(_in_corner, 47),
    "28 x 28, filling the frame": Kind(_filling, 47),
}
"""The kinds by name, clean ones first."""
