"""What jobs may be told: checked, and refused with the place and the reason."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.errors import InvalidInputError
from services.explanations import WORDS_OF, explain
from services.jobs.params import (
    PARAMS_OF,
    EvaluationParams,
    TrainingParams,
    validate_params,
)
from services.jobs.phases import evaluation_execution, training_execution
from services.jobs.record import JobKind
from services.jobs.request import JobRequest
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
        ({"recipe": "weak"}, r"params\.recipe: .*'notebook', 'strong', 'conv' or 'adapt', got 'weak'"),
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
        ({"dataset": "Letters"}, r"params\.dataset: .*a data set is named by up to 64 of a-z.*got 'Letters'"),
        ({"dataset": "mine@latest"}, r"params\.dataset: .*the number of a version"),
        ({"dataset": 3}, r"params\.dataset: a data set is a name, a mixture a mapping"),
        ({"dataset": {}}, r"params\.dataset: a mixture has 1 to 16 data sets"),
        ({"dataset": {"mine": 0}}, r"params\.dataset: the weight of 'mine' should be a number above 0"),
        ({"dataset": {"mine": 1001}}, r"params\.dataset: the weight of 'mine' .* at most 1000"),
        ({"dataset": {"mine": "20"}}, r"params\.dataset: the weight of 'mine' should be a number"),
        ({"dataset": {"mine": float("nan")}}, r"params\.dataset: the weight of 'mine' should be a number"),
        ({"dataset": {"Mine": 1}}, r"params\.dataset: a data set is named by"),
        (
            {"recipe": "adapt", "dataset": "mine"},
            r"the recipe 'adapt' continues a version; name it in start_from",
        ),
        (
            {"recipe": "adapt", "start_from": "1"},
            r"the recipe 'adapt' learns digits of your own; name their data set",
        ),
        (
            {"epochs": 0, "start_from": "1", "chip_epochs": 2},
            r"with 0 epochs nothing is learnt: leave out chip_epochs",
        ),
        ({"epochs": 0, "start_from": "1", "execution": "mock-then-chip"}, r"name one place to execute"),
    ],
)
def test_a_wrong_option_is_refused_with_its_place_and_the_allowed_values(
    params: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        validate_params(JobKind.TRAINING, params)


@pytest.mark.parametrize(
    "dataset",
    [
        "mnist",
        "mine",
        "mine@3",
        "ada~mine@3",
        "mine@0123abcd",
        {"mnist": 1, "ada~mine@2": 20},
        {"digits": 0.25},
    ],
)
def test_a_data_set_or_a_mixture_is_taken(dataset: str | dict[str, float]) -> None:
    params = validate_params(JobKind.TRAINING, {"dataset": dataset})

    assert isinstance(params, TrainingParams)
    assert params.dataset == dataset
    assert validate_params(JobKind.TRAINING, params.model_dump()) == params


def test_a_training_without_epochs_needs_a_version() -> None:
    params = validate_params(JobKind.TRAINING, {"epochs": 0, "start_from": "digits@2"})

    assert isinstance(params, TrainingParams)
    assert params.epochs == 0


@pytest.mark.parametrize(("backend", "where"), [("mock", "mock"), ("emulator", "chip"), ("hxtorch", "chip")])
@pytest.mark.parametrize("given", [{"recipe": "adapt", "dataset": "mine"}, {"epochs": 0}])
def test_what_goes_on_briefly_is_in_one_place(backend: str, where: str, given: dict[str, Any]) -> None:
    params = validate_params(JobKind.TRAINING, {"start_from": "1", **given})

    assert isinstance(params, TrainingParams)
    assert training_execution(params, backend) == where


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
