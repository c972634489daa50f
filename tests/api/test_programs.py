"""Sessions of programs over HTTP, and what is said of operations that cannot be run."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from safetensors.numpy import save
from werkzeug.test import TestResponse

from api.operations import MEDIA_TYPE
from services.chips.store import ChipStore
from tests.api.requests import Enter
from tests.services.chip import Chip
from tests.services.samples import CHIP

SESSIONS = "/v1/chip/sessions"
INPUTS = np.array([[0, 31, 7], [1, 2, 3]], np.uint8)
WEIGHTS = np.array([[-63, 63], [1, 2], [0, 5]], np.int8)


@pytest.fixture
def session(idle_chip: Chip, client: FlaskClient) -> str:
    """An open session of the admin's."""
    del idle_chip
    answer = client.post(SESSIONS, json={"program": "sweep.py"})
    assert answer.status_code == 201
    session_id: str = answer.get_json()["id"]
    return session_id


def _send(
    client: FlaskClient,
    session: str,
    tensors: Mapping[str, NDArray[Any]] | bytes,
    metadata: Mapping[str, str] | None = None,
    *,
    key: str = "1",
    media_type: str = MEDIA_TYPE,
) -> TestResponse:
    body = tensors if isinstance(tensors, bytes) else save(dict(tensors), dict(metadata or {}))
    return client.post(
        f"{SESSIONS}/{session}/operations",
        data=body,
        content_type=media_type,
        headers={"Idempotency-Key": key},
    )


def test_a_session_is_a_job_of_its_user_until_it_is_released(session: str, client: FlaskClient) -> None:
    shown = client.get(f"{SESSIONS}/{session}").get_json()
    job = client.get(f"/v1/jobs/{session}").get_json()
    listed = client.get("/v1/jobs?kind=program").get_json()["jobs"]

    assert (shown["state"], shown["chip"], shown["program"]) == ("running", CHIP, "sweep.py")
    assert (job["kind"], job["state"], job["user"]) == ("program", "running", "admin")
    assert job["result"] == {"operations": 0, "waiting": 0, "position": None}
    assert [each["id"] for each in listed] == [session]
    assert client.delete(f"{SESSIONS}/{session}").get_json()["state"] == "succeeded"
    assert client.delete(f"{SESSIONS}/{session}").get_json()["state"] == "succeeded"
    assert (
        _send(client, session, {"inputs": INPUTS, "weights": WEIGHTS}).get_json()["code"] == "session_ended"
    )


def test_a_session_is_hidden_from_others(session: str, enter: Enter) -> None:
    other = enter("grace")

    assert other.get(f"{SESSIONS}/{session}").status_code == 404
    assert other.delete(f"{SESSIONS}/{session}").status_code == 404
    assert _send(other, session, {"inputs": INPUTS, "weights": WEIGHTS}).status_code == 404


def test_the_chip_with_fewer_sessions_is_taken(
    idle_chip: Chip, client: FlaskClient, chips: ChipStore
) -> None:
    del idle_chip
    second = chips.take("chip-2", {"host": "there"})
    chips.renew(second, {"ready": True, "backend": "mock", "identifier": "mock"})

    taken = [client.post(SESSIONS, json={}).get_json()["chip"] for _ in range(4)]
    named = client.post(SESSIONS, json={"chip": "chip-2"}).get_json()["chip"]

    assert taken == [CHIP, "chip-2", CHIP, "chip-2"]
    assert named == "chip-2"


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"chip": "chip-9"}, 404, "there is no chip 'chip-9'; there are: chip-1"),
        ({"calibration": "ab" * 32}, 409, "has the calibration none now, not abababababab"),
        ({"programme": "x"}, 422, "programme"),
    ],
)
def test_a_session_that_cannot_be_opened_is_refused_with_the_reason(
    idle_chip: Chip, client: FlaskClient, asked: dict[str, str], status: int, said: str
) -> None:
    del idle_chip
    answer = client.post(SESSIONS, json=asked)

    assert answer.status_code == status
    assert said in answer.get_json()["detail"]


def test_without_a_chip_or_with_one_in_maintenance_no_session_opens(
    client: FlaskClient, request: pytest.FixtureRequest
) -> None:
    without = client.post(SESSIONS, json={})
    request.getfixturevalue("idle_chip")
    client.post("/v1/chip/drain", json={"message": "new cooling"})
    drained = client.post(SESSIONS, json={})

    assert (without.status_code, without.get_json()["code"]) == (503, "unavailable")
    assert (drained.status_code, drained.get_json()["code"]) == (503, "chip_in_maintenance")
    assert "new cooling" in drained.get_json()["detail"]
    assert drained.headers["Retry-After"]


