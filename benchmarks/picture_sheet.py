"""`python -m benchmarks.picture_sheet FILE`: the picture of docs/pictures.md, each kind, its reduction and its crop."""

import argparse
import io
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from benchmarks.picture_kinds import KINDS, draw_pictures
from services.images import read_image
from worker.learning.datasets import load_dataset

_COLUMNS: Final = 4
_TILE: Final = (296, 140)
_PICTURE: Final = (100, 112)
_CROP: Final = 84


def draw_sheet(mnist: Path | None) -> Image.Image:
    """Draw one picture of each kind, what reducing it to 28 x 28 gives, and the crop that is made of it."""
    dataset = load_dataset("mnist", mnist) if mnist else load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
    rows = -(-len(KINDS) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _TILE[0], rows * _TILE[1]), "white")
    pen = ImageDraw.Draw(sheet)
    for place, kind in enumerate(KINDS):
        left, top = place % _COLUMNS * _TILE[0], place // _COLUMNS * _TILE[1]
        contents, _ = draw_pictures(kind, digits, labels, _COLUMNS * rows)
        pen.text((left + 4, top + 4), kind, fill="black", font_size=12)
        picture = Image.open(io.BytesIO(contents[place])).convert("RGBA")
        ground = Image.new("RGBA", picture.size, "#8ab")
        shown = ImageOps.contain(Image.alpha_composite(ground, picture).convert("RGB"), _PICTURE)
        sheet.paste(shown, (left + 4, top + 22))
        for column, crop in enumerate((_reduced(contents[place]), read_image(contents[place], kind))):
            tile = Image.fromarray(crop).resize((_CROP, _CROP), Image.Resampling.NEAREST)
            sheet.paste(tile, (left + 110 + column * (_CROP + 6), top + 22))
    return sheet


def _reduced(content: bytes) -> NDArray[np.uint8]:
    """Return a picture in 28 x 28, bright on dark, without any search for the digit."""
    picture = Image.open(io.BytesIO(content)).convert("L").resize((28, 28), Image.Resampling.BOX)
    tones = np.asarray(picture)
    return tones if np.median(tones) < 128 else 255 - tones


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--mnist", type=Path, help="folder that holds MNIST [scikit-learn's digits]")
    options = parser.parse_args()
    draw_sheet(options.mnist).quantize(256).save(options.file, optimize=True)


if __name__ == "__main__":
    main()
