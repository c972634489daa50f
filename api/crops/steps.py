"""The steps from a picture to its crop, for a person who wants to see why."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from hxserve_pictures.crops import normalise
from hxserve_pictures.digit import Digit
from hxserve_pictures.ink import Plane
from services.images import Tones, box_in_picture


def crop_with_steps(tones: Tones) -> dict[str, Any]:
    """Return the crop of a picture, and how it came about, as `CropAnswer` has it.

    Raises:
        InvalidImagesError: the picture does not show one digit.
    """
    digit = tones.find_digit()
    crop = tones.plane if digit is None else normalise(digit)
    return {"pixels": crop.ravel().tolist(), "steps": None if digit is None else _steps(tones, digit)}


def _steps(tones: Tones, digit: Digit) -> dict[str, Any]:
    left, top, right, bottom = digit.box
    (over, down), scale = digit.origin, digit.scale
    height, width = digit.ink.shape
    region = over, down, over + scale * width, down + scale * height
    box = over + scale * left, down + scale * top, over + scale * right, down + scale * bottom
    mask = np.zeros_like(digit.ink)
    mask[top:bottom, left:right] = 255 * digit.mask
    return {
        "region": box_in_picture(region, tones),
        "box": box_in_picture(box, tones),
        "ink": "dark" if digit.is_dark else "light",
        "threshold": round(digit.threshold),
        "full": round(digit.full),
        "pieces": digit.pieces,
        "ink_png": png_in_base64(digit.ink),
        "mask_png": png_in_base64(mask),
    }


def png_in_base64(plane: Plane) -> str:
    """Return a picture of grey values as a PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(plane).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
