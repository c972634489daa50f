"""Pictures of what is no digit, to measure with: letters in the machine's fonts, scribbles, noise, and clothes."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.not_digits import LETTERS, LIKE_DIGITS, curve
from benchmarks.picture_drawing import png

_FONTS: Final = Path("/usr/share/fonts/truetype")
_FACES: Final = (
    "DejaVuSans",
    "DejaVuSerif",
    "LiberationSerif-Italic",
    "LiberationMono-Regular",
    "LiberationSans-Bold",
    "LiberationSansNarrow-Regular",
)
_FASHION: Final = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
"""Fashion-MNIST as Debian's package dataset-fashion-mnist installs it."""
_COUNT: Final = 300


def _letters() -> list[bytes]:
    pictures = []
    for path in sorted(_FONTS.glob("*/*.ttf")):
        if path.stem in _FACES:
            font = ImageFont.truetype(path, 150)
            for letter in LETTERS:
                if letter not in LIKE_DIGITS:
                    page = Image.new("L", (280, 280), 250)
                    ImageDraw.Draw(page).text((140, 140), letter, fill=20, font=font, anchor="mm")
                    pictures.append(png(np.asarray(page)))
    return pictures


def _scribbles() -> list[bytes]:
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(_COUNT):
        page = np.full((280, 280), 250, np.uint8)
        line = curve(random.uniform(40, 240, (random.integers(6, 16), 2)), 21)
        cv2.polylines(page, [line], False, 20, int(random.integers(6, 16)), cv2.LINE_AA)
        pictures.append(png(page))
    return pictures


def _noise() -> list[bytes]:
    random = np.random.default_rng(0)
    pictures = []
    for number in range(_COUNT):
        side = (28, 64, 280)[number % 3]
        noise = random.normal(0, 1, (side, side))
        if number % 2:
            noise = cv2.GaussianBlur(noise, (0, 0), side * random.uniform(0.01, 0.1))
        pictures.append(png(128 + 50 * noise / noise.std()))
    return pictures


def _clothes(*, large: bool) -> Callable[[], list[bytes]]:
    def draw() -> list[bytes]:
        if not _FASHION.exists():
            return []
        images: NDArray[np.uint8] = np.frombuffer(gzip.decompress(_FASHION.read_bytes()), np.uint8, offset=16)
        images = images.reshape(-1, 28, 28)[:_COUNT]
        if not large:
            return [png(image) for image in images]
        sizes = (cv2.resize(np.pad(image, 20), (280, 280), interpolation=cv2.INTER_CUBIC) for image in images)
        return [png(255 - image) for image in sizes]

    return draw


UNLIKE: Final[Mapping[str, Callable[[], list[bytes]]]] = {
    "letters": _letters,
    "scribbles": _scribbles,
    "noise": _noise,
    "clothes, 28 x 28": _clothes(large=False),
    "clothes on a page": _clothes(large=True),
}
"""Functions that draw the pictures of each kind; none where the machine lacks the fonts or the data set."""
