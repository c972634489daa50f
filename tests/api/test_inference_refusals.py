"""The Open Inference Protocol: requests that are refused, each with the reason in the protocol's form."""

import gzip
import json
import threading
import zlib
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.inference import (
    COUNT,
    INFER,
    LENGTH,
    infer_bytes,
    infer_json,
    outputs_of,
    refused,
    some_images,
    tensor_of,
)
from tests.services.samples import scores_of, some_crops

GZIPPED: Final = gzip.compress(bytes(784), mtime=0)


@pytest.mark.parametrize("limits", [{"max_waiting_crops": 2}])
@pytest.mark.usefixtures("idle_chip")
def test_a_full_queue_says_when_to_try_again(client: FlaskClient) -> None:
    answer = infer_json(client, {"inputs": [tensor_of(some_images())]})

    assert "waiting crops" in refused(answer, 429)
    assert answer.headers["Retry-After"]


WRONG: Final[list[tuple[dict[str, Any], str]]] = [
    ({}, "inputs"),
    ({"inputs": []}, "exactly one"),
    ({"inputs": [tensor_of(some_images()), tensor_of(some_images())]}, "exactly one"),
    ({"inputs": [tensor_of(some_images(), name="images")]}, "images"),
    ({"inputs": [tensor_of(some_images(), datatype="FP64")]}, "FP64"),
    ({"inputs": [tensor_of(some_images(), datatype="BYTES")]}, "BYTES"),
    ({"inputs": [tensor_of(some_images(), shape=[COUNT, 28, 27])]}, "shape [3, 28, 27]"),
    ({"inputs": [tensor_of(some_images(), shape=[28, 28])]}, "shape [28, 28]"),
    ({"inputs": [tensor_of(some_images(), shape=[784])]}, "shape [784]"),
    ({"inputs": [tensor_of(some_images(), shape=[])]}, "shape []"),
    ({"inputs": [tensor_of(some_images(), shape=[0, 784])]}, "at least 1"),
    ({"inputs": [tensor_of(some_images(), shape=[-1, 784])]}, "shape"),
    ({"inputs": [tensor_of(some_images(), shape=[2, 28, 28])]}, "expected [2, 28, 28]"),
    ({"inputs": [tensor_of(some_images(), data=None)]}, "no data"),
    ({"inputs": [tensor_of(some_images(), data=[])]}, "not all numbers"),
    ({"inputs": [tensor_of(some_images(), data=["a"] * 784 * COUNT)]}, "not all numbers"),
    ({"inputs": [tensor_of(some_images(), data=[True] * 784 * COUNT)]}, "not all numbers"),
    ({"inputs": [tensor_of(some_images(), data=[[1, 2], [3]])]}, "unevenly"),
    ({"inputs": [tensor_of(some_images(), data=[10**400])]}, "numbers"),
    ({"inputs": [tensor_of(some_images(), data=[256] * 784 * COUNT)]}, "0 to 255"),
    ({"inputs": [tensor_of(some_images(), data=[-1] * 784 * COUNT)]}, "0 to 255"),
    ({"inputs": [tensor_of(some_images(), data=[0.5] * 784 * COUNT)]}, "whole numbers"),
    ({"inputs": [tensor_of(some_images(), "FP32")]}, "from 0 to 1"),
    ({"inputs": [tensor_of(some_images(), "FP32", data=[float("nan")] * 784 * COUNT)]}, "from 0 to 1"),
    ({"inputs": [tensor_of(some_images(), parameters={"shared_memory_region": "x"})]}, "shared memory"),
    ({"inputs": [tensor_of(some_images(), parameters={"binary_data_size": 784 * COUNT})]}, "bytes"),
    ({"inputs": [tensor_of(some_images())], "outputs": [{"name": "labels"}]}, "'labels'"),
    (
        {
            "inputs": [tensor_of(some_images())],
            "outputs": [{"name": "digits", "parameters": {"classification": 3}}],
        },
        "class",
    ),
    ({"inputs": [tensor_of(some_images())], "parameters": {"sequence_id": 4}}, "sequence_id"),
    ({"inputs": [tensor_of(some_images())], "parameters": {"timeout": -1}}, "timeout"),
    ({"inputs": [tensor_of(some_images())], "parameters": {"repeats": 65}}, "repeats"),
    ({"inputs": [tensor_of(some_images())], "parameters": {"priority": "high"}}, "priority"),
    ({"inputs": [tensor_of(some_images())], "id": 7}, "id"),
]


@pytest.mark.parametrize(("body", "said"), WRONG, ids=[said for _, said in WRONG])
@pytest.mark.usefixtures("models")
def test_a_wrong_request_is_refused_with_what_is_wrong(
    client: FlaskClient, body: dict[str, Any], said: str
) -> None:
    assert said in refused(infer_json(client, body), 400)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"null"])
