"""The Open Inference Protocol: tensors as JSON and as bytes, in both directions, and its form of errors."""

import gzip
import json
import threading
import zlib
from typing import Any, Final

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from numpy.typing import NDArray
from werkzeug.test import TestResponse

from services.models.files import ModelStore
from services.store.connection import Connection
from tests.services.chip import Chip
from tests.services.samples import scores_of, some_crops

INFER: Final = "/v2/models/digits/infer"
LENGTH: Final = "Inference-Header-Content-Length"
COUNT: Final = 3
GZIPPED: Final = gzip.compress(bytes(784), mtime=0)


def _crops(count: int = COUNT) -> NDArray[np.uint8]:
    return np.frombuffer(some_crops(count), np.uint8).reshape(count, 28, 28)


def _tensor(values: NDArray[Any], datatype: str = "UINT8", **changes: Any) -> dict[str, Any]:
    tensor = {"name": "crops", "datatype": datatype, "shape": list(values.shape), "data": values.tolist()}
    return tensor | changes


def _in_json(client: FlaskClient, body: Any, **headers: str) -> TestResponse:
    return client.post(INFER, data=json.dumps(body), headers=headers)


def _in_bytes(
    client: FlaskClient, values: NDArray[Any], datatype: str = "UINT8", **changes: Any
) -> TestResponse:
    tail = values.tobytes()
    tensor = _tensor(values, datatype, parameters={"binary_data_size": len(tail)})
    del tensor["data"]
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}} | changes).encode()
    return client.post(INFER, data=head + tail, headers={LENGTH: str(len(head))})


def _outputs(answer: TestResponse) -> dict[str, list[Any]]:
    """The tensors of an answer, whichever way they came."""
    assert answer.status_code == 200, answer.get_data(as_text=True)
    body = answer.get_data()
    length = int(answer.headers.get(LENGTH, len(body)))
    said, tail = json.loads(body[:length]), body[length:]
    types: dict[str, np.dtype[Any]] = {
        "INT64": np.dtype("<i8"),
        "INT8": np.dtype("i1"),
        "FP32": np.dtype("<f4"),
    }
    values: dict[str, list[Any]] = {}
    for output in said["outputs"]:
        kind = types[output["datatype"]]
        if "data" in output:
            array = np.array(output["data"], kind)
        else:
            size = output["parameters"]["binary_data_size"]
            array, tail = np.frombuffer(tail[:size], kind), tail[size:]
        values[output["name"]] = array.reshape(output["shape"]).tolist()
    assert tail == b""
    return values


def _expected(count: int = COUNT) -> dict[str, list[Any]]:
    scores = scores_of(some_crops(count))
    return {
        "digits": scores.argmax(axis=1).tolist(),
        "scores": scores.tolist(),
        "confidences": [0.5] * count,
    }


def _refused(answer: TestResponse, status: int) -> str:
    """What an error says, once it is sure that it has the protocol's form and this status."""
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/json"
    assert set(answer.get_json()) == {"error"}
    said: str = answer.get_json()["error"]
    return said


@pytest.mark.parametrize("shape", [(COUNT, 28, 28), (COUNT, 784)])
@pytest.mark.usefixtures("chip")
def test_json_tensors_come_back_as_json(client: FlaskClient, shape: tuple[int, ...]) -> None:
    answer = _in_json(client, {"inputs": [_tensor(_crops().reshape(shape))]})

    assert answer.content_type == "application/json"
    assert _outputs(answer) == _expected()


@pytest.mark.usefixtures("chip")
def test_json_numbers_may_be_in_a_row(client: FlaskClient) -> None:
    answer = _in_json(client, {"inputs": [_tensor(_crops(), data=_crops().ravel().tolist())]})

    assert _outputs(answer) == _expected()


@pytest.mark.parametrize("count", [1, COUNT, 130])
@pytest.mark.usefixtures("chip")
def test_tensors_as_bytes_come_back_as_bytes(client: FlaskClient, count: int) -> None:
    answer = _in_bytes(client, _crops(count))

    assert answer.content_type == "application/octet-stream"
    assert all(
        "data" not in tensor for tensor in json.loads(answer.data[: int(answer.headers[LENGTH])])["outputs"]
    )
    assert _outputs(answer) == _expected(count)


