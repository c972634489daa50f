"""Pictures of misread crops."""

import base64
from collections.abc import Iterable
from dataclasses import asdict
from io import BytesIO
from typing import Any

from PIL import Image
from torch import Tensor

from worker.learning.mistakes import Mistake


def picture_mistakes(mistakes: Iterable[Mistake], images: Tensor) -> list[dict[str, Any]]:
    """Return mistakes as JSON, each with its crop as `png`, in base64.

    `images` is the test set, `(test, 28, 28)` uint8.
    """
    return [
        {**asdict(mistake), "png": base64.b64encode(_png(images[mistake.index])).decode()}
        for mistake in mistakes
    ]


def _png(crop: Tensor) -> bytes:
    file = BytesIO()
    Image.fromarray(crop.numpy()).save(file, "PNG", optimize=True)
    return file.getvalue()
