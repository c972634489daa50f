"""From scores to a postcode of the directory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxserve_letters.directory import (
    Directory,
    DirectoryInvalidError,
    every_number,
    invent_directory,
    load_directory,
)
from hxserve_letters.likelihoods import find_scale, log_likelihoods
from hxserve_letters.postcodes import TOWN_BY_REGION, route_of
from hxserve_letters.reading import likely_paths, read_postcode
from hxserve_pictures.segmentation import Cuts, Span


def some_cuts(spans: list[Span], pieces: int, weights: list[float] | None = None) -> Cuts:
    """Cuts of these spans, with crops that are not read."""
    return Cuts(
        30.0,
        pieces,
        tuple(weights or [1 / pieces] * pieces),
        tuple(spans),
        np.zeros((len(spans), 28, 28), np.uint8),
        np.zeros((len(spans), 4), np.int64),
        np.eye(2, 3),
    )


def scores_of(digits: str, lead: float = 80.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Scores that say these digits, one row each."""
    scores = np.zeros((len(digits), 10))
    scores[range(len(digits)), [int(digit) for digit in digits]] = lead
    return scores


FIVE = [Span(place, place, 0.0) for place in range(5)]


def read(cuts: Cuts, scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]], directory: Directory) -> str:
    likelihoods = log_likelihoods(scores, 0.1)
    reading = read_postcode(likely_paths(cuts, likelihoods), likelihoods, directory)
    assert reading is not None
    return reading.postcode


def test_clear_digits_are_read_as_they_are(directory: Directory) -> None:
    postcode = directory.text(123)

    assert read(some_cuts(FIVE, 5), scores_of(postcode), directory) == postcode


def test_a_doubtful_digit_is_decided_by_what_exists(tmp_path: Path) -> None:
    path = tmp_path / "codes.txt"
    path.write_text("10115 Berlin\n80331\n")
    scores = scores_of("10115")
    scores[4] = 0.0
    scores[4, 7], scores[4, 5] = 30.0, 20.0

    assert read(some_cuts(FIVE, 5), scores, load_directory(path)) == "10115"
    assert read(some_cuts(FIVE, 5), scores, every_number()) == "10117"


def test_of_two_cuts_the_one_that_reads_better_is_taken(directory: Directory) -> None:
    postcode = directory.text(500)
    spans = [*FIVE[:4], Span(4, 4, 1.0), Span(5, 5, 1.0), Span(4, 5, 0.0)]
    scores = np.vstack([scores_of(postcode[:4]), scores_of("11", lead=3.0), scores_of(postcode[4])])

    assert read(some_cuts(spans, 6), scores, directory) == postcode


def test_a_speck_between_digits_can_be_left_out(directory: Directory) -> None:
    postcode = directory.text(900)
    spans = [Span(place, place, 0.0) for place in range(6)]
    scores = np.vstack([scores_of(postcode[:2]), np.zeros((1, 10)), scores_of(postcode[2:])])
    weights = [0.2, 0.2, 0.01, 0.2, 0.2, 0.19]

    assert read(some_cuts(spans, 6, weights), scores, directory) == postcode


def test_too_few_spans_make_no_postcode(directory: Directory) -> None:
    cuts = some_cuts([Span(0, 4, 0.0)], 5)

    assert likely_paths(cuts, log_likelihoods(scores_of("1"), 0.1)) == []
    assert read_postcode([], log_likelihoods(scores_of("1"), 0.1), directory) is None


def test_doubt_lowers_the_confidence(directory: Directory) -> None:
    postcode = directory.text(77)
    cuts = some_cuts(FIVE, 5)
    confidences = []
    for lead in (80.0, 40.0, 10.0):
        likelihoods = log_likelihoods(scores_of(postcode, lead), 0.1)
        reading = read_postcode(likely_paths(cuts, likelihoods), likelihoods, directory)
        assert reading is not None
        assert reading.confidence >= reading.postcode_confidence
        confidences.append(reading.confidence)

    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] > 0.95
    assert confidences[2] < 0.7


@given(st.floats(0.02, 0.4), st.integers(0, 2**32 - 1))
def test_the_scale_of_the_service_is_found_from_its_answers(scale: float, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(-60, 60, (200, 10)).astype(float)
    logits = scale * (scores - scores.max(1, keepdims=True))
    confidences = (1 / np.exp(logits).sum(1)).round(4)

    found = find_scale(scores, confidences)

    tells = ((confidences < 0.995) & (confidences > 0.15)).sum()
    assert tells < 5 or abs(found - scale) < 0.05 * scale


def test_likelihoods_of_the_ten_digits_add_up_to_one() -> None:
    scores = np.random.default_rng(0).integers(-128, 128, (3, 7, 10)).astype(float)

    assert np.allclose(np.exp(log_likelihoods(scores, 0.09)).sum(-1), 1)


def test_the_invented_directory_has_the_size_of_the_real_one() -> None:
    directory = invent_directory()

    assert len(directory) == 8550
    assert {directory.text(number)[:2] for number in range(len(directory))} == set(TOWN_BY_REGION)


@pytest.mark.parametrize("content", ["1011\n", "1011a\n", "00115\n", "", "10115\n٤0115\n"])
def test_a_directory_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "codes.txt"
    path.write_text(content)

    with pytest.raises(DirectoryInvalidError):
        load_directory(path)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryInvalidError, match="cannot be read"):
        load_directory(tmp_path / "none.txt")


def test_postcodes_lead_to_region_and_vehicle() -> None:
    route = route_of("04109")

    assert route is not None
    assert (route.zone, route.region, route.town, route.vehicle) == ("0", "04", "Leipzig", "lorry 0")


@pytest.mark.parametrize("postcode", ["00115", "05123", "11111", "43000", "62999", "1234", "1234a", "123456"])
def test_what_is_no_postcode_leads_nowhere(postcode: str) -> None:
    assert route_of(postcode) is None


def test_every_region_has_a_gate_of_its_own() -> None:
    gates = {route.gate for region in TOWN_BY_REGION if (route := route_of(region + "000"))}

    assert gates == set(range(1, len(TOWN_BY_REGION) + 1))
