"""The Open Inference Protocol: tensors as JSON and as bytes, in both directions."""

import gzip
import json
import zlib
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.models.files import ModelStore
from services.store.connection import Connection
from tests.api.inference import (
    COUNT,
    INFER,
    LENGTH,
    expected_outputs,
    infer_bytes,
    infer_json,
    outputs_of,
    refused,
    some_images,
    tensor_of,
)
from tests.services.chip import Chip
from tests.services.samples import some_crops


@pytest.mark.parametrize("shape", [(COUNT, 28, 28), (COUNT, 784)])
@pytest.mark.usefixtures("chip")
def test_json_tensors_come_back_as_json(client: FlaskClient, shape: tuple[int, ...]) -> None:
    answer = infer_json(client, {"inputs": [tensor_of(some_images().reshape(shape))]})

    assert answer.content_type == "application/json"
    assert outputs_of(answer) == expected_outputs()


@pytest.mark.usefixtures("chip")
def test_json_numbers_may_be_in_a_row(client: FlaskClient) -> None:
    answer = infer_json(client, {"inputs": [tensor_of(some_images(), data=some_images().ravel().tolist())]})

    assert outputs_of(answer) == expected_outputs()


@pytest.mark.parametrize("count", [1, COUNT, 130])
@pytest.mark.usefixtures("chip")
def test_tensors_as_bytes_come_back_as_bytes(client: FlaskClient, count: int) -> None:
    answer = infer_bytes(client, some_images(count))

    assert answer.content_type == "application/octet-stream"
    assert all(
        "data" not in tensor for tensor in json.loads(answer.data[: int(answer.headers[LENGTH])])["outputs"]
    )
    assert outputs_of(answer) == expected_outputs(count)


@pytest.mark.usefixtures("chip")
def test_a_body_without_json_is_one_tensor_of_bytes(client: FlaskClient) -> None:
    answer = client.post(INFER, data=some_images().tobytes(), headers={LENGTH: "0"})

    assert outputs_of(answer) == expected_outputs()


@pytest.mark.usefixtures("chip")
def test_floats_from_0_to_1_are_the_same_crops(client: FlaskClient) -> None:
    unit = (some_images() / 255).astype("<f4")

    assert outputs_of(infer_bytes(client, unit, "FP32")) == expected_outputs()
    assert outputs_of(infer_json(client, {"inputs": [tensor_of(unit, "FP32")]})) == expected_outputs()


@pytest.mark.usefixtures("chip")
def test_only_the_outputs_asked_for_come_each_in_the_way_asked_for(client: FlaskClient) -> None:
    wanted = [{"name": "scores", "parameters": {"binary_data": False}}, {"name": "digits"}]

    answer = infer_bytes(client, some_images(), outputs=wanted)

    head = json.loads(answer.data[: int(answer.headers[LENGTH])])
    assert [(tensor["name"], "data" in tensor) for tensor in head["outputs"]] == [
        ("scores", True),
        ("digits", False),
    ]
    assert outputs_of(answer) == {name: expected_outputs()[name] for name in ("scores", "digits")}


@pytest.mark.usefixtures("chip")
def test_an_answer_has_the_requests_id_and_says_where_it_came_from(client: FlaskClient) -> None:
    answer = infer_json(client, {"id": "seven", "inputs": [tensor_of(some_images())]}).get_json()

    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("seven", "digits", "2")
    assert (answer["parameters"]["chip"], answer["parameters"]["backend"]) == ("chip-1", "mock")
    assert {"waiting_ms", "chip_ms", "total_ms"} <= set(answer["parameters"])


@pytest.mark.parametrize(("version", "meant"), [("1", "1"), ("latest", "2")])
@pytest.mark.usefixtures("chip")
def test_a_version_or_alias_can_be_asked(client: FlaskClient, version: str, meant: str) -> None:
    body = json.dumps({"inputs": [tensor_of(some_images())]})

    answer = client.post(f"/v2/models/digits/versions/{version}/infer", data=body)

    assert answer.get_json()["model_version"] == meant


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.usefixtures("chip")
def test_bodies_may_be_compressed_both_ways(client: FlaskClient, encoding: str, compress: Any) -> None:
    plain = json.dumps({"inputs": [tensor_of(some_images(130))]}).encode()

    answer = client.post(
        INFER, data=compress(plain), headers={"Content-Encoding": encoding, "Accept-Encoding": encoding}
    )

    assert answer.headers["Content-Encoding"] == encoding
    answer.data = gzip.decompress(answer.data) if encoding == "gzip" else zlib.decompress(answer.data)
    assert outputs_of(answer) == expected_outputs(130)


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
@pytest.mark.usefixtures("chip")
def test_an_answer_is_not_compressed_for_who_does_not_take_it(client: FlaskClient, accepted: str) -> None:
    answer = client.post(
        INFER, data=some_images(130).tobytes(), headers={LENGTH: "0", "Accept-Encoding": accepted}
    )

    assert "Content-Encoding" not in answer.headers
    assert outputs_of(answer) == expected_outputs(130)


@pytest.mark.usefixtures("idle_chip")
def test_a_timeout_is_the_deadline_of_the_crops(client: FlaskClient, connection: Connection) -> None:
    body = {"inputs": [tensor_of(some_images(65))], "parameters": {"timeout": 200_000}}

    said = refused(infer_json(client, body), 503)

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    seconds, _ = connection.client.time()
    assert "not run in time" in said
    assert int(stored[0][1][b"deadline"]) / 1000 == pytest.approx(seconds, abs=30)


def test_what_was_not_run_in_time_is_not_run_at_all(client: FlaskClient, idle_chip: Chip) -> None:
    body = {"inputs": [tensor_of(some_images())], "parameters": {"timeout": 1000}}

    answer = infer_json(client, body)

    assert answer.headers["Retry-After"]
    assert [job["state"] for job in client.get("/v1/jobs").get_json()["jobs"]] == ["cancelled"]
    assert idle_chip.work_once() == 0


@pytest.mark.usefixtures("idle_chip")
def test_crops_carry_how_often_they_are_to_be_read(client: FlaskClient, connection: Connection) -> None:
    infer_json(client, {"inputs": [tensor_of(some_images())], "parameters": {"timeout": 1000, "repeats": 7}})

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    assert [int(entry[b"repeats"]) for _, entry in stored] == [7]


@pytest.mark.usefixtures("chip")
def test_a_priority_and_parameters_of_others_are_taken(client: FlaskClient) -> None:
    body = {
        "inputs": [tensor_of(some_images())],
        "parameters": {"priority": 2, "colour": "red", "sequence_id": 0},
    }

    assert outputs_of(infer_json(client, body)) == expected_outputs()


@pytest.mark.usefixtures("chip")
def test_the_same_request_with_the_same_key_is_run_once(client: FlaskClient) -> None:
    headers = {LENGTH: "0", "Idempotency-Key": "k"}

    first, again = (client.post(INFER, data=some_crops(2), headers=headers) for _ in range(2))

    assert outputs_of(first) == outputs_of(again) == expected_outputs(2)
    assert len(client.get("/v1/jobs").get_json()["jobs"]) == 1


@pytest.mark.usefixtures("models")
def test_a_manifest_is_not_needed_to_say_what_a_model_takes(client: FlaskClient, models: ModelStore) -> None:
    models.weights_path("digits", "1").with_name("manifest.json").write_text("damaged")

    said = client.get("/v2/models/digits").get_json()

    assert (said["name"], said["versions"]) == ("digits", ["1", "2"])
    assert said["inputs"] == [{"name": "crops", "datatype": "UINT8", "shape": [-1, 28, 28]}]
