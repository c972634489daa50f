"""Crops as the network learnt them: 20 px in the longer direction, centre of mass in the middle of 28 x 28."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve_letters.handwriting import Matrix, Plane
from hxserve_letters.percentiles import percentiles_of_plane

SIDE: Final = 28
_BOX: Final = 20
_USUAL_SLANT: Final = 0.14
"""Tangent of the slant that digits of MNIST have on average: upright ones are read less well."""

_LOOKS: Final = ((-0.14, 1.0), (0.14, 1.0), (0.0, 0.88), (0.0, 1.12))
"""Tangent of the further slant, and the width over the usual one."""

Reals = NDArray[np.float32]


def normalise(ink: Plane, mask: Plane) -> Plane:
    """Make the crop of one digit that stands upright.

    Args:
        ink: (h, w) uint8, how dark it is.
        mask: (h, w), nonzero where the ink belongs to the digit; somewhere it must.

    Returns:
        (28, 28) uint8, bright on dark, as the images of MNIST are.

    Source: yann.lecun.com/exdb/mnist, "size normalized ... in a 20x20 pixel box ... computing the center of mass".
    """
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    dark, inside = np.ascontiguousarray(ink[area]), np.ascontiguousarray(mask[area])
    values = np.where(inside > 0, dark, 0).astype(np.float32)
    # Full ink is white: the network's input is black or white, so this sets how thick strokes come out.
    [full] = percentiles_of_plane(dark, 75, mask=inside)
    values *= 255.0 / max(full, 1.0)
    np.minimum(values, 255.0, out=values)
    crop = cv2.warpAffine(values, _to_crop(values), (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    rounded: Plane = np.rint(crop).astype(np.uint8)
    return rounded


def other_looks(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Vary digits (n, 28, 28) for a second opinion: leaning less and more, narrower and wider, (4, n, 28, 28)."""
    looks = []
    for lean, width in _LOOKS:
        middle = SIDE / 2
        matrix = np.array([[width, -lean, middle * (1 - width + lean)], [0.0, 1.0, 0.0]])
        looks.append(np.stack([cv2.warpAffine(crop, matrix, (SIDE, SIDE)) for crop in crops]))
    return np.stack(looks)


def _to_crop(values: Reals) -> Matrix:
    """Return the map that slants, scales, and brings the centre of mass to the middle, (2, 3)."""
    height, width = values.shape
    scale = _BOX / max(height, width + _USUAL_SLANT * height)
    moments = cv2.moments(values)
    mass = max(moments["m00"], 1.0)
    turn = scale * np.array([[1.0, -_USUAL_SLANT], [0.0, 1.0]])
    middle = np.array([moments["m10"], moments["m01"]]) / mass
    return np.column_stack([turn, (SIDE - 1) / 2 - turn @ middle])
