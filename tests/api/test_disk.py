"""A disk with too little room: trainings are refused, all else goes on."""

import pytest
from flask.testing import FlaskClient

from tests.api.requests import CLASSIFY, RAW
from tests.services.samples import some_crops


@pytest.fixture
def limits() -> dict[str, float]:
    """A floor that no disk is above."""
    return {"min_free_disk_bytes": 2**62}


@pytest.mark.usefixtures("chip")
def test_below_the_floor_a_training_is_refused_with_507_and_crops_are_read(client: FlaskClient) -> None:
    refused = client.post("/v1/jobs", json={"kind": "training", "model": "digits"})
    read = client.post(CLASSIFY, data=some_crops(3), content_type=RAW)
    evaluation = client.post("/v1/jobs", json={"kind": "evaluation", "model": "digits"})

    problem = refused.get_json()
    assert (refused.status_code, problem["code"], problem["retryable"]) == (507, "disk_low", True)
    assert "MiB free" in problem["detail"]
    assert (read.status_code, evaluation.status_code) == (200, 202)
    assert client.get("/v1/jobs").get_json()["jobs"][-1]["kind"] == "evaluation"
