"""Warnings about raw crops and arrays that do not look as the network learnt them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hxserve_pictures.crops import SIDE
from services.crops.answers import CROP_BYTES

_BRIGHT: Final = 128
_CORNERS: Final = (0, SIDE - 1, CROP_BYTES - SIDE, CROP_BYTES - 1)
_MOST_OFF: Final = 3.0
_NAMED: Final = 5
_ZERO_AND_ONE: Final = b"\x00\x01"
_FROM_MIDDLE: Final = np.arange(SIDE) - (SIDE - 1) / 2


def quick_warnings(crops: bytes) -> tuple[str, ...]:
    """Return warnings of crops, `(n, 784)` bytes, that are inverted or too dark.

    A look at the corner of each is cheap enough for raw crops in volume: below a microsecond for one.
    """
    if max(crops[::CROP_BYTES]) >= _BRIGHT:
        planes = np.frombuffer(crops, np.uint8).reshape(-1, CROP_BYTES)
        is_inverted = (planes[:, _CORNERS] >= _BRIGHT).all(1) & (planes.mean(1) >= _BRIGHT)
        if is_inverted.any():
            return (f"{_named(is_inverted)} inverted: the ground is bright; send bright ink on dark ground",)
    elif not crops.strip(_ZERO_AND_ONE) and 1 in crops:
        return ("the values are 0 and 1 alone, nearly black as grey values 0..255; multiply by 255",)
    return ()


def warnings_of(crops: bytes) -> tuple[str, ...]:
    """Return the same warnings, and those of crops that are not in the middle."""
    planes = np.frombuffer(crops, np.uint8).reshape(-1, SIDE, SIDE)
    columns, rows = planes.sum(1, np.uint32), planes.sum(2, np.uint32)
    off = np.maximum(*(np.abs((sums * _FROM_MIDDLE).sum(1)) for sums in (columns, rows)))
    is_off = off > _MOST_OFF * np.maximum(rows.sum(1), 1)
    warnings = quick_warnings(crops)
    if is_off.any():
        warnings += (f"{_named(is_off)} off the middle by more than {_MOST_OFF:g} px; ask for centre=true",)
    return warnings


def _named(is_meant: NDArray[np.bool_]) -> str:
    """Return a subject and its verb: the crops meant."""
    numbers: Sequence[int] = np.flatnonzero(is_meant).tolist()
    if len(numbers) == 1:
        return f"crop {numbers[0]} looks"
    named = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"crops {named}{more} look"
