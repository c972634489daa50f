"""Arrays of crops, as bytes; imported only when an array is sent, as importing numpy is slow."""

import io
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hxserve.errors import InvalidImagesError


def load_npy(content: bytes, name: str) -> NDArray[Any]:
    """Load the array of a .npy file.

    Raises:
        InvalidImagesError: it is not one, or holds Python objects.
    """
    try:
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InvalidImagesError(
            f"{name}: not a readable .npy file ({error}); save it with numpy.save"
        ) from None
    return array


def crop_bytes(array: ArrayLike, name: str) -> bytes:
    """Return the grey values of an array of crops, 784 bytes per crop.

    The array is (28, 28), (n, 28, 28), (n, 1, 28, 28), (784,) or (n, 784), of integers 0..255 or floats 0..1; `name` is
    its name in error messages.

    Raises:
        InvalidImagesError: it has another shape or other values.
    """
    try:
        values = np.asarray(array)
    except ValueError as error:
        raise InvalidImagesError(f"the images given do not have one common shape ({error})") from None
    if values.dtype.kind == "O" and values.ndim == 0:
        raise InvalidImagesError(
            f"{type(array).__name__} is no image; give a path, bytes, an open file, a picture of Pillow's, or an array"
        )
    squares = values.shape[-2:] == (28, 28) and (values.ndim <= 3 or values.shape[1:-2] == (1,))
    rows = values.shape[-1:] == (784,) and values.ndim <= 2
    if not (squares or rows):
        raise InvalidImagesError(
            f"{name} has shape {values.shape}; crops are (28, 28), (n, 28, 28) or (n, 784). "
            "Images of another size can be sent as PNG or JPEG"
        )
    return _grey(values, name).tobytes()


def _grey(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Convert integers 0..255, floats 0..1 or booleans to grey values 0..255."""
    kind = values.dtype.kind
    if kind not in "uifb":
        raise InvalidImagesError(
            f"{name} holds {values.dtype}; grey values are integers 0..255 or floats 0..1"
        )
    highest = 255 if kind in "ui" else 1
    # Written so that not-a-number, which compares false, is refused.
    if values.dtype != np.uint8 and values.size and not (values.min() >= 0 and values.max() <= highest):
        raise InvalidImagesError(
            f"{name} holds {values.dtype} from {values.min()!s} to {values.max()!s}; "
            "grey values are integers 0..255 or floats 0..1, and 0 is the background"
        )
    if kind in "ui" and values.size and values.max() == 1:
        raise InvalidImagesError(
            f"{name} holds integers 0 and 1, nearly black as grey values 0..255; multiply by 255, or give floats"
        )
    if kind in "ui":
        return values.astype(np.uint8)
    return np.rint(values.astype(np.float32) * 255).astype(np.uint8)
