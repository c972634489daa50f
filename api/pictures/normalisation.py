"""The last step from ink to a crop: 20 px in the longer direction, centre of mass in the middle of 28 x 28."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from api.pictures.finding import Digit
from api.pictures.ink import Plane, area

SIDE: Final = 28
_DIGIT_SIDE: Final = 20
_USUAL_SIDE: Final = (15, 22)
_MOST_OFF: Final = 2.5
_BRIGHT: Final = 64
_SOFT_EDGE: Final = 0.03
"""Width of a stroke's soft edge as a part of the digit's size."""
_NO_INK: Final = 0.25
"""Of the threshold: what is lighter is ground."""
_STROKE: Final = 0.35
"""Threshold for ink in the search for the digit's box, as a part of the largest brightness."""


def is_normalised(tones: Plane) -> bool:
    """Return whether a picture is a crop already: 28 x 28, bright on dark, of the usual size, in the middle."""
    if tones.shape != (SIDE, SIDE):
        return False
    brightest = int(tones.max())
    border = max(int(tones[0].max()), int(tones[-1].max()), int(tones[:, 0].max()), int(tones[:, -1].max()))
    if brightest < _BRIGHT or border >= _BRIGHT:
        return False
    _, _, width, height = cv2.boundingRect((tones > _STROKE * brightest).astype(np.uint8))
    moments = cv2.moments(tones)
    off = max(abs(float(moments[name]) / moments["m00"] - (SIDE - 1) / 2) for name in ("m10", "m01"))
    return bool(_USUAL_SIDE[0] <= max(width, height) <= _USUAL_SIDE[1] and off <= _MOST_OFF)


def normalise(digit: Digit) -> Plane:
    """Make the crop of a digit, `(28, 28)`, bright on dark: a full stroke is 255.

    Source: how MNIST was made, LeCun et al., "The MNIST database of handwritten digits".
    """
    left, top, right, bottom = digit.box
    reach = 2 * max(1, round(_SOFT_EDGE * digit.size)) + 1
    mask = cv2.dilate(digit.mask, area(reach, reach))
    ink = cv2.multiply(digit.ink[top:bottom, left:right], mask)
    least = _NO_INK * digit.threshold
    ink = cv2.convertScaleAbs(cv2.subtract(ink, least), alpha=255.0 / max(digit.full - least, 1.0))
    return _placed(ink)


def centred(crop: Plane) -> Plane:
    """Scale and centre what is bright in a crop as MNIST's digits are; one that is so already, or empty, stays."""
    brightest = int(crop.max())
    if not brightest or is_normalised(crop):
        return crop
    left, top, width, height = cv2.boundingRect((crop > _STROKE * brightest).astype(np.uint8))
    return _placed(np.ascontiguousarray(crop[top : top + height, left : left + width]))


def _placed(ink: Plane) -> Plane:
    """Scale ink to 20 px in the longer direction, and place its centre of mass in the middle of a crop."""
    height, width = ink.shape
    factor = _DIGIT_SIDE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small: NDArray[np.float32] = np.asarray(
        Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS), np.float32
    )
    small = small * (255.0 / max(1.0, float(small.max())))
    moments = cv2.moments(small)
    middle, mass = (SIDE - 1) / 2, max(moments["m00"], 1.0)
    top = min(max(round(middle - moments["m01"] / mass), 0), SIDE - small.shape[0])
    left = min(max(round(middle - moments["m10"] / mass), 0), SIDE - small.shape[1])
    crop = np.zeros((SIDE, SIDE), np.uint8)
    crop[top : top + small.shape[0], left : left + small.shape[1]] = small
    return crop
