import pytest
import torch

from services.networks.network import Network
from worker.learning.arithmetic import Perceptron
from worker.learning.datasets import Dataset
from worker.learning.errors import NetworkInvalidError
from worker.learning.evaluation import EvaluationExecution, EvaluationReport, Evaluator
from worker.learning.network import build_network, resolve_spec, weights_of

OPEN_SPEC = Network.perceptron((30,))


def build_evaluator(
    dataset: Dataset,
    perceptron: Perceptron,
    execution: EvaluationExecution = "mock",
    seed: int = 0,
    repeats: int = 1,
) -> Evaluator:
    torch.manual_seed(1)
    network = build_network(OPEN_SPEC, perceptron, "mock")
    return Evaluator(
        resolve_spec(OPEN_SPEC, network),
        weights_of(network),
        dataset.train_images,
        dataset.train_labels,
        perceptron,
        execution=execution,
        seed=seed,
        repeats=repeats,
    )


def run(evaluator: Evaluator) -> EvaluationReport:
    while not evaluator.finished:
        evaluator.step()
    return evaluator.report()


@pytest.mark.parametrize("execution", ["float32", "quantised", "mock"])
def test_the_confusion_matrix_counts_every_crop_once(
    digits: Dataset, perceptron: Perceptron, execution: EvaluationExecution
) -> None:
    report = run(build_evaluator(digits, perceptron, execution))

    confusion = torch.tensor(report.confusion)
    assert report.execution == execution
    assert report.crops == 1437
    assert torch.equal(confusion.sum(1), digits.train_labels.bincount())
    assert report.accuracy == pytest.approx(float(confusion.trace()) / 1437)


def test_an_evaluation_runs_in_mini_batches(digits: Dataset, perceptron: Perceptron) -> None:
    evaluator = build_evaluator(digits, perceptron)

    steps = []
    while not evaluator.finished:
        steps.append(evaluator.step())

    assert [step.crops for step in steps] == [500, 500, 437]
    assert [step.step for step in steps] == [1, 2, 3]
    assert evaluator.steps_total == 3


def test_quantised_knows_no_chance_and_mock_does(digits: Dataset, perceptron: Perceptron) -> None:
    quantised = [run(build_evaluator(digits, perceptron, "quantised", seed)).loss for seed in (1, 2)]
    mock = [run(build_evaluator(digits, perceptron, "mock", seed)).loss for seed in (1, 2)]

    assert quantised[0] == quantised[1]
    assert mock[0] != mock[1]


def test_what_happens_between_two_steps_changes_nothing(digits: Dataset, perceptron: Perceptron) -> None:
    expected = run(build_evaluator(digits, perceptron))
    evaluator = build_evaluator(digits, perceptron)

    while not evaluator.finished:
        torch.randn(17)
        perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=5.0, gain=0.01))
        evaluator.step()

    assert evaluator.report() == expected


def test_the_mean_of_several_readings_scatters_less(digits: Dataset, perceptron: Perceptron) -> None:
    def scatter(repeats: int) -> float:
        losses = [
            run(build_evaluator(digits, perceptron, seed=seed, repeats=repeats)).loss for seed in range(5)
        ]
        return float(torch.tensor(losses).std())

    assert scatter(9) < 0.7 * scatter(1)


def test_nothing_read_makes_an_empty_report(digits: Dataset, perceptron: Perceptron) -> None:
    report = build_evaluator(digits, perceptron).report()

    assert (report.crops, report.accuracy, report.calibration_error) == (0, 0.0, 0.0)


def test_a_finished_evaluation_runs_no_further(digits: Dataset, perceptron: Perceptron) -> None:
    evaluator = build_evaluator(digits, perceptron)
    run(evaluator)

    with pytest.raises(RuntimeError, match="evaluation is finished"):
        evaluator.step()


def test_an_open_number_of_sends_is_refused(digits: Dataset, perceptron: Perceptron) -> None:
    weights = weights_of(build_network(OPEN_SPEC, perceptron, "mock"))

    with pytest.raises(NetworkInvalidError, match="leaves num_sends open"):
        Evaluator(OPEN_SPEC, weights, digits.test_images, digits.test_labels, perceptron)
