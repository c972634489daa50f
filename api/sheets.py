"""Sample sheets: a picture of some crops of each digit in a data set."""

import io
from typing import Final

import numpy as np
from PIL import Image

from services.datasets.files import LabelledCrops

_COLUMNS: Final = 20
_SIDE: Final = 28
_GAP: Final = 2
_GROUND: Final = 48
"""Grey between the crops."""


def draw_sheet(crops: LabelledCrops) -> bytes:
    """Return a PNG with one row for each digit, 0 at the top: evenly spaced crops of the part, in its order."""
    pitch = _SIDE + _GAP
    sheet = np.full((10 * pitch + _GAP, _COLUMNS * pitch + _GAP), _GROUND, np.uint8)
    for digit in range(10):
        places = np.flatnonzero(crops.labels == digit)
        picked = (
            places[np.unique(np.linspace(0, len(places) - 1, _COLUMNS).astype(int))] if len(places) else []
        )
        top = _GAP + digit * pitch
        for column, place in enumerate(picked):
            left = _GAP + column * pitch
            sheet[top : top + _SIDE, left : left + _SIDE] = crops.images[place]
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    return file.getvalue()
