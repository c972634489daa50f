"""Users over HTTP: admins manage them, everybody sees themselves."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from services.models.files import ModelStore
from services.users.accounts import Role
from services.users.authentication import LONGEST_MEMORY_S
from tests.api.requests import CLASSIFY, RAW, Clock, Enter, client_of, refused
from tests.services.chip import Chip
from tests.services.samples import some_crops

TRAINING = {"kind": "training", "model": "digits"}
FOR_ADMINS = [
    ("GET", "/v1/users"),
    ("POST", "/v1/users"),
    ("GET", "/v1/users/ada"),
    ("PATCH", "/v1/users/ada"),
    ("POST", "/v1/users/ada/tokens"),
    ("DELETE", "/v1/users/ada/tokens"),
    ("DELETE", "/v1/users/ada/tokens/0123456789ab"),
]


def _add(client: FlaskClient, name: str = "ada", **more: Any) -> dict[str, Any]:
    response = client.post("/v1/users", json={"name": name, **more})
    assert response.status_code == 201, response.get_data(as_text=True)
    added: dict[str, Any] = response.get_json()
    return added


@pytest.mark.parametrize(("method", "path"), FOR_ADMINS)
def test_users_are_for_admins_alone(enter: Enter, method: str, path: str) -> None:
    ada = enter("ada")

    assert "admin" in refused(ada.open(path, method=method, json={"name": "x"}), 403, "forbidden")


@pytest.mark.parametrize(("method", "path"), FOR_ADMINS)
def test_who_is_nobody_learns_nothing_of_users(stranger: FlaskClient, method: str, path: str) -> None:
    refused(stranger.open(path, method=method, json={}), 401, "not_authenticated")


def test_a_new_users_token_opens_the_service_and_is_shown_once(app: Flask, client: FlaskClient) -> None:
    added = _add(client, expires_in=3600)

    assert client_of(app, added["token"]).get("/v1/me").get_json()["name"] == "ada"
    assert added["expires_at"]
    shown = [client.get(path).get_data(as_text=True) for path in ("/v1/users", "/v1/users/ada")]
    assert not [text for text in shown if added["token"] in text]
    assert client.get("/v1/users/ada").get_json()["tokens"][0]["id"] == added["token_id"]


def test_an_admin_among_the_users_manages_users_too(enter: Enter) -> None:
    root = enter("root", Role.ADMIN)

    _add(root, "grace")

    assert [user["name"] for user in root.get("/v1/users").get_json()["users"]] == ["grace", "root"]


def test_a_name_is_given_once(client: FlaskClient) -> None:
    _add(client)

    assert "ada" in refused(client.post("/v1/users", json={"name": "ada"}), 409, "conflict")
    refused(client.post("/v1/users", json={"name": "admin"}), 409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Ada"},
        {"name": "a:b"},
        {"name": "../a"},
        {"name": ""},
        {"name": "ada", "role": "god"},
        {"name": "ada", "expires_in": 0},
        {"name": "ada", "quotas": {"max_queued_jobs": -1}},
        {"name": "ada", "quotas": {"max_queued_jobs": 1.5}},
        {"name": "ada", "quotas": {"max_queued_jobs": True}},
        {"name": "ada", "quotas": {"chip_seconds_per_day": "lots"}},
        {"name": "ada", "quotas": {"requests_per_second": 0}},
        {"name": "ada", "quotas": {"max_jobs": 1}},
    ],
)
def test_a_user_that_cannot_be_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    refused(client.post("/v1/users", json=body), 422, "invalid_input")

    assert client.get("/v1/users").get_json() == {"users": []}


def test_a_disabled_user_is_shut_out_also_of_the_short_way_for_crops(
    client: FlaskClient, enter: Enter, clock: Clock, chip: Chip
) -> None:
    del chip
    ada = enter("ada")
    assert ada.post(CLASSIFY, data=some_crops(1), content_type=RAW).status_code == 200

    assert client.patch("/v1/users/ada", json={"disabled": True}).get_json()["disabled"] is True
    clock.now += LONGEST_MEMORY_S

    assert "disabled" in refused(ada.get("/v1/me"), 401, "not_authenticated")
    refused(ada.post(CLASSIFY, data=some_crops(1), content_type=RAW), 401, "not_authenticated")
    client.patch("/v1/users/ada", json={"disabled": False})
    clock.now += LONGEST_MEMORY_S
    assert ada.get("/v1/me").status_code == 200


def test_a_new_token_may_void_the_old_ones(app: Flask, client: FlaskClient, clock: Clock) -> None:
    old = _add(client)["token"]

    second = client.post("/v1/users/ada/tokens", json={}).get_json()["token"]
    assert client_of(app, old).get("/v1/me").status_code == 200
    third = client.post("/v1/users/ada/tokens", json={"revoke": True}).get_json()["token"]
    clock.now += LONGEST_MEMORY_S

    statuses = [client_of(app, token).get("/v1/me").status_code for token in (old, second, third)]
    assert statuses == [401, 401, 200]


def test_one_token_is_revoked_by_its_id(app: Flask, client: FlaskClient) -> None:
    first = _add(client)
    second = client.post("/v1/users/ada/tokens", json={}).get_json()

    assert client.delete(f"/v1/users/ada/tokens/{first['token_id']}").get_json() == {"revoked": 1}

    assert client_of(app, first["token"]).get("/v1/me").status_code == 401
    assert client_of(app, second["token"]).get("/v1/me").status_code == 200


def test_what_is_left_of_a_quota_is_told(client: FlaskClient, enter: Enter) -> None:
    ada = enter("ada", max_queued_jobs=3, max_waiting_crops=None)
    ada.post("/v1/jobs", json=TRAINING)

    me = ada.get("/v1/me").get_json()

    assert (me["name"], me["role"]) == ("ada", "user")
    assert me["quotas"]["max_queued_jobs"] == {"limit": 3, "used": 1, "remaining": 2}
    assert me["quotas"]["max_waiting_crops"] == {"limit": None, "used": 0, "remaining": None}
    assert me["quotas"]["chip_seconds_per_day"]["limit"] == 14_400
    assert client.get("/v1/me").get_json()["quotas"]["max_queued_jobs"]["limit"] is None


def test_quotas_are_changed_one_by_one(client: FlaskClient) -> None:
    _add(client, quotas={"max_queued_jobs": 1, "max_waiting_crops": 5})

    changed = client.patch(
        "/v1/users/ada", json={"quotas": {"max_queued_jobs": "unlimited", "max_waiting_crops": None}}
    ).get_json()["quotas"]

    assert changed["max_queued_jobs"] is None
    assert changed["max_waiting_crops"] == 20_000


@pytest.mark.parametrize("limits", [{"user_max_queued_jobs": 1}])
def test_the_service_sets_what_a_user_may_take(enter: Enter) -> None:
    ada, grace = enter("ada"), enter("grace")
    assert ada.post("/v1/jobs", json=TRAINING).status_code == 202

    response = ada.post("/v1/jobs", json=TRAINING)

    assert "limit is 1 unfinished job" in refused(response, 429, "quota_exceeded")
    body = response.get_json()
    assert (body["quota"], body["limit"], body["used"], body["retryable"]) == ("max_queued_jobs", 1, 1, True)
    assert int(response.headers["Retry-After"]) >= 1
    assert grace.post("/v1/jobs", json=TRAINING).status_code == 202


@pytest.mark.parametrize("wait", ["?wait=0", ""])
@pytest.mark.parametrize("kind", [RAW, "application/octet-stream; x=y"])
def test_crops_beyond_the_quota_are_refused_on_every_way(
    enter: Enter, models: ModelStore, wait: str, kind: str
) -> None:
    del models
    ada = enter("ada", max_waiting_crops=2)

    response = ada.post(CLASSIFY + wait, data=some_crops(3), content_type=kind)

    refused(response, 429, "quota_exceeded")
    assert response.get_json()["quota"] == "max_waiting_crops"
    assert response.headers["Retry-After"]


def test_who_asks_too_often_is_told_when_to_come_back(enter: Enter, chip: Chip) -> None:
    del chip
    ada, grace = enter("ada", requests_per_second=0.5), enter("grace")
    assert ada.get("/v1/me").status_code == 200

    for response in (ada.get("/v1/jobs"), ada.post(CLASSIFY, data=some_crops(1), content_type=RAW)):
        refused(response, 429, "quota_exceeded")
        assert response.get_json()["quota"] == "requests_per_second"
        assert int(response.headers["Retry-After"]) in {1, 2}
    assert grace.get("/v1/jobs").status_code == 200