@pytest.mark.parametrize(
    ("tensors", "metadata", "status", "said"),
    [
        (b"no tensors", {}, 422, "the body is not safetensors"),
        (b"", {}, 422, "the body is not safetensors"),
        ({"weights": WEIGHTS}, {}, 422, "no tensor `inputs`; there are: weights"),
        ({"inputs": INPUTS}, {}, 422, "the operation has no weights"),
        ({"inputs": INPUTS}, {"weights": "ab:3x2"}, 422, "the operation has no weights"),
        ({"inputs": INPUTS + 1, "weights": WEIGHTS}, {}, 422, "`inputs` are 1..32; expected 0..31"),
        ({"inputs": INPUTS, "weights": WEIGHTS - 1}, {}, 422, "`weights` are -64..62; expected -63..63"),
        ({"inputs": INPUTS[:, :2], "weights": WEIGHTS}, {}, 422, "2 rows, but the weights have 3"),
        ({"inputs": INPUTS.astype(np.float32), "weights": WEIGHTS}, {}, 422, "`inputs` is F32"),
        ({"inputs": INPUTS[:0], "weights": WEIGHTS}, {}, 422, "none of them empty"),
        ({"inputs": INPUTS, "weights": WEIGHTS}, {"num_sends": "0"}, 422, "`num_sends` is '0'"),
        ({"inputs": INPUTS, "weights": WEIGHTS}, {"num_sends": "1.5"}, 422, "`num_sends` is '1.5'"),
        (
            {"inputs": np.zeros((2000, 300), np.uint8), "weights": np.zeros((300, 300), np.int8)},
            {},
            413,
            "180000000 multiply-accumulates",
        ),
        (
            {"inputs": INPUTS},
            {"weights": f"{hashlib.sha256(b'gone').hexdigest()}:3x2"},
            412,
            "send the operation again with them",
        ),
    ],
)
def test_an_operation_that_cannot_be_run_is_refused_with_the_reason(
    session: str,
    client: FlaskClient,
    tensors: Mapping[str, NDArray[Any]] | bytes,
    metadata: dict[str, str],
    status: int,
    said: str,
) -> None:
    answer = _send(client, session, tensors, metadata)

    assert answer.status_code == status
    assert said in answer.get_json()["detail"]


def test_an_operation_needs_a_name_and_the_right_type(session: str, client: FlaskClient) -> None:
    tensors = {"inputs": INPUTS, "weights": WEIGHTS}

    unnamed = _send(client, session, tensors, key="")
    of_bytes = _send(client, session, tensors, media_type="application/octet-stream")

    assert (unnamed.status_code, of_bytes.status_code) == (422, 415)
    assert "Idempotency-Key" in unnamed.get_json()["detail"]
    assert MEDIA_TYPE in of_bytes.get_json()["detail"]


def test_a_job_of_another_kind_is_no_session(chip: Chip, client: FlaskClient) -> None:
    del chip
    job = client.post("/v1/jobs", json={"kind": "training", "model": "mine"}).get_json()["id"]

    assert client.get(f"{SESSIONS}/{job}").status_code == 404


def test_an_operation_waits_in_vain_only_so_long(
    session: str, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.programs.sessions._WAIT_S", 0.05)

    answer = _send(client, session, {"inputs": INPUTS, "weights": WEIGHTS})

    assert (answer.status_code, answer.get_json()["code"], answer.get_json()["retryable"]) == (
        504,
        "still_waiting",
        True,
    )
    assert client.get(f"{SESSIONS}/{session}").get_json()["position"] == 0
    assert client.get(f"/v1/jobs/{session}").get_json()["result"] == {
        "operations": 0,
        "waiting": 1,
        "position": 0,
    }
    assert client.get("/v1/jobs").get_json()["jobs"][0]["result"]["waiting"] == 1
    assert client.get("/v1/queue").get_json()["operations"] == {"sessions": 1, "waiting": 1, "position": 0}


def test_the_queue_counts_the_operations_of_others_and_names_nobody(
    session: str, client: FlaskClient, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.programs.sessions._WAIT_S", 0.05)
    _send(client, session, {"inputs": INPUTS, "weights": WEIGHTS})

    found = enter("grace").get("/v1/queue").get_json()["operations"]

    assert found == {"sessions": 1, "waiting": 1, "position": None}


def test_metrics_count_sessions_and_waiting_operations(
    session: str, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.programs.sessions._WAIT_S", 0.05)
    _send(client, session, {"inputs": INPUTS, "weights": WEIGHTS})

    metrics = client.get("/metrics").text

    assert "hxserve_open_sessions 1.0" in metrics
    assert 'hxserve_waiting_operations{chip="chip-1"} 1.0' in metrics


def test_operations_and_their_bytes_are_counted_against_quotas(idle_chip: Chip, enter: Enter) -> None:
    del idle_chip
    grace = enter("grace", operations_per_second=0.5, operation_bytes_per_second=1e6)
    session = grace.post(SESSIONS, json={}).get_json()["id"]
    body = {"inputs": INPUTS, "weights": WEIGHTS[:2]}  # refused after it was counted

    codes = [_send(grace, session, body).get_json()["code"] for _ in range(2)]
    refused = _send(grace, session, body)

    assert codes == ["invalid_input", "quota_exceeded"]
    assert refused.get_json()["quota"] == "operations_per_second"
    assert int(refused.headers["Retry-After"]) >= 1
