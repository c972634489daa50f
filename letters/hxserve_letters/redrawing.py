"""Decided letters drawn once more, for pages and coders: pictures are not kept while letters are sorted."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.decisions import Decision
from hxserve_letters.postcodes import DIGITS

if TYPE_CHECKING:
    from hxserve_letters.digits import Crops
    from hxserve_letters.envelopes import Writer
    from hxserve_letters.handwriting import Plane

_JPEG_QUALITY: Final = 70


@dataclass(frozen=True, slots=True)
class Redrawn:
    """A letter as the camera saw it: the envelope, and the crops `(n, 28, 28)` that its postcode was read from."""

    picture: Plane
    crops: Crops

    def envelope(self, width_px: int) -> str:
        """Return the envelope as a JPEG of this width, in base64."""
        import cv2  # noqa: PLC0415 an extra

        height, width = self.picture.shape
        size = (width_px, round(height * width_px / width))
        return _encoded(cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), ".jpg")

    def crop_pictures(self) -> list[str]:
        """Return each crop as a PNG, in base64."""
        return [_encoded(crop, ".png") for crop in self.crops]

    def crop_bytes(self) -> list[str]:
        """Return the 784 grey values of each crop, in base64."""
        return [base64.b64encode(crop.tobytes()).decode() for crop in self.crops]


class Redrawer:
    """Draws the letters of one source again."""

    def __init__(self, source: LetterSource) -> None:
        self._source = source

    @cached_property
    def _writer(self) -> Writer:
        return self._source.writer()

    def redraw(self, decision: Decision) -> Redrawn:
        """Draw a letter and cut its postcode as it was cut when it was decided on."""
        from hxserve_letters.finding import find_postcode  # noqa: PLC0415 imports OpenCV
        from hxserve_pictures.segmentation import cut  # noqa: PLC0415 the same

        picture = self._writer.draw(decision.number).picture
        spans = decision.reading.spans if decision.reading is not None else ()
        field = find_postcode(picture) if spans else None
        cuts = None if field is None else cut(field, DIGITS)
        return Redrawn(picture, np.empty((0, 28, 28), np.uint8) if cuts is None else cuts.crops[list(spans)])


def _encoded(picture: Plane, kind: str) -> str:
    import cv2  # noqa: PLC0415 an extra

    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if kind == ".jpg" else []
    _, content = cv2.imencode(kind, picture, options)
    return base64.b64encode(content.tobytes()).decode()
