"""Uploads of versions over HTTP: what becomes a job, and what is refused with which words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from safetensors.numpy import save
from werkzeug.test import TestResponse

from api.application import Application
from api.operations import MEDIA_TYPE
from services.jobs.record import JobKind, JobState
from services.networks.network import MOST_WEIGHTS
from tests.api.requests import Enter
from tests.services.uploads import CONVOLUTION, a_version_file, dark_weights

VERSIONS = "/v1/models/brought/versions"


def _upload(
    client: FlaskClient, body: bytes, path: str = VERSIONS, media_type: str = MEDIA_TYPE, key: str = ""
) -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(path, data=body, content_type=media_type, headers=headers)


def _files(tmp_path: Path) -> list[str]:
    return sorted(path.stem for path in (tmp_path / "saves").glob("*.upload"))


def test_an_upload_is_a_durable_job_of_its_user(
    enter: Enter, application: Application, tmp_path: Path
) -> None:
    ada, body = enter("ada"), a_version_file()

    answer = _upload(ada, body)

    job = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/jobs/{job['id']}")
    assert (job["kind"], job["model"], job["user"], job["state"]) == (
        "upload",
        "ada~brought",
        "ada",
        "queued",
    )
    assert job["params"]["network"]["hidden"] == [8]
    assert (tmp_path / "saves" / f"{job['id']}.upload").read_bytes() == body
    assert [(job.kind, job.state) for job in application.jobs.unfinished()] == [
        (JobKind.UPLOAD, JobState.QUEUED)
    ]


def test_the_same_file_under_the_same_key_is_one_job_and_kept_once(
    client: FlaskClient, tmp_path: Path
) -> None:
    first, again = (_upload(client, a_version_file(), key="monday").get_json() for _ in range(2))

    other = _upload(client, a_version_file(gain=0.003), key="monday")

    assert first["id"] == again["id"]
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_conflict")
    assert _files(tmp_path) == [first["id"]]


def test_uploads_count_among_the_jobs_of_a_user(enter: Enter, tmp_path: Path) -> None:
    ada = enter("ada", max_queued_jobs=1)
    job = _upload(ada, a_version_file()).get_json()

    refusal = _upload(ada, a_version_file())

    assert (refusal.status_code, refusal.get_json()["quota"]) == (429, "max_queued_jobs")
    assert _files(tmp_path) == [job["id"]]


def test_another_users_model_takes_no_upload(enter: Enter) -> None:
    refusal = _upload(enter("ada"), a_version_file(), "/v1/models/grace~digits/versions")

    assert (refusal.status_code, refusal.get_json()["code"]) == (403, "forbidden")
    assert "under another name" in refusal.get_json()["detail"]


@pytest.mark.parametrize("limits", [{"min_free_disk_bytes": 2**62}])
def test_a_full_disk_takes_no_upload(client: FlaskClient, tmp_path: Path) -> None:
    refusal = _upload(client, a_version_file())

    assert (refusal.status_code, refusal.get_json()["code"]) == (507, "disk_low")
    assert _files(tmp_path) == []


def _changed(**changes: Any) -> bytes:
    return a_version_file(dark_weights() | changes)


NAN = np.full((8, 784), np.nan, np.float32)
NO_SENDS = {"hidden": [8], "shift": 1}
LONG = {"crops": "", "scores": [[0] * 10] * 17}
LOUD = {"crops": "AAAA", "scores": [[300] * 10]}
FEW = {"crops": "AAAA", "scores": [[0] * 10]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not safetensors"),
        (b"no tensors", "the body is not safetensors"),
        (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00", "the body is not safetensors"),
        (
            save(dark_weights()),
            r"has no description of its network, metadata `hxserve`; .*hxserve models download",
        ),
        (save(dark_weights(), {"hxserve": "{"}), "hxserve: Invalid JSON"),
        (save(dark_weights(), {"hxserve": "[" * 100_000}), "hxserve: Invalid JSON"),
        (a_version_file(format=2), r"hxserve\.format: .*1, got 2"),
        (a_version_file(pickle="x"), r"hxserve\.pickle: unknown field"),
        (a_version_file(network=NO_SENDS), "expected num_sends in each layer that multiplies"),
        (a_version_file(network=CONVOLUTION[:-1]), r"expected ten scores, of shape \(10,\), got \(98,\)"),
        (a_version_file(network=[{"type": "lstm"}]), r"hxserve\.network\.layers\.0: .*'lstm'"),
        (a_version_file(gain=0), r"hxserve\.gain: .*greater than 0, got 0"),
        (a_version_file(gain=float("nan")), r"hxserve\.gain"),
        (a_version_file(check=LONG), r"hxserve\.check\.scores: .*at most 16 items"),
        (a_version_file(check=LOUD), r"hxserve\.check\.scores\.0\.0: .*127, got 300"),
        (a_version_file(check=FEW), "expected 784 bytes of crops for 1 rows of scores, got 3"),
        (a_version_file(network=CONVOLUTION), "expected conv1.bias, conv1.weight, linear1.weight"),
        (_changed(extra=np.zeros(1, np.float32)), "the tensors are named extra, linear1.bias"),
        (_changed(**{"linear1.weight": np.zeros((784, 8), np.float32)}), r"expected F32 of shape \(8, 784\)"),
        (_changed(**{"linear1.weight": np.zeros((8, 784))}), r"`linear1.weight` is F64 of shape \(8, 784\)"),
        (_changed(**{"linear1.weight": NAN}), "`linear1.weight` holds numbers that are not finite"),
    ],
)
def test_a_file_that_is_no_version_is_refused_at_once(
    client: FlaskClient, tmp_path: Path, body: bytes, said: str
) -> None:
    refusal = _upload(client, body)

    assert (refusal.status_code, refusal.get_json()["code"]) == (422, "invalid_input")
    assert re.search(said, refusal.get_json()["detail"]), refusal.get_json()["detail"]
    assert _files(tmp_path) == []


def test_a_name_that_is_none_is_refused(client: FlaskClient) -> None:
    refusal = _upload(client, a_version_file(), "/v1/models/Über/versions")

    assert refusal.status_code == 422
    assert "cannot be the name of a model" in refusal.get_json()["detail"]


def test_another_media_type_is_refused(client: FlaskClient) -> None:
    refusal = _upload(client, a_version_file(), media_type="application/octet-stream")

    assert refusal.status_code == 415
    assert "send application/x-safetensors" in refusal.get_json()["detail"]


@pytest.mark.parametrize("limits", [{"max_body_bytes": 2**26}])
def test_a_file_larger_than_the_largest_network_is_refused(client: FlaskClient) -> None:
    refusal = _upload(client, bytes(4 * MOST_WEIGHTS + 2**20 + 1))

    assert (refusal.status_code, refusal.get_json()["code"]) == (413, "too_large")