@pytest.mark.usefixtures("chip")
def test_a_body_without_json_is_one_tensor_of_bytes(client: FlaskClient) -> None:
    answer = client.post(INFER, data=_crops().tobytes(), headers={LENGTH: "0"})

    assert _outputs(answer) == _expected()


@pytest.mark.usefixtures("chip")
def test_floats_from_0_to_1_are_the_same_crops(client: FlaskClient) -> None:
    unit = (_crops() / 255).astype("<f4")

    assert _outputs(_in_bytes(client, unit, "FP32")) == _expected()
    assert _outputs(_in_json(client, {"inputs": [_tensor(unit, "FP32")]})) == _expected()


@pytest.mark.usefixtures("chip")
def test_only_the_outputs_asked_for_come_each_in_the_way_asked_for(client: FlaskClient) -> None:
    wanted = [{"name": "scores", "parameters": {"binary_data": False}}, {"name": "digits"}]

    answer = _in_bytes(client, _crops(), outputs=wanted)

    head = json.loads(answer.data[: int(answer.headers[LENGTH])])
    assert [(tensor["name"], "data" in tensor) for tensor in head["outputs"]] == [
        ("scores", True),
        ("digits", False),
    ]
    assert _outputs(answer) == {name: _expected()[name] for name in ("scores", "digits")}


@pytest.mark.usefixtures("chip")
def test_an_answer_has_the_requests_id_and_says_where_it_came_from(client: FlaskClient) -> None:
    answer = _in_json(client, {"id": "seven", "inputs": [_tensor(_crops())]}).get_json()

    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("seven", "digits", "2")
    assert (answer["parameters"]["chip"], answer["parameters"]["backend"]) == ("chip-1", "mock")
    assert {"waiting_ms", "chip_ms", "total_ms"} <= set(answer["parameters"])


@pytest.mark.parametrize(("version", "meant"), [("1", "1"), ("latest", "2")])
@pytest.mark.usefixtures("chip")
def test_a_version_or_alias_can_be_asked(client: FlaskClient, version: str, meant: str) -> None:
    body = json.dumps({"inputs": [_tensor(_crops())]})

    answer = client.post(f"/v2/models/digits/versions/{version}/infer", data=body)

    assert answer.get_json()["model_version"] == meant


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.usefixtures("chip")
def test_bodies_may_be_compressed_both_ways(client: FlaskClient, encoding: str, compress: Any) -> None:
    plain = json.dumps({"inputs": [_tensor(_crops(130))]}).encode()

    answer = client.post(
        INFER, data=compress(plain), headers={"Content-Encoding": encoding, "Accept-Encoding": encoding}
    )

    assert answer.headers["Content-Encoding"] == encoding
    answer.data = gzip.decompress(answer.data) if encoding == "gzip" else zlib.decompress(answer.data)
    assert _outputs(answer) == _expected(130)


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
@pytest.mark.usefixtures("chip")
def test_an_answer_is_not_compressed_for_who_does_not_take_it(client: FlaskClient, accepted: str) -> None:
    answer = client.post(
        INFER, data=_crops(130).tobytes(), headers={LENGTH: "0", "Accept-Encoding": accepted}
    )

    assert "Content-Encoding" not in answer.headers
    assert _outputs(answer) == _expected(130)


@pytest.mark.usefixtures("idle_chip")
def test_a_timeout_is_the_deadline_of_the_crops(client: FlaskClient, connection: Connection) -> None:
    body = {"inputs": [_tensor(_crops(65))], "parameters": {"timeout": 200_000}}

    said = _refused(_in_json(client, body), 503)

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    seconds, _ = connection.client.time()
    assert "not run in time" in said
    assert int(stored[0][1][b"deadline"]) / 1000 == pytest.approx(seconds, abs=30)


