"""QR codes for telephones."""

import re

import segno

from api.qr import qr_svg

LINK = "https://chip.example.org/c/7KQ2M9"


def test_a_link_is_drawn_with_every_dark_module_of_its_code() -> None:
    path = re.findall(r' d="([^"]*)"', qr_svg(LINK))[-1]

    dark = sum(sum(row) for row in segno.make(LINK, error="m", micro=False).matrix)
    assert sum(int(run.split("m")[0]) for run in path.split("h")[1:]) == dark


def test_the_drawing_has_no_style_of_its_own_which_a_pages_policy_would_refuse() -> None:
    assert "style" not in qr_svg(LINK)
    assert "width=" not in qr_svg(LINK)
