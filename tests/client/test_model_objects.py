"""Models and versions as objects."""

import numpy as np
import pytest

from hxserve import Client, ServiceError
from tests.client.records import JOB_ID
from tests.client.service import Service

CROP = np.zeros((28, 28), np.uint8)


def test_the_latest_version_reads_with_one_request(service: Service, client: Client) -> None:
    predictions = client.models["digits"].latest.classify(CROP, repeats=3)

    assert predictions.digits == [0]
    assert [request.path for request in service.requests] == ["/v1/models/digits/classify"]
    assert service.requests[0].query["repeats"] == "3"


@pytest.mark.parametrize("version", [7, "7", "production"])
def test_a_version_is_an_item_by_number_or_alias(
    service: Service, client: Client, version: str | int
) -> None:
    client.models["digits"][version].classify(CROP)

    assert service.requests[0].path == f"/v1/models/digits/versions/{version}/classify"


def test_an_alias_is_an_attribute(client: Client) -> None:
    model = client.models["digits"]

    assert repr(model.latest) == "Version('digits', 'latest')"
    with pytest.raises(AttributeError, match="no alias or attribute 'clasify'; its aliases are latest"):
        model.clasify  # noqa: B018 asking is what fails


def test_versions_have_their_accuracy_and_manifest(client: Client) -> None:
    (version,) = client.models["digits"].versions

    assert (version.number, version.accuracy) == ("1", 0.98)
    assert version.manifest["recipe"]


def test_models_are_a_mapping_and_still_a_list_when_called(client: Client) -> None:
    assert list(client.models) == ["digits", "ada~letters"]
    assert "digits" in client.models
    assert "letters" not in client.models
    assert [model["name"] for model in client.models()] == ["digits", "ada~letters"]
    assert "ada~letters" in client.models._repr_html_()
    assert "98.00%" in client.models["digits"]._repr_html_()


def test_a_version_is_measured_compared_and_trained_on(service: Service, client: Client) -> None:
    model = client.models["digits"]

    assert model.latest.evaluate(repeats=2).id == JOB_ID
    model[2].compare(against=1)
    model[2].staircase(chip_epochs=0)
    model.train(epochs=3)

    kinds = [request.json["kind"] for request in service.requests]
    assert kinds == ["evaluation", "comparison", "staircase", "training"]
    assert [request.json["params"] for request in service.requests] == [
        {"version": "latest", "repeats": 2},
        {"version": "2", "against": "1"},
        {"version": "2", "chip_epochs": 0},
        {"epochs": 3},
    ]


def test_a_model_that_is_not_there_is_an_error_when_it_is_used(client: Client) -> None:
    with pytest.raises(ServiceError, match="not_found"):
        _ = client.models["letterz"].versions
