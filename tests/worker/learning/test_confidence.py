import pytest
import torch

from worker.learning.confidence import confidences, expected_calibration_error, fit_score_scale


def draw_labels(scores: torch.Tensor, scale: float) -> torch.Tensor:
    """Labels `(crops,)` that are distributed as `softmax(scale * scores)` says."""
    return torch.multinomial(torch.softmax(scores.to(torch.float32) * scale, 1), 1).squeeze(1)


def some_scores(crops: int) -> torch.Tensor:
    torch.manual_seed(1)
    return (torch.randn(crops, 10) * 25).clamp(-128, 127).to(torch.int8)


@pytest.mark.parametrize("scale", [0.02, 0.1, 0.3])
def test_the_scale_that_made_the_labels_is_found_again(scale: float) -> None:
    scores = some_scores(20_000)

    fitted = fit_score_scale(scores, draw_labels(scores, scale))

    assert fitted == pytest.approx(scale, rel=0.04)


def test_with_the_fitted_scale_confidence_and_accuracy_agree() -> None:
    scores = some_scores(20_000)
    labels = draw_labels(scores, 0.07)
    correct = scores.argmax(1) == labels

    fitted = expected_calibration_error(confidences(scores, fit_score_scale(scores, labels)), correct)
    too_sure = expected_calibration_error(confidences(scores, 0.2), correct)

    assert fitted < 0.01
    assert too_sure > 0.05


def test_a_network_without_errors_on_few_crops_is_not_infinitely_sure() -> None:
    scores = some_scores(30)

    scale = fit_score_scale(scores, scores.argmax(1))

    assert 0.01 < scale < 1


def test_a_network_worse_than_chance_gets_the_smallest_scale() -> None:
    scores = some_scores(30)

    assert fit_score_scale(scores, scores.argmin(1)) == pytest.approx(1e-4)


def test_confidence_is_the_probability_of_the_best_score() -> None:
    scores = torch.zeros(2, 10)
    scores[1, 3] = 50.0

    sure = confidences(scores, 0.1)

    assert sure.tolist() == pytest.approx([0.1, 1 / (1 + 9 * torch.tensor(-5.0).exp().item())])


def test_the_calibration_error_is_the_weighted_mean_gap_of_the_bins() -> None:
    sure = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 1.0])
    correct = torch.tensor([True, True, True, False, True, True, True])

    error = expected_calibration_error(sure, correct)

    assert error == pytest.approx((4 * 0.15 + 2 * 0.5 + 1 * 0.0) / 7, abs=1e-6)


def test_nothing_read_has_no_calibration_error() -> None:
    assert expected_calibration_error(torch.empty(0), torch.empty(0, dtype=torch.bool)) == 0.0