@pytest.mark.usefixtures("models")
def test_what_is_no_json_object_is_refused(client: FlaskClient, body: bytes) -> None:
    refused(client.post(INFER, data=body), 400)


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "\u00b2", "", "9" * 30, "99999999"])
@pytest.mark.usefixtures("models")
def test_a_wrong_length_of_the_json_is_refused(client: FlaskClient, length: str) -> None:
    assert LENGTH in refused(client.post(INFER, data=b"{}", headers={LENGTH: length}), 400)


@pytest.mark.parametrize("cut", [1, 784, 784 * COUNT])
@pytest.mark.usefixtures("models")
def test_bytes_cut_off_are_refused_with_how_many_came(client: FlaskClient, cut: int) -> None:
    tail = some_images().tobytes()
    tensor = tensor_of(some_images(), data=None, parameters={"binary_data_size": len(tail)})
    head = json.dumps({"inputs": [tensor]}).encode()

    answer = client.post(INFER, data=head + tail[:-cut], headers={LENGTH: str(len(head))})

    assert f"{len(tail) - cut} bytes came" in refused(answer, 400)


@pytest.mark.parametrize("size", [0, 1, 784 * COUNT + 1, 2**62])
@pytest.mark.usefixtures("models")
def test_a_size_that_is_not_the_shapes_is_refused(client: FlaskClient, size: int) -> None:
    tail = some_images().tobytes()
    head = json.dumps(
        {"inputs": [tensor_of(some_images(), data=None, parameters={"binary_data_size": size})]}
    ).encode()

    answer = client.post(INFER, data=head + tail, headers={LENGTH: str(len(head))})

    assert f"binary_data_size {size}" in refused(answer, 400)


@pytest.mark.usefixtures("models")
def test_bytes_that_no_tensor_claims_are_refused(client: FlaskClient) -> None:
    head = json.dumps({"inputs": [tensor_of(some_images())]}).encode()

    answer = client.post(INFER, data=head + b"more", headers={LENGTH: str(len(head))})

    assert "4 bytes follow the JSON" in refused(answer, 400)


@pytest.mark.usefixtures("models")
def test_who_forgets_the_length_of_the_json_is_told_of_it(client: FlaskClient) -> None:
    tail = some_images().tobytes()
    tensor = tensor_of(some_images(), data=None, parameters={"binary_data_size": len(tail)})

    answer = client.post(INFER, data=json.dumps({"inputs": [tensor]}).encode() + tail)

    assert LENGTH in refused(answer, 400)


@pytest.mark.parametrize("rest", [1, 783])
@pytest.mark.usefixtures("models")
def test_a_body_without_json_must_be_whole_crops(client: FlaskClient, rest: int) -> None:
    answer = client.post(INFER, data=bytes(784 + rest), headers={LENGTH: "0"})

    assert "expected 1568" in refused(answer, 400)


@pytest.mark.parametrize("limits", [{"max_crops_per_request": 2}])
@pytest.mark.usefixtures("models")
def test_more_crops_than_a_request_may_have_are_refused(client: FlaskClient) -> None:
    assert "at most 2" in refused(infer_bytes(client, some_images()), 413)


@pytest.mark.usefixtures("models")
def test_a_body_larger_than_allowed_is_refused(client: FlaskClient) -> None:
    assert "larger" in refused(client.post(INFER, data=bytes(2**20 + 1)), 413)


@pytest.mark.usefixtures("models")
def test_a_body_that_is_too_large_when_decompressed_is_refused(client: FlaskClient) -> None:
    bomb = gzip.compress(bytes(2**20 + 1))

    answer = client.post(INFER, data=bomb, headers={"Content-Encoding": "gzip", LENGTH: "0"})

    assert "decompressed" in refused(answer, 413)


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
    refused(client.post(INFER, data=body, headers={"Content-Encoding": encoding, LENGTH: "0"}), status)


@pytest.mark.parametrize("path", ["/v2/models/nothing/infer", "/v2/models/digits/versions/9/infer"])
@pytest.mark.usefixtures("models")
def test_what_is_not_there_cannot_be_asked(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data=some_images().tobytes(), headers={LENGTH: "0"})

    assert "digits" in refused(answer, 404)


@pytest.mark.usefixtures("models")
def test_without_a_token_nothing_is_inferred(stranger: FlaskClient) -> None:
    answer = stranger.post(INFER, data=some_images().tobytes(), headers={LENGTH: "0"})

    assert "Authorization: Bearer" in refused(answer, 401)
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
            refused(answer, 400)
        else:
            assert outputs_of(answer)["scores"] == scores_of(bodies[number]).tolist()
