"""Rendering of an envelope without its address: paper, window, stamp, postmark, smudges, scratches."""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np

from hxserve_letters.handwriting import PX_PER_MM, Plane

WIDTH_PX: Final = int(220 * PX_PER_MM)
HEIGHT_PX: Final = int(110 * PX_PER_MM)
"""An envelope of format DL, 220 x 110 mm."""

_PLAIN: Final = cv2.FONT_HERSHEY_PLAIN
_TEXTURE_SEED: Final = 20


def draw_paper(random: np.random.Generator) -> Plane:
    """Draw paper of some tone, unevenly lit, with its grain and the camera's noise."""
    tone = random.uniform(150, 245)
    corners = tone + random.uniform(-12, 12, (2, 2))
    light = cv2.resize(corners.astype(np.float32), (WIDTH_PX, HEIGHT_PX)).astype(np.uint8)
    y, x = (int(random.integers(200)) for _ in range(2))
    grain = _grains()[int(random.integers(len(_grains())))]
    paper: Plane = cv2.add(light, grain[y : y + HEIGHT_PX, x : x + WIDTH_PX], dtype=cv2.CV_8U)
    return paper


@cache
def _grains() -> list[np.ndarray[tuple[int, ...], np.dtype[np.int16]]]:
    """Make grain of three strengths, larger than an envelope, so that a piece of it is new each time."""
    random = np.random.default_rng(_TEXTURE_SEED)
    fine = random.normal(size=(HEIGHT_PX + 200, WIDTH_PX + 200)).astype(np.float32)
    soft = cv2.GaussianBlur(fine, (0, 0), 2.0) * 6.0
    return [np.rint((fine + soft) * strength).astype(np.int16) for strength in (1.0, 2.0, 3.5)]


def draw_window(paper: Plane, random: np.random.Generator, left: int, top: int) -> None:
    """Draw a window through which another sheet is seen, with the shadow of its edge."""
    right = min(left + int(random.uniform(100, 112) * PX_PER_MM), WIDTH_PX - 10)
    bottom = min(top + int(random.uniform(52, 58) * PX_PER_MM), HEIGHT_PX - 6)
    part = paper[top:bottom, left:right]
    part[:] = cv2.addWeighted(part, 0.5, np.full_like(part, 235), 0.5, random.uniform(-15, 5))
    shade = int(random.uniform(20, 70))
    for inset in range(2):
        edge = (max(int(paper.min()) - shade, 40) + 30 * inset,)
        cv2.rectangle(paper, (left + inset, top + inset), (right - inset, bottom - inset), edge)


def draw_franking(ink: Plane, random: np.random.Generator) -> None:
    """Draw a stamp in the upper right corner, and a postmark across it that may run towards the address."""
    right, top = WIDTH_PX - int(random.uniform(20, 50)), int(random.uniform(16, 40))
    width, height = int(random.uniform(80, 110)), int(random.uniform(95, 125))
    left, bottom = right - width, top + height
    cv2.rectangle(ink, (left, top), (right, bottom), (70,), -1)
    for edge in range(left, right, 7):
        cv2.circle(ink, (edge, top), 2, (0,), -1)
        cv2.circle(ink, (edge, bottom), 2, (0,), -1)
    for _ in range(6):
        centre = (int(random.integers(left + 15, right - 15)), int(random.integers(top + 15, bottom - 15)))
        cv2.circle(ink, centre, int(random.integers(5, 16)), (int(random.integers(60, 170)),), -1)
    cv2.putText(ink, "85", (left + 8, bottom - 10), _PLAIN, 1.4, (200,), 2, cv2.LINE_AA)
    if random.random() < 0.85:
        _draw_postmark(ink, random, left, (top + bottom) // 2)


def _draw_postmark(ink: Plane, random: np.random.Generator, x: int, y: int) -> None:
    strength = (int(random.uniform(90, 200)),)
    centre = (x - int(random.uniform(0, 60)), y + int(random.uniform(-20, 30)))
    cv2.circle(ink, centre, 46, strength, 2, cv2.LINE_AA)
    cv2.circle(ink, centre, 33, strength, 1, cv2.LINE_AA)
    date = f"{random.integers(1, 29)}.{random.integers(1, 13)}.26"
    cv2.putText(ink, date, (centre[0] - 28, centre[1] + 5), _PLAIN, 0.9, strength, 1, cv2.LINE_AA)
    length, phase = int(random.uniform(120, 240)), random.uniform(0, 6)
    columns = np.arange(centre[0] - 50 - length, centre[0] - 50)
    for row in range(5):
        wave = centre[1] - 36 + 18 * row + 5 * np.sin(columns / 12 + phase)
        points = np.stack([columns, wave], 1).round().astype(np.int32)
        cv2.polylines(ink, [points], isClosed=False, color=strength, thickness=2, lineType=cv2.LINE_AA)


def draw_sender(ink: Plane, random: np.random.Generator) -> None:
    """Draw a printed return address in the upper left corner, with a postcode of its own."""
    if random.random() < 0.3:
        return
    x, y, scale = int(random.uniform(20, 45)), int(random.uniform(24, 44)), random.uniform(0.8, 1.1)
    lines = ("Muster GmbH", f"Ringstr. {random.integers(1, 200)}", f"{random.integers(10000, 99999)} Stadt")
    for row, line in enumerate(lines):
        cv2.putText(ink, line, (x, y + 18 * row), _PLAIN, scale, (220,), 1, cv2.LINE_AA)


def draw_smudges(ink: Plane, random: np.random.Generator, around: tuple[float, float]) -> None:
    """Draw blurred stains, some of them near a point of the address."""
    for _ in range(int(random.poisson(0.6))):
        near = random.random() < 0.5
        x = around[0] + random.normal(0, 70) if near else random.uniform(0, WIDTH_PX)
        y = around[1] + random.normal(0, 25) if near else random.uniform(0, HEIGHT_PX)
        size = int(random.uniform(16, 60))
        patch = np.zeros((2 * size, 2 * size), np.uint8)
        axes = (int(size * random.uniform(0.3, 0.6)), int(size * random.uniform(0.15, 0.5)))
        strength = (int(random.uniform(20, 90)),)
        cv2.ellipse(patch, (size, size), axes, random.uniform(0, 180), 0, 360, strength, -1)
        patch = cv2.blur(patch, (size // 2 | 1, size // 2 | 1))
        x0, y0 = max(int(x) - size, 0), max(int(y) - size, 0)
        part = ink[y0 : y0 + 2 * size, x0 : x0 + 2 * size]
        part[:] = cv2.add(part, patch[: part.shape[0], : part.shape[1]])


def draw_scratches(ink: Plane, random: np.random.Generator, around: tuple[float, float]) -> None:
    """Draw thin stray lines, folds and specks."""
    for _ in range(int(random.poisson(0.3))):
        x, y = around[0] + random.normal(0, 150), around[1] + random.normal(0, 60)
        angle, length = random.uniform(0, np.pi), random.uniform(20, 160)
        end = (int(x + length * np.cos(angle)), int(y + length * np.sin(angle)))
        cv2.line(ink, (int(x), int(y)), end, (int(random.uniform(60, 180)),), 1, cv2.LINE_AA)
    for _ in range(int(random.poisson(12))):
        x, y = random.uniform(0, WIDTH_PX), random.uniform(0, HEIGHT_PX)
        cv2.circle(ink, (int(x), int(y)), int(random.integers(1, 3)), (int(random.uniform(60, 220)),), -1)
