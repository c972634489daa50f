"""Jobs and predictions as HTML for notebooks: one piece, without scripts or addresses."""

from __future__ import annotations

import io
import zlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from hxserve.images import CROPS, THUMBNAILS

if TYPE_CHECKING:
    from hxserve.job_states import JobState
    from hxserve.predictions import Prediction, Predictions

_THUMBNAIL_PX: Final = 42
_EMBEDDED_BYTES: Final = 2**16
"""Pictures up to this size are embedded as they are."""
_CURVE: Final = (260, 80)
"""Width and height of a plot of curves, in px."""
_COLOURS: Final = {"train": "#8a8f98", "test": "#2563eb"}


def live_job() -> Callable[[JobState], None]:
    """Return a function that shows a job's states, one in the place of the other.

    Of a job that has succeeded its curves stay; without curves there is nothing left to see.
    """
    from IPython.core.display_functions import display  # noqa: PLC0415 there in notebooks alone

    shown: Any = display({"text/html": ""}, raw=True, display_id=True)  # type: ignore[no-untyped-call] # of IPython

    def update(job: JobState) -> None:
        is_over = job.state == "succeeded" and not job.metrics.get("epochs")
        shown.update({"text/html": "" if is_over else job_html(job)}, raw=True)

    return update


def job_html(job: JobState) -> str:
    """Return a job's state, its progress and the curves of its epochs."""
    bar = "" if job.is_final else f'<progress value="{job.progress:.3f}" max="1"></progress>'
    epochs = job.metrics.get("epochs") or []
    curves = "".join(_curve(epochs, measure) for measure in ("accuracy", "loss")) if epochs else ""
    return (
        f"<div><code>{escape(job.id)}</code> {escape(job.summary)}<br>{bar}"
        f"{'<br>' if bar and curves else ''}{curves}</div>"
    )


def predictions_html(predictions: Predictions) -> str:
    """Return the first predictions as rows of thumbnail, digit, confidence and bars of the ten scores."""
    rows = "".join(
        f"<tr><td>{_thumbnail(predictions.thumbnails, i)}</td><td>{escape(p.source) or i}</td>"
        f'<td style="font-size: 1.6em"><b>{p.digit}</b></td><td>{p.confidence:.1%}</td>'
        f"<td>{p.runner_up}</td><td>{_score_bars(p)}</td></tr>"
        for i, p in enumerate(predictions.items[:THUMBNAILS])
    )
    more = len(predictions) - THUMBNAILS
    return (
        "<table><tr><th></th><th>image</th><th>digit</th><th>confidence</th><th>runner-up</th><th>scores 0 to 9</th>"
        f"</tr>{rows}</table>{f'<div>and {more:,} more</div>' if more > 0 else ''}"
        f"<div>{escape(predictions.origin)}</div>"
    )


def _thumbnail(thumbnails: Sequence[tuple[str, bytes]], index: int) -> str:
    media_type, content = _embeddable(*thumbnails[index]) if index < len(thumbnails) else ("", b"")
    if not content:
        return ""
    return (
        f'<img alt="" style="max-width: {2 * _THUMBNAIL_PX}px; height: {_THUMBNAIL_PX}px; object-fit: contain; '
        f'image-rendering: pixelated" src="data:{media_type};base64,{b64encode(content).decode()}">'
    )


def _embeddable(media_type: str, content: bytes) -> tuple[str, bytes]:
    """Return a picture in a form and size for a page; nothing if that needs Pillow and it is missing."""
    if media_type == CROPS:
        return "image/png", _png_of_crop(content)
    if len(content) <= _EMBEDDED_BYTES and media_type != "image/tiff":
        return media_type, content
    try:
        from PIL import Image  # noqa: PLC0415 optional

        with Image.open(io.BytesIO(content)) as picture:
            picture.thumbnail((4 * _THUMBNAIL_PX, 4 * _THUMBNAIL_PX))
            file = io.BytesIO()
            picture.convert("RGB").save(file, "PNG")
    except (ImportError, OSError):
        return "", b""
    return "image/png", file.getvalue()


def _png_of_crop(crop: bytes) -> bytes:
    """Return 784 grey values as PNG.

    Source: https://www.w3.org/TR/png/, sections 5 and 11.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = (28).to_bytes(4) * 2 + bytes((8, 0, 0, 0, 0))
    rows = b"".join(b"\0" + crop[start : start + 28] for start in range(0, 784, 28))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _score_bars(prediction: Prediction) -> str:
    """Return ten bars from the lowest to the highest score; that of the digit is coloured."""
    low, high = min(prediction.scores), max(prediction.scores)
    bars = []
    for digit, score in enumerate(prediction.scores):
        height = 2 + 26 * (score - low) / max(high - low, 1)
        colour = _COLOURS["test"] if digit == prediction.digit else _COLOURS["train"]
        bars.append(
            f'<rect x="{12 * digit + 1}" y="{30 - height:.1f}" width="10" height="{height:.1f}" fill="{colour}">'
            f"<title>{digit}: {score} LSB</title></rect>"
            f'<text x="{12 * digit + 6}" y="39" font-size="8" text-anchor="middle" fill="currentColor">{digit}</text>'
        )
    return f'<svg width="122" height="40" role="img">{"".join(bars)}</svg>'


def _curve(epochs: Sequence[dict[str, Any]], measure: str) -> str:
    """Return the curves of a measure in training and test, with the epochs in the chip's loop on a tinted ground."""
    width, height = _CURVE
    values = {part: [float(row[f"{part}_{measure}"]) for row in epochs] for part in _COLOURS}
    low, high = min(map(min, values.values())), max(map(max, values.values()))
    step = (width - 10) / max(len(epochs) - 1, 1)

    def place(index: int, value: float) -> str:
        return f"{5 + index * step:.1f},{16 + (height - 22) * (high - value) / ((high - low) or 1):.1f}"

    ground = "".join(
        f'<rect x="{5 + (first - 0.5) * step:.1f}" y="14" width="{count * step:.1f}" height="{height - 16}" '
        'fill="#f59e0b" fill-opacity="0.15"/>'
        for first, count in _chip_epochs(epochs)
    )
    lines = "".join(
        f'<polyline points="{" ".join(place(i, value) for i, value in enumerate(row))}" fill="none" '
        f'stroke="{_COLOURS[part]}" stroke-width="2"/>'
        for part, row in values.items()
    )
    last = values["test"][-1]
    said = f"{last:.2%}" if measure == "accuracy" else f"{last:.4f}"
    where = ", tinted: in the chip's loop" if ground else ""
    return (
        f'<svg width="{width}" height="{height}" role="img"><text x="5" y="10" font-size="10" fill="currentColor">'
        f"{measure} (blue: test, {said}{where})</text>{ground}{lines}</svg>"
    )


def _chip_epochs(epochs: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return index of the first epoch, and number, of each run of epochs on the chip."""
    runs, first = [], 0
    for place, group in groupby(row.get("execution") for row in epochs):
        count = len(list(group))
        if place == "chip":
            runs.append((first, count))
        first += count
    return runs
