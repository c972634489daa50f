"""What jobs may be told: checked, and refused with the place and the reason."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.errors import InvalidInputError
from services.jobs.params import (
    PARAMS_OF,
    WORDS_OF,
    EvaluationParams,
    JobRequest,
    TrainingParams,
    explain,
    validate_params,
)
from services.jobs.record import JobKind
from services.jobs.workloads import evaluation_execution
from services.networks.network import Network
from services.settings import Settings


def test_every_long_kind_has_its_options() -> None:
    assert set(PARAMS_OF) == {kind for kind in JobKind if kind.is_long}


def test_options_left_out_have_their_defaults() -> None:
    params = validate_params(JobKind.TRAINING, {})

    assert params == TrainingParams()
    assert isinstance(params, TrainingParams)
    assert (params.recipe, params.network, params.seed) == ("strong", Network.perceptron((256, 256)), 0)


def test_options_survive_being_stored() -> None:
    params = validate_params(
        JobKind.TRAINING, {"epochs": 3, "network": {"hidden": [5, 7], "num_sends": [1, 2, 3]}}
    )

    assert validate_params(JobKind.TRAINING, params.model_dump()) == params
    assert params.model_dump()["network"]["hidden"] == [5, 7]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"epoch": 1},
            r"params\.epoch: unknown field; known are batch_size, chip_epochs, chip_learning_rate, dataset, epochs",
        ),
        ({"epochs": 0}, r"params\.epochs: .*greater than or equal to 1, got 0"),
        ({"epochs": "4"}, r"params\.epochs: .*integer, got '4'"),
        ({"epochs": True}, r"params\.epochs: .*integer"),
        ({"learning_rate": float("nan")}, r"params\.learning_rate"),
        ({"learning_rate": float("inf")}, r"params\.learning_rate"),
        ({"recipe": "weak"}, r"params\.recipe: .*'notebook', 'strong' or 'conv', got 'weak'"),
        ({"seed": -1}, r"params\.seed"),
        ({"seed": 2**53}, r"params\.seed"),
        ({"network": {"hidden": []}}, r"params\.network\.hidden: .*at least 1 item"),
        ({"network": {"hidden": [0]}}, r"params\.network\.hidden\.0: "),
        ({"network": {"hidden": [8], "shift": 8}}, r"params\.network\.shift: "),
        (
            {"network": [{"type": "conv2d", "out_channels": 4, "kernel_sise": 5}]},
            r"params\.network\.layers\.0\.conv2d\.kernel_sise: unknown field; known are bias, kernel_size, num_sends",
        ),
        ({"network": {"layers": [{"type": "pool"}]}}, r"params\.network\.layers\.0: .*'pool'.*'conv2d'"),
        ({"network": 3}, r"params\.network: "),
        ({"dataset": "letters"}, r"params\.dataset: "),
    ],
)
def test_a_wrong_option_is_refused_with_its_place_and_the_allowed_values(
    params: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        validate_params(JobKind.TRAINING, params)


def test_every_wrong_option_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"params\.epochs.*; params\.seed"):
        validate_params(JobKind.TRAINING, {"epochs": 0, "seed": -1})


def test_an_unknown_field_inside_another_is_refused_with_the_known_fields() -> None:
    with pytest.raises(InvalidInputError, match=r"params\.network\.depth: unknown field") as refusal:
        validate_params(JobKind.TRAINING, {"network": {"depth": 1}})

    assert "hidden" in refusal.value.message


def test_a_huge_wrong_value_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        validate_params(JobKind.EVALUATION, {"dataset": "x" * 100_000})

    assert len(refusal.value.message) < 400


def test_an_evaluation_is_of_the_latest_version_unless_told_otherwise() -> None:
    assert validate_params(JobKind.EVALUATION, {}) == EvaluationParams(version="latest")


@pytest.mark.parametrize("kind", ["classification", "dancing", "Training", ""])
def test_a_kind_that_cannot_be_submitted_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="kind"):
        JobRequest.model_validate({"kind": kind, "model": "digits"})


@pytest.mark.parametrize("model", ["../x", "", "Digits", "a" * 65, "digits\n", "a b", "ä"])
def test_a_model_cannot_be_called_anything(model: str) -> None:
    with pytest.raises(ValidationError, match="model"):
        JobRequest.model_validate({"kind": "training", "model": model})


def test_an_explanation_has_the_field_the_error_and_the_value() -> None:
    with pytest.raises(ValidationError) as refusal:
        JobRequest.model_validate({"kind": "training", "model": 3})

    assert explain(refusal.value, JobRequest) == "model: Input should be a valid string, got 3"


def test_a_name_of_another_form_is_refused_in_words() -> None:
    with pytest.raises(ValidationError) as refusal:
        JobRequest.model_validate({"kind": "training", "model": "My Digits"})

    said = explain(refusal.value, JobRequest)
    assert "beginning with a letter or a digit" in said
    assert "got 'My Digits'" in said
    assert "^" not in said


def test_every_pattern_of_a_setting_has_words() -> None:
    fields = Settings.model_json_schema()["properties"].values()

    assert {field["pattern"] for field in fields if "pattern" in field} <= WORDS_OF.keys()


@pytest.mark.parametrize(("backend", "where"), [("mock", "mock"), ("emulator", "chip"), ("hxtorch", "chip")])
def test_an_evaluation_measures_where_the_version_serves(backend: str, where: str) -> None:
    assert evaluation_execution(EvaluationParams(), backend) == where
    assert evaluation_execution(EvaluationParams(execution="mock"), backend) == "mock"
    assert EvaluationParams().on_chip
