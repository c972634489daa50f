"""Models, their weights and aliases."""

from pathlib import Path

import pytest

from hxserve import Client
from hxserve.errors import ConnectionFailedError, DownloadDamagedError
from tests.client.records import JOB_ID, WEIGHTS, job_record
from tests.client.service import DROPPED, Reply, Service, job_reply


def test_models_and_versions_can_be_looked_up(client: Client) -> None:
    assert [model["name"] for model in client.models()] == ["digits", "ada~letters"]
    assert client.model("digits")["aliases"] == {"latest": "1"}
    assert client.model("digits", "latest")["version"] == "1"


def test_weights_are_fetched_by_the_number_an_alias_stands_for(
    service: Service, client: Client, tmp_path: Path
) -> None:
    path = client.download_weights("digits", "latest", tmp_path)

    assert path == tmp_path / "digits-1.safetensors"
    assert path.read_bytes() == WEIGHTS
    assert service.requests[1].path.endswith("/versions/1/weights")


def test_damaged_weights_leave_what_was_there(service: Service, client: Client, tmp_path: Path) -> None:
    service.answers["GET", "/v1/models/digits/versions/1/weights"] = Reply(body=b"other bytes")
    target = tmp_path / "weights.safetensors"
    target.write_bytes(b"old")

    with pytest.raises(DownloadDamagedError, match="sha256"):
        client.download_weights("digits", "latest", target)

    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_alias_is_set_and_removed(service: Service, client: Client) -> None:
    client.set_alias("digits", "production", 1)
    client.delete_alias("digits", "production")

    put, delete = service.requests
    assert (put.method, put.json) == ("PUT", {"version": "1"})
    assert (delete.method, delete.path) == ("DELETE", "/v1/models/digits/aliases/production")


def test_a_promotion_compares_first_unless_a_comparison_is_given(service: Service, client: Client) -> None:
    compared = job_record("succeeded", kind="comparison", result={"version": "2"})
    service.answers["POST", "/v1/jobs"] = job_reply(compared, 202)
    service.jobs[0] = compared
    alias = "/v1/models/digits/aliases/production"
    service.answers["POST", f"{alias}/promote"] = Reply(document={"version": "2", "changes": []})

    client.promote("digits", 2, dataset="mnist", margin=0.01, why="better")
    client.promote("digits", 2, comparison="given")

    sent = [request.json for request in service.requests if request.method == "POST"]
    params = {"version": "2", "against": "production", "dataset": "mnist", "margin": 0.01}
    assert sent == [
        {"kind": "comparison", "model": "digits", "params": params},
        {"version": "2", "comparison": JOB_ID, "margin": 0.01, "why": "better"},
        {"version": "2", "comparison": "given", "why": ""},
    ]


def test_a_rollback_is_never_sent_twice(service: Service, client: Client) -> None:
    service.answers["POST", "/v1/models/digits/aliases/production/rollback"] = DROPPED

    with pytest.raises(ConnectionFailedError):
        client.rollback("digits")

    assert len(service.requests) == 1


def test_chip_queue_and_usage_are_told(client: Client) -> None:
    assert client.chip()["chips"][0]["state"] == "ready"
    assert client.queue()["jobs"]["queued"] == 2
    assert client.usage()["users"][0]["total_s"] == 61.5


def test_a_picture_of_a_digit_is_at_hand(client: Client) -> None:
    sample = client.sample(3)

    assert (sample["digit"], sample["dataset"]) == (3, "mnist")
    assert sample["pixels"] == [0, 255] * 392