def test_what_was_not_run_in_time_is_not_run_at_all(client: FlaskClient, idle_chip: Chip) -> None:
    body = {"inputs": [_tensor(_crops())], "parameters": {"timeout": 1000}}

    answer = _in_json(client, body)

    assert answer.headers["Retry-After"]
    assert [job["state"] for job in client.get("/v1/jobs").get_json()["jobs"]] == ["cancelled"]
    assert idle_chip.work_once() == 0


@pytest.mark.usefixtures("idle_chip")
def test_crops_carry_how_often_they_are_to_be_read(client: FlaskClient, connection: Connection) -> None:
    _in_json(client, {"inputs": [_tensor(_crops())], "parameters": {"timeout": 1000, "repeats": 7}})

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    assert [int(entry[b"repeats"]) for _, entry in stored] == [7]


@pytest.mark.usefixtures("chip")
def test_a_priority_and_parameters_of_others_are_taken(client: FlaskClient) -> None:
    body = {"inputs": [_tensor(_crops())], "parameters": {"priority": 2, "colour": "red", "sequence_id": 0}}

    assert _outputs(_in_json(client, body)) == _expected()


@pytest.mark.parametrize("limits", [{"max_waiting_crops": 2}])
@pytest.mark.usefixtures("idle_chip")
def test_a_full_queue_says_when_to_try_again(client: FlaskClient) -> None:
    answer = _in_json(client, {"inputs": [_tensor(_crops())]})

    assert "waiting crops" in _refused(answer, 429)
    assert answer.headers["Retry-After"]


WRONG: Final[list[tuple[dict[str, Any], str]]] = [
    ({}, "inputs"),
    ({"inputs": []}, "exactly one"),
    ({"inputs": [_tensor(_crops()), _tensor(_crops())]}, "exactly one"),
    ({"inputs": [_tensor(_crops(), name="images")]}, "images"),
    ({"inputs": [_tensor(_crops(), datatype="FP64")]}, "FP64"),
    ({"inputs": [_tensor(_crops(), datatype="BYTES")]}, "BYTES"),
    ({"inputs": [_tensor(_crops(), shape=[COUNT, 28, 27])]}, "shape [3, 28, 27]"),
    ({"inputs": [_tensor(_crops(), shape=[28, 28])]}, "shape [28, 28]"),
    ({"inputs": [_tensor(_crops(), shape=[784])]}, "shape [784]"),
    ({"inputs": [_tensor(_crops(), shape=[])]}, "shape []"),
    ({"inputs": [_tensor(_crops(), shape=[0, 784])]}, "at least 1"),
    ({"inputs": [_tensor(_crops(), shape=[-1, 784])]}, "shape"),
    ({"inputs": [_tensor(_crops(), shape=[2, 28, 28])]}, "expected [2, 28, 28]"),
    ({"inputs": [_tensor(_crops(), data=None)]}, "no data"),
    ({"inputs": [_tensor(_crops(), data=[])]}, "not all numbers"),
    ({"inputs": [_tensor(_crops(), data=["a"] * 784 * COUNT)]}, "not all numbers"),
    ({"inputs": [_tensor(_crops(), data=[True] * 784 * COUNT)]}, "not all numbers"),
    ({"inputs": [_tensor(_crops(), data=[[1, 2], [3]])]}, "unevenly"),
    ({"inputs": [_tensor(_crops(), data=[10**400])]}, "numbers"),
    ({"inputs": [_tensor(_crops(), data=[256] * 784 * COUNT)]}, "0 to 255"),
    ({"inputs": [_tensor(_crops(), data=[-1] * 784 * COUNT)]}, "0 to 255"),
    ({"inputs": [_tensor(_crops(), data=[0.5] * 784 * COUNT)]}, "whole numbers"),
    ({"inputs": [_tensor(_crops(), "FP32")]}, "from 0 to 1"),
    ({"inputs": [_tensor(_crops(), "FP32", data=[float("nan")] * 784 * COUNT)]}, "from 0 to 1"),
    ({"inputs": [_tensor(_crops(), parameters={"shared_memory_region": "x"})]}, "shared memory"),
    ({"inputs": [_tensor(_crops(), parameters={"binary_data_size": 784 * COUNT})]}, "bytes"),
    ({"inputs": [_tensor(_crops())], "outputs": [{"name": "labels"}]}, "'labels'"),
    (
        {"inputs": [_tensor(_crops())], "outputs": [{"name": "digits", "parameters": {"classification": 3}}]},
        "class",
    ),
    ({"inputs": [_tensor(_crops())], "parameters": {"sequence_id": 4}}, "sequence_id"),
    ({"inputs": [_tensor(_crops())], "parameters": {"timeout": -1}}, "timeout"),
    ({"inputs": [_tensor(_crops())], "parameters": {"repeats": 65}}, "repeats"),
    ({"inputs": [_tensor(_crops())], "parameters": {"priority": "high"}}, "priority"),
    ({"inputs": [_tensor(_crops())], "id": 7}, "id"),
]


