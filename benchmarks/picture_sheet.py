"""`python -m benchmarks.picture_sheet FILE`: the picture of docs/pictures.md, each kind of picture beside its crop."""

import argparse
import io
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageOps

from api.images import read_image
from benchmarks.picture_kinds import KINDS, draw_pictures
from worker.learning.datasets import load_dataset

_COLUMNS: Final = 6
_TILE: Final = (200, 140)
_PICTURE: Final = (100, 112)
_CROP: Final = 84


def draw_sheet(mnist: Path | None) -> Image.Image:
    """Draw one picture of each kind, and the crop that is made of it."""
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
        crop = Image.fromarray(read_image(contents[place], kind)).resize(
            (_CROP, _CROP), Image.Resampling.NEAREST
        )
        sheet.paste(crop, (left + 110, top + 22))
    return sheet


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--mnist", type=Path, help="folder that holds MNIST [scikit-learn's digits]")
    options = parser.parse_args()
    draw_sheet(options.mnist).quantize(256).save(options.file, optimize=True)


if __name__ == "__main__":
    main()
