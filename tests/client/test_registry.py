"""Models, their weights and aliases."""

from pathlib import Path

import pytest

from hxserve import Client
from hxserve.errors import DownloadDamagedError
from tests.client.records import WEIGHTS
from tests.client.service import Reply, Service


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


def test_chip_queue_and_usage_are_told(client: Client) -> None:
    assert client.chip()["chips"][0]["state"] == "ready"
    assert client.queue()["jobs"]["queued"] == 2
    assert client.usage()["users"][0]["total_s"] == 61.5


def test_a_picture_of_a_digit_is_at_hand(client: Client) -> None:
    sample = client.sample(3)

    assert (sample["digit"], sample["dataset"]) == (3, "mnist")
    assert sample["pixels"] == [0, 255] * 392