@pytest.mark.parametrize(("body", "said"), WRONG, ids=[said for _, said in WRONG])
@pytest.mark.usefixtures("models")
def test_a_wrong_request_is_refused_with_what_is_wrong(
    client: FlaskClient, body: dict[str, Any], said: str
) -> None:
    assert said in _refused(_in_json(client, body), 400)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"null"])
@pytest.mark.usefixtures("models")
def test_what_is_no_json_object_is_refused(client: FlaskClient, body: bytes) -> None:
    _refused(client.post(INFER, data=body), 400)


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "\u00b2", "", "9" * 30, "99999999"])
@pytest.mark.usefixtures("models")
def test_a_wrong_length_of_the_json_is_refused(client: FlaskClient, length: str) -> None:
    assert LENGTH in _refused(client.post(INFER, data=b"{}", headers={LENGTH: length}), 400)


@pytest.mark.parametrize("cut", [1, 784, 784 * COUNT])
@pytest.mark.usefixtures("models")
def test_bytes_cut_off_are_refused_with_how_many_came(client: FlaskClient, cut: int) -> None:
    tail = _crops().tobytes()
    tensor = _tensor(_crops(), data=None, parameters={"binary_data_size": len(tail)})
    head = json.dumps({"inputs": [tensor]}).encode()

    answer = client.post(INFER, data=head + tail[:-cut], headers={LENGTH: str(len(head))})

    assert f"{len(tail) - cut} bytes came" in _refused(answer, 400)


@pytest.mark.parametrize("size", [0, 1, 784 * COUNT + 1, 2**62])
@pytest.mark.usefixtures("models")
def test_a_size_that_is_not_the_shapes_is_refused(client: FlaskClient, size: int) -> None:
    tail = _crops().tobytes()
    head = json.dumps(
        {"inputs": [_tensor(_crops(), data=None, parameters={"binary_data_size": size})]}
    ).encode()

    answer = client.post(INFER, data=head + tail, headers={LENGTH: str(len(head))})

    assert f"binary_data_size {size}" in _refused(answer, 400)


@pytest.mark.usefixtures("models")
def test_bytes_that_no_tensor_claims_are_refused(client: FlaskClient) -> None:
    head = json.dumps({"inputs": [_tensor(_crops())]}).encode()

    answer = client.post(INFER, data=head + b"more", headers={LENGTH: str(len(head))})

    assert "4 bytes follow the JSON" in _refused(answer, 400)


@pytest.mark.usefixtures("models")
def test_who_forgets_the_length_of_the_json_is_told_of_it(client: FlaskClient) -> None:
    tail = _crops().tobytes()
    tensor = _tensor(_crops(), data=None, parameters={"binary_data_size": len(tail)})

    answer = client.post(INFER, data=json.dumps({"inputs": [tensor]}).encode() + tail)

    assert LENGTH in _refused(answer, 400)


@pytest.mark.parametrize("rest", [1, 783])
@pytest.mark.usefixtures("models")
def test_a_body_without_json_must_be_whole_crops(client: FlaskClient, rest: int) -> None:
    answer = client.post(INFER, data=bytes(784 + rest), headers={LENGTH: "0"})

    assert "expected 1568" in _refused(answer, 400)


