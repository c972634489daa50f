"""Images of any size, and pictures, as crops: the same way as for classification."""

import io
import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.errors import InvalidInputError, UnavailableError
from worker.imports.background import in_thread

if TYPE_CHECKING:
    from hxserve_pictures.ink import Plane

SIDE: Final = 28
_BRIGHT: Final = 64
_SMALL_PIXELS: Final = 200 * 200
"""A picture of this size is read within a few milliseconds."""
_MISSING: Final = (
    "pictures, and images of another size than 28 x 28, cannot be read by this worker: it has no hxserve-pictures; "
    "ask the operator to install hxserve-server[datasets]"
)


class Normaliser:
    """Makes crops; with `centre` those of 28 x 28, too, are scaled and centred as MNIST's are.

    What it uses of the pictures is imported when it is first needed.
    """

    def __init__(self, *, centre: bool) -> None:
        self._centre = centre

    def crops_of(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return crops `(n, 28, 28)` as they are, or centred.

        Raises:
            UnavailableError: they are to be centred, and this worker has no code for it.
        """
        if not self._centre:
            return images
        try:
            from hxserve_pictures.crops import centred  # noqa: PLC0415 imports OpenCV, an extra
        except ImportError:
            raise UnavailableError(_MISSING) from None
        crops: NDArray[np.uint8] = np.empty_like(images)
        for place, image in enumerate(images):
            crops[place] = centred(image)
        return crops

    def of_plane(self, plane: "Plane", name: str) -> NDArray[np.uint8]:
        """Return the crop of a grey image of any size.

        Raises:
            InvalidInputError: it shows no digit, or several.
            UnavailableError: this worker cannot read such images.
        """
        if plane.shape == (SIDE, SIDE) and _is_bright_on_dark(plane):
            crop: NDArray[np.uint8] = self.crops_of(plane[np.newaxis])[0]
            return crop
        try:
            from hxserve_pictures.crops import is_normalised, normalise  # noqa: PLC0415 imports OpenCV, an extra
            from hxserve_pictures.digit import NotOneDigitError  # noqa: PLC0415 the same
            from hxserve_pictures.finding import find_digit  # noqa: PLC0415 the same
        except ImportError:
            raise UnavailableError(_MISSING) from None
        try:
            return plane if is_normalised(plane) else normalise(find_digit(plane))
        except NotOneDigitError as error:
            raise InvalidInputError(f"{name} {error}") from None

    def of_picture(self, content: bytes, name: str) -> Generator[None, None, NDArray[np.uint8]]:
        """Return the crop of a picture file; a large one is decoded beside the work of the chip.

        Raises:
            InvalidInputError: it is no picture, is damaged, too large, or does not show one digit.
            UnavailableError: this worker cannot read pictures.
        """
        try:
            from services.images import read_tones  # noqa: PLC0415 imports OpenCV, an extra
        except ImportError:
            raise UnavailableError(_MISSING) from None

        def read() -> NDArray[np.uint8]:
            [tones] = read_tones([(content, name)])
            return self.of_plane(tones.plane, name)

        if _pixels_of(content) <= _SMALL_PIXELS:
            return read()
        return (yield from in_thread(read))


def _pixels_of(content: bytes) -> int:
    """Return the number of pixels that the header of a picture states; 0 if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(content)).size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0
    return width * height


def _is_bright_on_dark(plane: "Plane") -> bool:
    """Return whether an image of 28 x 28 is bright ink on dark ground, as crops are."""
    corners = plane[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(plane.max() >= _BRIGHT and (corners < _BRIGHT).any() and plane.mean() < 2 * _BRIGHT)
