"""The last step from ink to a crop: 20 px in the longer direction, centre of mass in the middle of 28 x 28."""

from typing import Final

import cv2
import numpy as np

from hxserve_pictures.digit import Digit
from hxserve_pictures.ink import Plane, area

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
    """Make the crop of a digit that was found in a picture."""
    left, top, right, bottom = digit.box
    reach = 2 * max(1, round(_SOFT_EDGE * digit.size)) + 1
    mask = cv2.dilate(digit.mask, area(reach, reach))
    return make_crop(digit.ink[top:bottom, left:right], mask, digit.full, least=_NO_INK * digit.threshold)


def centred(crop: Plane) -> Plane:
    """Scale and centre what is bright in a crop as MNIST's digits are; one that is so already, or empty, stays."""
    brightest = int(crop.max())
    if not brightest or is_normalised(crop):
        return crop
    left, top, width, height = cv2.boundingRect((crop > _STROKE * brightest).astype(np.uint8))
    return _placed(np.ascontiguousarray(crop[top : top + height, left : left + width]), 0.0)


def make_crop(ink: Plane, mask: Plane, full: float, *, least: float = 0.0, lean: float = 0.0) -> Plane:
    """Make the crop of one digit.

    Args:
        ink: of its box, `(height, width)`, how dark it is.
        mask: the same shape; 1 where the ink belongs to the digit, 0 elsewhere.
        full: ink of a full stroke, which becomes white: the network reads black and white, so this sets how thick
            strokes come out.
        least: ink that is ground.
        lean: tangent of a slant to give to the digit.

    Returns:
        `(28, 28)`, bright on dark, as the images of MNIST are.

    Source: how MNIST was made, LeCun et al., "The MNIST database of handwritten digits".
    """
    inside = cv2.subtract(cv2.multiply(ink, mask), least)
    return _placed(cv2.convertScaleAbs(inside, alpha=255.0 / max(full - least, 1.0)), lean)


def _placed(ink: Plane, lean: float) -> Plane:
    """Scale ink to 20 px in the longer direction, and place its centre of mass in the middle of a crop."""
    factor = 2 * _DIGIT_SIDE / max(ink.shape)
    if factor < 1:  # a linear map of fine strokes would miss some of their pixels
        size = max(1, round(ink.shape[1] * factor)), max(1, round(ink.shape[0] * factor))
        ink = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    height, width = ink.shape
    scale = _DIGIT_SIDE / max(height, width + lean * height)
    moments = cv2.moments(ink)
    mass = max(moments["m00"], 1.0)
    turn = scale * np.array([[1.0, -lean], [0.0, 1.0]])
    middle = np.array([moments["m10"], moments["m01"]]) / mass
    matrix = np.column_stack([turn, (SIDE - 1) / 2 - turn @ middle])
    crop = cv2.warpAffine(ink, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    full: Plane = cv2.convertScaleAbs(crop, alpha=255.0 / max(cv2.minMaxLoc(crop)[1], 1.0))
    return full
