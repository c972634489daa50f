"""Pictures of test digits as people send them, made by seed: one function for each kind of picture."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]
"""Tones 0..255, or the coverage of ink 0..1, `(height, width)`."""
Random = np.random.Generator
Draw = Callable[[NDArray[np.uint8], Random], bytes]
"""Function from an MNIST image `(28, 28)`, bright on dark, to the content of a picture file."""

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


def png(tones: NDArray[Any], mode: str | None = None, **options: Any) -> bytes:
    """Return tones as a PNG file."""
    return _file(_image(tones, mode), "PNG", **options)


def jpeg(tones: NDArray[Any], quality: int = 85) -> bytes:
    """Return tones as a JPEG file."""
    return _file(_image(tones), "JPEG", quality=quality)


def _image(tones: NDArray[Any], mode: str | None = None) -> Image.Image:
    picture = Image.fromarray(np.rint(tones).clip(0, 255).astype(np.uint8))
    return picture if mode is None else picture.convert(mode)


def _file(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def ink_of(digit: NDArray[np.uint8], height: float, width_change: float = 0.0) -> Plane:
    """Return the coverage of a digit's ink, its box of 20 px scaled to `height` px, without empty margins.

    Args:
        digit: an MNIST image.
        height: length of the digit's longer side in px.
        width_change: change of the strokes' width on either side, as a part of `height`.
    """
    factor = height / 20
    size = max(1, round(28 * factor))
    large = cv2.resize(digit.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), max(0.3 * factor, 0.1))
    if width_change:
        radius = max(1, round(abs(width_change) * height))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        large = cv2.dilate(large, disk) if width_change > 0 else cv2.erode(large, disk)
    softness = 24 * max(1.0, factor / 4)
    ink = 1 / (1 + np.exp(-(large - 110).clip(-200, 200) / softness * 2))
    ink = np.where(ink > 0.02, ink, 0).astype(np.float32)
    rows, columns = np.flatnonzero((ink > 0.2).any(1)), np.flatnonzero((ink > 0.2).any(0))
    if not len(rows):
        return ink_of(digit, height)
    cut: Plane = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cut


def place(ink: Plane, size: tuple[int, int], at: tuple[float, float] = (0.5, 0.5)) -> Plane:
    """Place ink on an empty plane of `size` (height, width); `at` is the middle as a part of the free room."""
    plane = np.zeros(size, np.float32)
    height, width = min(ink.shape[0], size[0]), min(ink.shape[1], size[1])
    top, left = round((size[0] - height) * at[0]), round((size[1] - width) * at[1])
    plane[top : top + height, left : left + width] = ink[:height, :width]
    return plane


def _paint(ink: Plane, pen: float | Plane, paper: float | Plane) -> Plane:
    tones: Plane = (paper + (pen - paper) * ink).astype(np.float32)
    return tones


def _noise(shape: tuple[int, ...], sigma: float, random: Random) -> Plane:
    return random.normal(0, sigma, shape).astype(np.float32)


def _somewhere(random: Random, spread: float = 0.25) -> tuple[float, float]:
    return float(random.uniform(0.5 - spread, 0.5 + spread)), float(
        random.uniform(0.5 - spread, 0.5 + spread)
    )


def _crop(digit: NDArray[np.uint8], _random: Random) -> bytes:
    return png(digit)


def _page(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(_paint(place(ink_of(digit, random.uniform(120, 220)), (280, 280), _somewhere(random)), 0, 255))


def _inverted(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(_paint(place(ink_of(digit, random.uniform(120, 220)), (280, 280), _somewhere(random)), 255, 0))


def _coloured_ink(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(120, 220)), (280, 280), _somewhere(random))
    pen = random.choice([(20, 40, 160), (190, 20, 30), (10, 120, 40), (110, 30, 130)])
    return png(_paint(ink[..., np.newaxis], np.asarray(pen, np.float32), 250))


def _chalk(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(180, 300)), (480, 640), _somewhere(random))
    ink = ink * random.uniform(0.65, 1.0, ink.shape).astype(np.float32)
    board = cv2.GaussianBlur(_noise(ink.shape, 40, random), (0, 0), 12) + 45
    return jpeg(_paint(cv2.GaussianBlur(ink, (0, 0), 1), 215, board) + _noise(ink.shape, 4, random))


def _low_contrast(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(120, 220)), (280, 280), _somewhere(random))
    return png(_paint(ink, 170, 205))


def _thin_pen(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(_paint(place(ink_of(digit, 200, -0.022), (280, 280), _somewhere(random)), 10, 250))


def _thick_pen(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(_paint(place(ink_of(digit, 200, 0.018), (280, 280), _somewhere(random)), 10, 250))


def _small_on_page(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(50, 80)), (1000, 800), _somewhere(random, 0.4))
    return png(_paint(ink, 30, 245))


def _small_in_12_megapixels(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(260, 500)), (4000, 3000), _somewhere(random, 0.4))
    tones = _paint(ink, 40, 205)
    tones += np.tile(_noise((500, 500), 3, random), (8, 6))
    return jpeg(tones, 80)


def _tight(digit: NDArray[np.uint8], random: Random) -> bytes:
    return png(_paint(np.pad(ink_of(digit, 160), int(random.integers(0, 4))), 20, 250))


def _jpeg_q5(digit: NDArray[np.uint8], random: Random) -> bytes:
    return jpeg(
        _paint(place(ink_of(digit, random.uniform(120, 220)), (280, 280), _somewhere(random)), 0, 255), 5
    )


def _photo(digit: NDArray[np.uint8], random: Random, spread: float = 0.2) -> Plane:
    """Return the tones of an evenly lit photo of a digit on paper, without noise."""
    return _paint(
        place(ink_of(digit, random.uniform(170, 230)), (640, 480), _somewhere(random, spread)), 35, 205
    )


def _taken(tones: Plane, random: Random) -> bytes:
    """Return tones as a camera keeps them."""
    return jpeg(tones + _noise(tones.shape, 3, random))


def _even_photo(digit: NDArray[np.uint8], random: Random) -> bytes:
    return _taken(_photo(digit, random), random)


def _grid(shape: tuple[int, ...]) -> tuple[Plane, Plane]:
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return rows, columns


def _light(loss: float) -> Draw:
    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        tones = _photo(digit, random)
        rows, columns = _grid(tones.shape)
        angle = random.uniform(0, 2 * np.pi)
        along = np.cos(angle) * columns + np.sin(angle) * rows
        along = (along - along.min()) / (along.max() - along.min())
        return _taken(tones * (1.1 - 1.1 * loss * along), random)

    return draw


def _hand_shadow(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _photo(digit, random)
    rows, columns = _grid(tones.shape)
    angle = random.uniform(0, 2 * np.pi)
    off = np.cos(angle) * (columns - random.uniform(150, 330)) + np.sin(angle) * (
        rows - random.uniform(200, 440)
    )
    return _taken(
        tones * (1 - random.uniform(0.4, 0.55) / (1 + np.exp(-off / random.uniform(4, 14)))), random
    )


def _vignette(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _photo(digit, random)
    rows, columns = _grid(tones.shape)
    radius = np.hypot((rows - 320) / 400, (columns - 240) / 400)
    light = (1.1 - random.uniform(0.6, 0.8) * radius**2).clip(0.15)
    return _taken((tones * light).astype(np.float32), random)


def _glare(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _photo(digit, random)
    rows, columns = _grid(tones.shape)
    row, column = random.uniform(100, 540), random.uniform(80, 400)
    spot = np.exp(-(((rows - row) ** 2 + (columns - column) ** 2) / (2 * random.uniform(50, 90) ** 2)))
    return _taken((tones * 0.8 + random.uniform(60, 100) * spot).astype(np.float32), random)


def _desk_at_one_side(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _photo(digit, random, 0.1)
    width = int(random.uniform(0.06, 0.16) * 480)
    side = random.integers(4)
    area = (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:])[side]
    tones[area] = random.uniform(40, 110)
    return _taken(tones, random)


def _soft_paper_edge(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _photo(digit, random, 0.1)
    rows, columns = _grid(tones.shape)
    side = random.integers(4)
    distance = (rows, 639 - rows, columns, 479 - columns)[side]
    width, softness = random.uniform(0.08, 0.15) * 480, random.uniform(4, 10)
    paper = 1 / (1 + np.exp(-(distance - width) / softness))
    return _taken(_paint(paper, tones, random.uniform(50, 100)), random)


def _paper_on_dark_desk(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _photo(digit, random, 0.06)
    margin = [int(value) for value in random.uniform(30, 90, 4)]
    desk = np.full_like(tones, random.uniform(30, 80))
    inner = np.s_[margin[0] : -margin[1], margin[2] : -margin[3]]
    desk[inner] = tones[inner]
    turn = cv2.getRotationMatrix2D((240, 320), random.uniform(-6, 6), 1.0)
    desk = cv2.warpAffine(desk, turn, (480, 640), borderMode=cv2.BORDER_REPLICATE)
    return _taken(desk, random)


def _scan(digit: NDArray[np.uint8], random: Random) -> Plane:
    return _paint(place(ink_of(digit, random.uniform(160, 260)), (400, 400), _somewhere(random)), 15, 250)


def _one_speck(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _scan(digit, random)
    radius = int(random.integers(1, 5))
    centre = [int(value) for value in random.uniform(8, 392, 2)]
    cv2.circle(tones, centre, radius, 15.0, -1)
    return png(tones)


def _dust(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _scan(digit, random)
    for _ in range(int(random.integers(30, 120))):
        centre = [int(value) for value in random.uniform(2, 398, 2)]
        cv2.circle(tones, centre, int(random.integers(0, 3)), float(random.uniform(20, 140)), -1)
    return png(tones)


def _sensor_noise(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _paint(place(ink_of(digit, random.uniform(150, 230)), (400, 400), _somewhere(random)), 60, 170)
    tones += _noise(tones.shape, random.uniform(18, 30), random)
    hot = random.random(tones.shape) < 0.003
    tones[hot] = random.choice([0.0, 255.0], int(hot.sum()))
    return png(tones)


def _frame(pen: float, paper: float) -> Draw:
    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        tones = _paint(
            place(ink_of(digit, random.uniform(120, 220)), (280, 280), _somewhere(random)), pen, paper
        )
        for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            tones[side] = pen
        return png(tones)

    return draw


def _form_box(digit: NDArray[np.uint8], random: Random) -> bytes:
    tones = _paint(
        place(ink_of(digit, random.uniform(110, 170)), (300, 300), _somewhere(random, 0.1)), 20, 250
    )
    edge = int(random.integers(12, 55))
    thickness = int(random.integers(1, 4))
    cv2.rectangle(
        tones, (edge, edge - 8), (299 - edge, 305 - edge), float(random.uniform(20, 120)), thickness
    )
    return png(tones)


def _neighbours_stroke(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(140, 200)), (300, 300), (0.5, 0.5))
    top, side = int(random.integers(20, 200)), int(random.integers(2))
    ends = (0, top), (int(random.integers(6, 22)), top + int(random.integers(20, 90)))
    stroke = np.zeros_like(ink)
    cv2.line(stroke, ends[0], ends[1], 1.0, int(random.integers(8, 18)))
    ink = np.maximum(ink, stroke if side else stroke[:, ::-1])
    return png(_paint(ink, 20, 250))


def _on_lines(pen: float, lines: tuple[float, float], *, is_graph: bool) -> Draw:
    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        ink = place(ink_of(digit, random.uniform(170, 220)), (400, 400), _somewhere(random))
        paper = np.full(ink.shape, 238, np.float32)
        pitch = int(random.integers(24, 32)) if is_graph else int(random.integers(44, 60))
        start, tone, thickness = (
            int(random.integers(pitch)),
            random.uniform(*lines),
            int(random.integers(1, 3)),
        )
        for offset in range(start, 400, pitch):
            paper[offset : offset + thickness] = tone
            if is_graph:
                paper[:, offset : offset + thickness] = tone
        tones = np.minimum(paper, _paint(ink, pen, 238))
        return jpeg(tones + _noise(ink.shape, 3, random))

    return draw


def _light_on_transparent(digit: NDArray[np.uint8], random: Random) -> bytes:
    ink = place(ink_of(digit, random.uniform(120, 220)), (280, 280), _somewhere(random))
    return png(np.dstack([np.full(ink.shape, tone) for tone in (255, 255, 255)] + [255 * ink]))


def _light_on_transparent_28(digit: NDArray[np.uint8], _random: Random) -> bytes:
    return png(np.dstack([np.full(digit.shape, 255)] * 3 + [digit]))


def _exif(kind: str, mode: str) -> Draw:
    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        ink = place(ink_of(digit, random.uniform(120, 180)), (280, 240), _somewhere(random))
        orientation = int(random.integers(1, 9))
        if mode == "RGBA":
            upright = _image(np.dstack([np.zeros((*ink.shape, 3)), 255 * ink]))
        else:
            upright = _image(_paint(ink, 0, 255), mode)
        stored = upright.transpose(_STORED_AS[orientation]) if orientation > 1 else upright
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        return _file(stored, kind, exif=exif)

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
    "even photo": Kind(_even_photo, 48),
    "coloured ink": Kind(_coloured_ink, 48),
    "chalk": Kind(_chalk, 48),
    "low contrast": Kind(_low_contrast, 48),
    "light ruled lines": Kind(_on_lines(30, (205, 220), is_graph=False), 48),
    "light graph lines": Kind(_on_lines(30, (205, 220), is_graph=True), 48),
    "JPEG of quality 5": Kind(_jpeg_q5, 48),
    "thin pen": Kind(_thin_pen, 48),
    "thick pen": Kind(_thick_pen, 48),
    "small on a page": Kind(_small_on_page, 48),
    "small in 12 megapixels": Kind(_small_in_12_megapixels, 48),
    "tight crop": Kind(_tight, 48),
    "light falls by 45 %": Kind(_light(0.45), 47),
    "light falls by 60 %": Kind(_light(0.60), 47),
    "shadow of a hand": Kind(_hand_shadow, 47),
    "vignette": Kind(_vignette, 47),
    "glare": Kind(_glare, 47),
    "desk at one side": Kind(_desk_at_one_side, 46),
    "soft paper edge": Kind(_soft_paper_edge, 46),
    "paper on a dark desk": Kind(_paper_on_dark_desk, 46),
    "one speck": Kind(_one_speck, 47),
    "dust": Kind(_dust, 47),
    "sensor noise": Kind(_sensor_noise, 47),
    "dark frame": Kind(_frame(0, 255), 47),
    "light frame": Kind(_frame(255, 0), 47),
    "form box": Kind(_form_box, 47),
    "neighbour's stroke": Kind(_neighbours_stroke, 47),
    "pencil on ruled paper": Kind(_on_lines(120, (160, 190), is_graph=False), 45),
    "pencil on graph paper": Kind(_on_lines(120, (160, 190), is_graph=True), 45),
    "pen on dark graph paper": Kind(_on_lines(30, (100, 140), is_graph=True), 45),
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
