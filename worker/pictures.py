"""Pictures of misread crops."""

import base64
import struct
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from torch import Tensor

from worker.learning.mistakes import Mistake

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def picture_mistakes(mistakes: Iterable[Mistake], images: Tensor) -> list[dict[str, Any]]:
    """Mistakes as JSON, each with its crop as `png`, in base64.

    Args:
        mistakes: in the order wanted.
        images: the test set, `(test, 28, 28)` uint8.
    """
    return [
        {**asdict(mistake), "png": base64.b64encode(_png(images[mistake.index])).decode()}
        for mistake in mistakes
    ]


def _png(crop: Tensor) -> bytes:
    """Return a crop as an 8-bit grey PNG file: the worker has no library that writes pictures.

    Source: Portable Network Graphics, W3C Recommendation.
    """
    height, width = crop.shape
    rows = b"".join(b"\0" + bytes(row.numpy().data) for row in crop)  # 0: a row as it is, not filtered
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
