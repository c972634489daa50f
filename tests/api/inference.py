"""Requests of the Open Inference Protocol for tests, and what comes back."""

import json
from typing import Any, Final

import numpy as np
from flask.testing import FlaskClient
from numpy.typing import NDArray
from werkzeug.test import TestResponse

from tests.services.samples import scores_of, some_crops

INFER: Final = "/v2/models/digits/infer"
LENGTH: Final = "Inference-Header-Content-Length"
COUNT: Final = 3


def some_images(count: int = COUNT) -> NDArray[np.uint8]:
    return np.frombuffer(some_crops(count), np.uint8).reshape(count, 28, 28)


def tensor_of(values: NDArray[Any], datatype: str = "UINT8", **changes: Any) -> dict[str, Any]:
    tensor = {"name": "crops", "datatype": datatype, "shape": list(values.shape), "data": values.tolist()}
    return tensor | changes


def infer_json(client: FlaskClient, body: Any, **headers: str) -> TestResponse:
    return client.post(INFER, data=json.dumps(body), headers=headers)


def infer_bytes(
    client: FlaskClient, values: NDArray[Any], datatype: str = "UINT8", **changes: Any
) -> TestResponse:
    tail = values.tobytes()
    tensor = tensor_of(values, datatype, parameters={"binary_data_size": len(tail)})
    del tensor["data"]
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}} | changes).encode()
    return client.post(INFER, data=head + tail, headers={LENGTH: str(len(head))})


def outputs_of(answer: TestResponse) -> dict[str, list[Any]]:
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


def expected_outputs(count: int = COUNT) -> dict[str, list[Any]]:
    scores = scores_of(some_crops(count))
    return {
        "digits": scores.argmax(axis=1).tolist(),
        "scores": scores.tolist(),
        "confidences": [0.5] * count,
    }


def refused(answer: TestResponse, status: int) -> str:
    """What an error says, once it is sure that it has the protocol's form and this status."""
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/json"
    assert set(answer.get_json()) == {"error"}
    said: str = answer.get_json()["error"]
    return said
