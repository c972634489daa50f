"""Sample letters as a picture: the envelope, the place of the postcode, the crops, and the reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hxserve.errors import ClientError
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.decisions import Decision, Reason
from hxserve_letters.envelopes import Letter
from hxserve_letters.finding import find_postcode
from hxserve_letters.postcodes import DIGITS
from hxserve_pictures.segmentation import Cuts, cut

_COLUMNS: Final = 3
_ROWS: Final = 4
_ENVELOPE: Final = (528, 264)
_STRIP_PX: Final = 92
_CROP_PX: Final = 52
_MARGIN_PX: Final = 8
_JPEG_QUALITY: Final = 80

_GREEN, _ORANGE, _RED, _BLACK = (60, 140, 30), (0, 130, 230), (40, 40, 210), (0, 0, 0)
"""OpenCV's order: blue, green, red."""

Picture = NDArray[np.uint8]


class PictureNotWrittenError(ClientError):
    """The picture cannot be written; give a path that ends in .png or .jpg in a folder that exists."""

    code = "picture_not_written"


def draw_samples(source: LetterSource, decisions: Sequence[Decision], path: Path) -> None:
    """Draw twelve letters into a file: routed right and wrong, and rejected for each reason there was.

    Raises:
        PictureNotWrittenError: the path or its ending is none for a picture.
    """
    writer = source.writer()
    tiles = [_tile(writer.draw(decision.number), decision) for decision in choose_samples(decisions)]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    try:
        is_written = cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    except cv2.error:
        is_written = False
    if not is_written:
        raise PictureNotWrittenError(
            f"{path} cannot be written; give a path that ends in .png or .jpg in a folder that exists"
        )


def choose_samples(decisions: Sequence[Decision]) -> list[Decision]:
    """Choose some letters of each outcome, those of the rarest outcomes first, at most twelve."""
    outcomes = [[d for d in decisions if d.is_wrong]]
    outcomes += [[d for d in decisions if d.reason is reason] for reason in Reason]
    outcomes.append([d for d in decisions if d.route is not None and not d.is_wrong])
    present = sorted((outcome for outcome in outcomes if outcome), key=len)
    chosen: list[Decision] = []
    for place, outcome in enumerate(present):
        left = _COLUMNS * _ROWS - len(chosen)
        chosen += outcome[: -(-left // (len(present) - place))]
    return chosen


def _tile(letter: Letter, decision: Decision) -> Picture:
    """Draw a letter, with its crops and its reading below."""
    scale = _ENVELOPE[0] / letter.picture.shape[1]
    envelope = cv2.cvtColor(letter.picture, cv2.COLOR_GRAY2BGR)
    field = find_postcode(letter.picture)
    cuts = None if field is None else cut(field, DIGITS)
    colour = _colour(decision)
    if field is not None:
        height, width = field.mask.shape
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]])
        _outline(envelope, corners @ field.to_picture[:, :2].T + field.to_picture[:, 2], colour)
    strip = np.full((_STRIP_PX, _ENVELOPE[0], 3), 255, np.uint8)
    if cuts is not None and decision.reading is not None:
        _show_crops(strip, cuts, decision.reading.spans)
    said, why = _phrases(decision)
    x = 5 * (_CROP_PX + 4) + 16
    cv2.putText(strip, f"written {decision.written}", (x, 20), 0, 0.48, _BLACK, 1, cv2.LINE_AA)
    cv2.putText(strip, said, (x, 42), 0, 0.48, colour, 1, cv2.LINE_AA)
    cv2.putText(strip, why, (x, 64), 0, 0.44, colour, 1, cv2.LINE_AA)
    small = cv2.resize(envelope, _ENVELOPE, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rows = [_MARGIN_PX, _MARGIN_PX]
    tile: Picture = np.pad(np.vstack([small, strip]), [rows, rows, [0, 0]], constant_values=255)
    return tile


def _show_crops(strip: Picture, cuts: Cuts, spans: Sequence[int]) -> None:
    for place, span in enumerate(spans):
        crop = cv2.resize(cuts.crops[span], (_CROP_PX, _CROP_PX), interpolation=cv2.INTER_NEAREST)
        left = 4 + place * (_CROP_PX + 4)
        strip[8 : 8 + _CROP_PX, left : left + _CROP_PX] = crop[..., None]


def _phrases(decision: Decision) -> tuple[str, str]:
    reading = decision.reading
    said = "nothing read" if reading is None else f"read {reading.postcode}, {reading.confidence:.0%} sure"
    if decision.route is None:
        return said, f"manual coding: {decision.reason}"
    if decision.is_wrong:
        return said, f"WRONG, to region {decision.route.region}"
    if decision.is_misread:
        return said, f"to region {decision.route.region}, right, though misread"
    return said, f"to region {decision.route.region}, {decision.route.vehicle}"


def _colour(decision: Decision) -> tuple[int, int, int]:
    if decision.route is None:
        return _ORANGE
    return _RED if decision.is_wrong else _GREEN


def _outline(picture: Picture, corners: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    points = np.rint(corners).astype(np.int32)
    cv2.polylines(picture, [points], isClosed=True, color=colour, thickness=3, lineType=cv2.LINE_AA)
