"""Cursors of lists that are ordered by time, newest first."""

import base64
import binascii
import math

from services.errors import InvalidCursorError

Place = tuple[float, str]
"""A time in Unix seconds, and the id of what stands there."""


def write_cursor(place: Place) -> str:
    """Return the cursor after which the next page begins."""
    at, name = place
    return base64.urlsafe_b64encode(f"{at:.6f} {name}".encode()).decode()


def read_cursor(cursor: str) -> Place:
    """Return the place that a cursor names.

    Raises:
        InvalidCursorError: it is not one of ours.
    """
    try:
        at, name = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        place = float(at), name
    except (ValueError, binascii.Error):
        raise InvalidCursorError from None
    if not math.isfinite(place[0]):
        raise InvalidCursorError
    return place
