"""Pages with more on them than a digit: specks, dust, noise, frames, boxes, lines, a neighbour's stroke."""

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.picture_drawing import Draw, Plane, Random, ink_of, jpeg, noise, paint, place, png, somewhere


def _scan(digit: NDArray[np.uint8], random: Random) -> Plane:
    return paint(place(ink_of(digit, random.uniform(160, 260)), (400, 400), somewhere(random)), 15, 250)


def one_speck(digit: NDArray[np.uint8], random: Random) -> bytes:
    """One speck on a scan."""
    tones = _scan(digit, random)
    radius = int(random.integers(1, 5))
    centre = [int(value) for value in random.uniform(8, 392, 2)]
    cv2.circle(tones, centre, radius, 15.0, -1)
    return png(tones)


def dust(digit: NDArray[np.uint8], random: Random) -> bytes:
    """Dust on a scan."""
    tones = _scan(digit, random)
    for _ in range(int(random.integers(30, 120))):
        centre = [int(value) for value in random.uniform(2, 398, 2)]
        cv2.circle(tones, centre, int(random.integers(0, 3)), float(random.uniform(20, 140)), -1)
    return png(tones)


def sensor_noise(digit: NDArray[np.uint8], random: Random) -> bytes:
    """The noise of a sensor, and hot pixels."""
    tones = paint(place(ink_of(digit, random.uniform(150, 230)), (400, 400), somewhere(random)), 60, 170)
    tones += noise(tones.shape, random.uniform(18, 30), random)
    hot = random.random(tones.shape) < 0.003
    tones[hot] = random.choice([0.0, 255.0], int(hot.sum()))
    return png(tones)


def frame(pen: float, paper: float) -> Draw:
    """A frame of one pixel."""

    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        tones = paint(
            place(ink_of(digit, random.uniform(120, 220)), (280, 280), somewhere(random)), pen, paper
        )
        for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            tones[side] = pen
        return png(tones)

    return draw


def form_box(digit: NDArray[np.uint8], random: Random) -> bytes:
    """The box of a form about the digit."""
    tones = paint(place(ink_of(digit, random.uniform(110, 170)), (300, 300), somewhere(random, 0.1)), 20, 250)
    edge = int(random.integers(12, 55))
    thickness = int(random.integers(1, 4))
    cv2.rectangle(
        tones, (edge, edge - 8), (299 - edge, 305 - edge), float(random.uniform(20, 120)), thickness
    )
    return png(tones)


def neighbours_stroke(digit: NDArray[np.uint8], random: Random) -> bytes:
    """A stroke of a neighbour at the edge."""
    ink = place(ink_of(digit, random.uniform(140, 200)), (300, 300), (0.5, 0.5))
    top, side = int(random.integers(20, 200)), int(random.integers(2))
    ends = (0, top), (int(random.integers(6, 22)), top + int(random.integers(20, 90)))
    stroke = np.zeros_like(ink)
    cv2.line(stroke, ends[0], ends[1], 1.0, int(random.integers(8, 18)))
    ink = np.maximum(ink, stroke if side else stroke[:, ::-1])
    return png(paint(ink, 20, 250))


def on_lines(pen: float, lines: tuple[float, float], *, is_graph: bool) -> Draw:
    """Ruled or graph paper."""

    def draw(digit: NDArray[np.uint8], random: Random) -> bytes:
        ink = place(ink_of(digit, random.uniform(170, 220)), (400, 400), somewhere(random))
        paper = np.full(ink.shape, 238, np.float32)
        pitch = int(random.integers(24, 32)) if is_graph else int(random.integers(44, 60))
        start, tone, thickness = (
            int(random.integers(pitch)),
            random.uniform(*lines),
            int(random.integers(1, 3)),
        )
        for offset in range(start, 400, pitch):
            paper[offset : offset + thickness] = tone
            if is_graph:
                paper[:, offset : offset + thickness] = tone
        tones = np.minimum(paper, paint(ink, pen, 238))
        return jpeg(tones + noise(ink.shape, 3, random))

    return draw