@pytest.mark.parametrize("limits", [{"max_crops_per_request": 2}])
@pytest.mark.usefixtures("models")
def test_more_crops_than_a_request_may_have_are_refused(client: FlaskClient) -> None:
    assert "at most 2" in _refused(_in_bytes(client, _crops()), 413)


@pytest.mark.usefixtures("models")
def test_a_body_larger_than_allowed_is_refused(client: FlaskClient) -> None:
    assert "larger" in _refused(client.post(INFER, data=bytes(2**20 + 1)), 413)


@pytest.mark.usefixtures("models")
def test_a_body_that_is_too_large_when_decompressed_is_refused(client: FlaskClient) -> None:
    bomb = gzip.compress(bytes(2**20 + 1))

    answer = client.post(INFER, data=bomb, headers={"Content-Encoding": "gzip", LENGTH: "0"})

    assert "decompressed" in _refused(answer, 413)


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"not gzip", 400),
        ("gzip", GZIPPED[:-4], 400),
        ("gzip", GZIPPED + b"more", 400),
        ("gzip", 2000 * gzip.compress(b""), 400),
        ("deflate", 2 * zlib.compress(bytes(784)), 400),
        ("deflate", zlib.compress(bytes(784))[:-1], 400),
        ("br", bytes(784), 415),
        ("gzip, gzip", GZIPPED, 415),
    ],
    ids=[
        "no gzip",
        "cut gzip",
        "gzip and more",
        "2000 members",
        "deflate twice",
        "cut deflate",
        "brotli",
        "twice",
    ],
)
@pytest.mark.usefixtures("models")
def test_a_body_that_is_not_compressed_as_said_is_refused(
    client: FlaskClient, encoding: str, body: bytes, status: int
) -> None:
    _refused(client.post(INFER, data=body, headers={"Content-Encoding": encoding, LENGTH: "0"}), status)


@pytest.mark.parametrize("path", ["/v2/models/nothing/infer", "/v2/models/digits/versions/9/infer"])
@pytest.mark.usefixtures("models")
def test_what_is_not_there_cannot_be_asked(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data=_crops().tobytes(), headers={LENGTH: "0"})

    assert "digits" in _refused(answer, 404)


@pytest.mark.usefixtures("models")
def test_without_a_token_nothing_is_inferred(stranger: FlaskClient) -> None:
    answer = stranger.post(INFER, data=_crops().tobytes(), headers={LENGTH: "0"})

    assert "Authorization: Bearer" in _refused(answer, 401)
    assert answer.headers["WWW-Authenticate"]


@pytest.mark.usefixtures("chip")
def test_a_wrong_request_harms_no_other_of_its_time(app: Flask, client: FlaskClient) -> None:
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"], LENGTH: "0"}
    bodies = [some_crops(1 + number % 3, number) + b"x" * (number % 2) for number in range(20)]
    answers: dict[int, TestResponse] = {}

    def ask(number: int) -> None:
        answers[number] = app.test_client().post(INFER, data=bodies[number], headers=headers)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number, answer in answers.items():
        if number % 2:
            _refused(answer, 400)
        else:
            assert _outputs(answer)["scores"] == scores_of(bodies[number]).tolist()


@pytest.mark.usefixtures("chip")
def test_the_same_request_with_the_same_key_is_run_once(client: FlaskClient) -> None:
    headers = {LENGTH: "0", "Idempotency-Key": "k"}

    first, again = (client.post(INFER, data=some_crops(2), headers=headers) for _ in range(2))

    assert _outputs(first) == _outputs(again) == _expected(2)
    assert len(client.get("/v1/jobs").get_json()["jobs"]) == 1


@pytest.mark.usefixtures("models")
def test_a_manifest_is_not_needed_to_say_what_a_model_takes(client: FlaskClient, models: ModelStore) -> None:
    models.weights_path("digits", "1").with_name("manifest.json").write_text("damaged")

    said = client.get("/v2/models/digits").get_json()

    assert (said["name"], said["versions"]) == ("digits", ["1", "2"])
    assert said["inputs"] == [{"name": "crops", "datatype": "UINT8", "shape": [-1, 28, 28]}]
