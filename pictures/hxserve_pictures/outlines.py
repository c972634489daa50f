"""Facts about ink that tell a digit from the ground between strokes, from shadows and from sheets of paper."""

import cv2
import numpy as np

from hxserve_pictures.ink import SMALL, Plane, area


def evenness(tones: Plane, ground: Plane, mask: Plane, box: tuple[int, int, int, int]) -> float:
    """Return the share of the pixels about the ink that are nearer to the ground's tone than to the ink's."""
    left, top, right, bottom = box
    size = max(right - left, bottom - top)
    margin, inner = max(1, size // 4), size // 25
    region = np.s_[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    up, over = min(margin, top), min(margin, left)
    about = tones[region]
    is_about = np.ones(about.shape, np.uint8)
    is_about[up : up + bottom - top, over : over + right - left] = 1 - cv2.dilate(mask, area(3, 3))
    is_about[up + inner : up + bottom - top - inner, over + inner : over + right - left - inner] = 0
    here = np.s_[top:bottom, left:right]
    pen, paper = cv2.mean(tones[here], mask)[0], cv2.mean(ground[here], mask)[0]
    count = cv2.countNonZero(is_about)
    if not count:
        return 1.0
    _, light = cv2.threshold(about, pen + 0.35 * (paper - pen), 1, cv2.THRESH_BINARY)
    return float(cv2.countNonZero(light & is_about)) / count


def sharpness(ink: Plane, mask: Plane, box: tuple[int, int, int, int], full: float) -> float:
    """Return the fall of the ink across its outline, as a part of a full stroke's."""
    left, top, right, bottom = box
    width = max(1, round(0.01 * min(ink.shape)))
    near = area(2 * width + 1, 2 * width + 1)
    inside = cv2.subtract(mask, cv2.erode(mask, near, borderType=cv2.BORDER_CONSTANT, borderValue=0))
    outside = cv2.subtract(cv2.dilate(mask, near), mask)
    here = ink[top:bottom, left:right]
    if not cv2.countNonZero(outside):
        return 1.0
    return float(cv2.mean(here, inside)[0] - cv2.mean(here, outside)[0]) / max(full, 1.0)


def is_sheet(mask: Plane, inked: int, whole: int) -> bool:
    """Return whether this is a sheet of paper rather than ink: large, solid, with four straight edges."""
    height, width = mask.shape
    if (
        height * width <= 0.12 * whole
        or inked <= 0.4 * height * width
        or min(mask.shape) < 2
        or whole < SMALL**2
    ):
        return False
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = max(outlines, key=cv2.contourArea)
    filled = float(cv2.contourArea(outline))
    one, other = cv2.minAreaRect(outline)[1]
    return bool(
        filled > 0.82 * one * other and inked > 0.6 * filled and min(one, other) > 0.3 * max(one, other)
    )
