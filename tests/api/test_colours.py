"""The hues of the charts: colour-blind people can tell each two apart, and all stand out from the panel."""

import re
from importlib import resources
from itertools import combinations
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

HUES: Final = ("blue", "orange", "green", "purple", "yellow", "grey")
MODES: Final = ("light", "dark")
APART: Final = 15.0
"""CIE 1976 colour difference; 2.3 is what one just notices when both lie side by side."""
STANDS_OUT: Final = 3.0
"""Contrast of what is drawn with what is around it, WCAG 2.2, success criterion 1.4.11."""

SIGHT: Final[dict[str, NDArray[np.float64]]] = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""What somebody sees of linear RGB. Source: Machado, Oliveira and Fernandes 2009, severity 1."""

_TO_XYZ: Final = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE: Final = _TO_XYZ.sum(axis=1)


def _linear(name: str, mode: str) -> NDArray[np.float64]:
    """A colour of the style sheet as linear RGB, (3,), 0..1."""
    css = resources.files("api").joinpath("static", "page.css").read_text("utf-8")
    found = re.search(rf"--{name}: light-dark\(#(\w{{6}}), #(\w{{6}})\);", css)
    assert found, name
    text = found[1 + MODES.index(mode)]
    parts = np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def _lab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = _TO_XYZ @ np.clip(linear, 0, 1) / _WHITE
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sight", SIGHT)
def test_each_two_hues_can_be_told_apart(sight: str, mode: str) -> None:
    seen = {hue: _lab(SIGHT[sight] @ _linear(hue, mode)) for hue in HUES}

    differences = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in combinations(HUES, 2)}

    assert min(differences.values()) > APART, min(differences, key=lambda pair: differences[pair])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("hue", HUES)
def test_a_hue_stands_out_from_the_panel(hue: str, mode: str) -> None:
    darker, brighter = sorted(float(_TO_XYZ[1] @ _linear(name, mode)) for name in (hue, "panel"))

    assert (brighter + 0.05) / (darker + 0.05) > STANDS_OUT
