"""Finding postcodes, cutting them, and making crops of them, on seeded letters.

The limits are what was measured on these letters less a margin; what is lost here is rejected later.
"""

import numpy as np

from hxserve_letters.envelopes import Letter
from hxserve_letters.finding import find_postcode
from hxserve_letters.letter_state import other_looks
from hxserve_letters.postcodes import DIGITS
from hxserve_pictures.segmentation import cut
from tests.letters.conftest import points_in_picture


def test_most_postcodes_are_found_where_they_were_written(letters: list[Letter]) -> None:
    found = 0
    for letter in letters:
        field = find_postcode(letter.picture)
        if field is not None:
            points = points_in_picture(field.mask, field.to_picture)
            low, high = letter.boxes.min((0, 1)), letter.boxes.max((0, 1))
            found += bool((abs(points.min(0) - low) < 9).all() and (abs(points.max(0) - high) < 9).all())

    assert found >= 85


def test_most_postcodes_can_be_cut_at_the_edges_of_their_digits(letters: list[Letter]) -> None:
    right = 0
    for letter in letters:
        field = find_postcode(letter.picture)
        cuts = None if field is None else cut(field, DIGITS)
        if cuts is not None:
            boxes = cuts.boxes.astype(float)
            middles = (boxes[:, :2] + boxes[:, 2:]) / 2 @ cuts.to_picture[:, :2].T + cuts.to_picture[:, 2]
            wanted = letter.boxes.mean(1)
            distances = np.linalg.norm(middles[:, None] - wanted[None], axis=2)
            right += bool((distances.min(0) < 5).all())

    assert right >= 80


def test_a_blank_picture_has_no_postcode() -> None:
    assert find_postcode(np.full((440, 880), 220, np.uint8)) is None


def test_noise_alone_has_no_postcode_of_five_digits() -> None:
    noise = np.random.default_rng(0).normal(200, 6, (440, 880)).clip(0, 255).astype(np.uint8)

    field = find_postcode(noise)

    assert field is None or cut(field, DIGITS) is None


def test_spans_lie_between_their_neighbours(letters: list[Letter]) -> None:
    for letter in letters[:20]:
        field = find_postcode(letter.picture)
        cuts = None if field is None else cut(field, DIGITS)
        if cuts is None:
            continue
        assert cuts.pieces >= DIGITS
        assert len(cuts.crops) == len(cuts.spans) == len(cuts.boxes)
        assert abs(sum(cuts.weights) - 1) < 1e-6
        assert all(0 <= span.first <= span.last < cuts.pieces and span.cost >= 0 for span in cuts.spans)


def test_other_looks_lean_to_both_sides() -> None:
    upright = np.zeros((3, 28, 28), np.uint8)
    upright[:, 4:24, 13:15] = 255

    looks = other_looks(upright)

    assert looks.shape == (4, 3, 28, 28)
    tops = [np.flatnonzero(look[0, 5] > 60).mean() for look in looks[:2]]
    assert tops[0] < 13
    assert tops[1] > 14
