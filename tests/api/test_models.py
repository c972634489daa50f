"""The registry over HTTP."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.models.files import ModelStore
from tests.api.requests import CLASSIFY, RAW, Enter, refused
from tests.services.samples import an_origin, some_crops


def test_an_empty_registry_lists_no_models(client: FlaskClient) -> None:
    assert client.get("/v1/models").get_json() == {"models": []}


@pytest.mark.usefixtures("models")
def test_models_are_listed_with_versions_and_aliases(client: FlaskClient) -> None:
    listed = client.get("/v1/models").get_json()

    assert listed == {
        "models": [
            {
                "name": "digits",
                "owner": None,
                "versions": ["1", "2"],
                "partial_versions": [],
                "aliases": {"latest": "2"},
                "shared": True,
                "shared_versions": [],
            }
        ]
    }


def test_partial_versions_are_marked_in_the_list(client: FlaskClient, models: ModelStore) -> None:
    models.publish(an_origin(job="cancelled", partial=True), b"half")

    for listed in (
        client.get("/v1/models").get_json()["models"][0],
        client.get("/v1/models/digits").get_json(),
    ):
        assert (listed["partial_versions"], listed["aliases"]) == (["3"], {"latest": "2"})


@pytest.mark.usefixtures("models")
def test_a_model_is_shown_with_the_manifests_of_its_versions(client: FlaskClient) -> None:
    shown = client.get("/v1/models/digits").get_json()

    assert [manifest["job"] for manifest in shown["versions"]] == ["a", "b"]


def test_a_damaged_version_does_not_hide_the_others(
    client: FlaskClient, models: ModelStore, tmp_path: Path
) -> None:
    (tmp_path / "models/digits/1/manifest.json").write_text("damaged")

    shown = client.get("/v1/models/digits").get_json()["versions"]
    assert [version["version"] for version in shown] == ["1", "2"]
    assert shown[0]["problem"]["code"] == "checkpoint_damaged"
    assert shown[1]["job"] == "b"
    assert client.get("/v1/models").status_code == 200
    assert client.get("/v1/models/digits/versions/2").get_json()["job"] == "b"
    assert "digits@1" in refused(client.get("/v1/models/digits/versions/1"), 500, "checkpoint_damaged")
    assert models.weights("digits", "2") == b"weights of b"


@pytest.mark.parametrize(("version", "job"), [("1", "a"), ("latest", "b")])
@pytest.mark.usefixtures("models")
def test_a_version_is_shown_by_number_or_alias(client: FlaskClient, version: str, job: str) -> None:
    assert client.get(f"/v1/models/digits/versions/{version}").get_json()["job"] == job


@pytest.mark.usefixtures("models")
def test_weights_are_downloaded_as_they_were_published(client: FlaskClient) -> None:
    response = client.get("/v1/models/digits/versions/1/weights")

    assert response.get_data() == b"weights of a"
    assert response.content_type == "application/octet-stream"
    assert "digits-1.safetensors" in response.headers["Content-Disposition"]
    response.close()


@pytest.mark.usefixtures("models")
def test_weights_that_somebody_has_are_not_sent_again(client: FlaskClient) -> None:
    with client.get("/v1/models/digits/versions/1/weights") as first:
        etag = first.headers["ETag"]

    with client.get("/v1/models/digits/versions/1/weights", headers={"If-None-Match": etag}) as again:
        assert again.status_code == 304


@pytest.mark.usefixtures("models")
def test_weights_that_are_gone_are_not_found(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "models/digits/1/weights.safetensors").unlink()

    response = client.get("/v1/models/digits/versions/1/weights")

    assert "backup" in refused(response, 404, "model_not_found")


@pytest.mark.usefixtures("models")
def test_an_alias_is_set_moved_and_removed(client: FlaskClient) -> None:
    path = "/v1/models/digits/aliases/production"

    first = client.put(path, json={"version": "1"})
    moved = client.put(path, json={"version": "2"})
    removed = client.delete(path)

    assert first.get_json() == {"name": "digits", "alias": "production", "version": "1"}
    assert moved.get_json()["version"] == "2"
    assert (removed.status_code, removed.get_data()) == (204, b"")
    assert client.get("/v1/models/digits").get_json()["aliases"] == {"latest": "2"}


BAD_ALIASES: list[tuple[str, dict[str, Any], int, str]] = [
    ("production", {"json": {"version": "9"}}, 404, "model_not_found"),
    ("production", {"json": {"version": "latest"}}, 422, "invalid_input"),
    ("production", {"json": {"version": 1}}, 422, "invalid_input"),
    ("production", {"json": {"version": "1", "x": 1}}, 422, "invalid_input"),
    ("production", {"json": {}}, 422, "invalid_input"),
    ("production", {}, 422, "invalid_input"),
    ("production", {"data": "x", "content_type": "text/plain"}, 415, "unsupported_media_type"),
    ("production", {"data": {"version": "1"}}, 415, "unsupported_media_type"),
    ("3", {"json": {"version": "1"}}, 422, "invalid_input"),
    ("Production", {"json": {"version": "1"}}, 422, "invalid_input"),
    ("..", {"json": {"version": "1"}}, 422, "invalid_input"),
    (".x", {"json": {"version": "1"}}, 422, "invalid_input"),
    ("a" * 65, {"json": {"version": "1"}}, 422, "invalid_input"),
]


@pytest.mark.parametrize(("alias", "body", "status", "code"), BAD_ALIASES)
def test_a_wrong_alias_is_refused_and_changes_nothing(
    client: FlaskClient, models: ModelStore, alias: str, body: dict[str, Any], status: int, code: str
) -> None:
    response = client.put(f"/v1/models/digits/aliases/{alias}", **body)

    refused(response, status, code)
    assert models.aliases("digits") == {"latest": "2"}


def test_a_version_is_deleted_and_its_number_is_gone(client: FlaskClient, models: ModelStore) -> None:
    response = client.delete("/v1/models/digits/versions/1")

    assert response.status_code == 204
    assert models.versions("digits") == ["2"]
    refused(client.get("/v1/models/digits/versions/1"), 404, "model_not_found")


@pytest.mark.usefixtures("models")
def test_a_version_that_is_in_use_is_not_deleted(client: FlaskClient) -> None:
    client.put("/v1/models/digits/aliases/production", json={"version": "1"})

    response = client.delete("/v1/models/digits/versions/1")

    assert "production" in refused(response, 409, "conflict")


def test_a_model_is_deleted_whole(client: FlaskClient, models: ModelStore) -> None:
    response = client.delete("/v1/models/digits")

    assert response.status_code == 204
    assert models.names() == []


@pytest.mark.parametrize("name", ["nothing", "Digits", "%2e%2e", "..%2fdigits", "digits%00", "d" * 300, "ä"])
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/versions/1"),
        ("DELETE", "/versions/1"),
        ("GET", "/versions/1/weights"),
        ("DELETE", "/aliases/latest"),
    ],
)
def test_what_is_no_model_is_not_found(
    client: FlaskClient, models: ModelStore, name: str, method: str, rest: str
) -> None:
    response = client.open(f"/v1/models/{name}{rest}", method=method)

    assert response.status_code == 404
    assert models.versions("digits") == ["1", "2"]


@pytest.mark.parametrize("version", ["9", "nothing", "%2e%2e", "01", "-1", "1.0", "..%2f1", "%00"])
@pytest.mark.usefixtures("models")
def test_what_is_no_version_is_not_found(client: FlaskClient, version: str) -> None:
    assert client.get(f"/v1/models/digits/versions/{version}").status_code == 404
    assert client.get(f"/v1/models/digits/versions/{version}/weights").status_code == 404


@pytest.mark.usefixtures("chip")
def test_every_listed_name_means_the_model_it_stands_for(enter: Enter, models: ModelStore) -> None:
    models.publish(an_origin(name="ada~digits", job="hers"), b"hers")
    ada = enter("ada")

    listed = ada.get("/v1/models").get_json()["models"]
    indexed = ada.post("/v2/repository/index", json={}).get_json()

    assert [(m["name"], m["owner"]) for m in listed] == [("ada~digits", "ada"), ("service~digits", None)]
    for m in listed:
        shown = ada.get(f"/v1/models/{m['name']}").get_json()
        assert (shown["name"], shown["owner"]) == (m["name"], m["owner"])
        assert [version["version"] for version in shown["versions"]] == m["versions"]
    assert [(m["name"], m["version"]) for m in indexed] == [
        ("ada~digits", "1"),
        ("service~digits", "1"),
        ("service~digits", "2"),
    ]
    assert ada.get("/v2/models/service~digits").get_json()["name"] == "service~digits"
    path = CLASSIFY.replace("digits", "service~digits")
    assert ada.post(path, data=some_crops(1), content_type=RAW).get_json()["model"] == "digits"


def test_no_user_is_named_like_the_owner_of_the_services_models(client: FlaskClient) -> None:
    refused(client.post("/v1/users", json={"name": "service"}), 409, "conflict")
